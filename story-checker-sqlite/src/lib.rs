//! One SQLite file that keeps the jobs of story-checker.

mod error;
mod file;
mod options;
mod queue;
mod reader;
mod schema;
mod store;
mod tally;
mod time;
mod tx;
mod writer;

pub use self::options::{SqliteOptions, Synchronous};
pub use self::queue::SqliteJobQueue;
pub use self::schema::Migrated;
pub use self::store::{SqliteStore, migrate};
pub use self::time::{HostClock, HostTime, SystemHost};
