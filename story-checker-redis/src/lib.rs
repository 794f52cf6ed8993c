//! Stores of story-checker on Redis 6.2 or newer, or Valkey: many machines share one queue.

mod address;
mod checks;
mod codec;
mod error;
mod link;
mod options;
mod queue;
mod reply;
mod script;
mod shared;
mod store;
mod wake;

pub use self::options::RedisOptions;
pub use self::queue::RedisJobQueue;
pub use self::store::RedisStore;
