//! One SQLite file that keeps the work of story-checker: the embedded store.
//!
//! ```
//! use std::time::Duration;
//!
//! use story_checker_core::queue::{ClaimRequest, JobQueue, NewJob, Outcome, Settlement};
//! use story_checker_core::{JobId, Result};
//! use story_checker_sqlite::{SqliteOptions, SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().expect("a temporary folder can be made");
//! # let path = folder.path().join("jobs.sqlite");
//! let store = SqliteStore::open(path, SqliteOptions::default()).await?;
//! let queue = store.queue();
//! let id = JobId::from_bytes(*b"sixteen bytes id");
//! queue.enqueue(vec![NewJob::new(id, "check".into(), "tea_house".into())]).await?;
//!
//! // Also in another process, also after a loss of power:
//! let wants = vec![("check".into(), 10)];
//! let request = ClaimRequest::new(wants, "worker-1".into(), Duration::from_secs(30));
//! let claimed = queue.claim(&request).await?;
//! assert_eq!(claimed.jobs[0].payload, "tea_house");
//! let done = Outcome::Done { result: "no story".into() };
//! queue.settle(vec![Settlement::new(claimed.jobs[0].lease, done)], None).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is kept
//! * One thread per process writes. What is asked at the same time is committed together, so the
//!   disk is waited for once and not once per call; an answer comes only after the commit.
//! * What was acknowledged survives a loss of power ([`Synchronous::Full`]).
//! * Several processes may share the file, on a local disk. Who waits for work in one of them sees
//!   what another has enqueued within 20 ms.
//! * The store's clock runs with the machine: setting the wall clock neither frees nor freezes a
//!   lease ([`HostClock`]).
//! * Credentials of sessions are sealed with a [`Keyring`](story_checker_core::seal::Keyring); the
//!   file is readable by its owner alone.
//! * An older file is migrated when it is opened, or by [`migrate`]; a newer or foreign one is
//!   refused.

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
