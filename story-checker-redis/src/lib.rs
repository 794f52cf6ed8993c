//! Stores of story-checker on Redis 6.2 or newer, or Valkey: many machines share one queue.

mod address;
mod cache;
mod checks;
mod codec;
mod error;
mod link;
mod options;
mod queue;
mod reply;
mod script;
mod sessions;
mod shared;
mod store;
mod wake;

pub use self::cache::RedisCache;
pub use self::options::RedisOptions;
pub use self::queue::RedisJobQueue;
pub use self::sessions::RedisSessionStore;
pub use self::store::RedisStore;
