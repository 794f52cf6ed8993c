//! Stores of story-checker on Redis 6.2 or newer, or Valkey, for many machines: jobs, sessions and
//! the cache.
//!
//! One [`RedisStore`] is one connection, which is made again for ever: each call fails fast while
//! the server is away, and works again when it is back. The engine calls again by itself.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use story_checker_core::seal::Keyring;
//! use story_checker_redis::{RedisOptions, RedisStore};
//!
//! # async fn run() -> story_checker_core::Result<()> {
//! let options = RedisOptions::default().with_namespace("stories");
//! let store = RedisStore::connect("redis://localhost", options).await?;
//! for warning in store.warnings() {
//!     eprintln!("{warning}");
//! }
//! let queue = store.queue();
//! let sessions = store.sessions(Arc::new(Keyring::from_file("keys")?));
//! let cache = store.cache();
//! # Ok(())
//! # }
//! ```
//!
//! With `rediss://` the process needs one provider of rustls: install
//! `rustls::crypto::aws_lc_rs::default_provider()` first if another one is compiled in as well.
//!
//! What the server's settings may lose is told in `docs/OPERATIONS.md`.

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
