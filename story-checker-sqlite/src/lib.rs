//! One SQLite file that keeps the jobs, sessions, proxy states and cache of story-checker.

mod cache;
mod error;
mod file;
mod options;
mod proxy;
mod queue;
mod reader;
mod schema;
mod session;
mod store;
mod tally;
mod time;
mod tx;
mod writer;

pub use self::cache::SqliteCache;
pub use self::options::{SqliteOptions, Synchronous};
pub use self::proxy::SqliteProxySource;
pub use self::queue::SqliteJobQueue;
pub use self::schema::Migrated;
pub use self::session::SqliteSessionStore;
pub use self::store::{SqliteStore, migrate};
pub use self::time::{HostClock, HostTime, SystemHost};
