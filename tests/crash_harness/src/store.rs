//! Opens the store that an address names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use story_checker_core::queue::{JobQueue, Retention};
use story_checker_redis::{RedisOptions, RedisStore};
use story_checker_sqlite::{SqliteOptions, SqliteStore};

/// How long a store may be away while a process starts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps every job: the audit looks at them all.
fn everything() -> Retention {
    let mut retention = Retention::default();
    retention.done = usize::MAX;
    retention.dead = usize::MAX;
    retention
}

/// Opens `sqlite:PATH` or `redis://…`.
pub(crate) async fn open(address: &str) -> Result<Arc<dyn JobQueue>> {
    if let Some(path) = address.strip_prefix("sqlite:") {
        let mut options = SqliteOptions::default();
        options.retention = everything();
        let store = SqliteStore::open(path, options).await?;
        Ok(Arc::new(store.queue()))
    } else if address.starts_with("redis:") {
        let mut options = RedisOptions::default();
        options.retention = everything();
        let store = RedisStore::connect(address, options).await?;
        Ok(Arc::new(store.queue()))
    } else {
        bail!("no store is known for {address}")
    }
}

/// Opens it as soon as it is there: a worker may be started while the store is away.
pub(crate) async fn open_patiently(address: &str) -> Result<Arc<dyn JobQueue>> {
    let begun = Instant::now();
    loop {
        match open(address).await {
            Err(error) if begun.elapsed() < PATIENCE => {
                tracing::warn!(error = format!("{error:#}"), "the store is not there yet");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => return opened.context("could not open the store"),
        }
    }
}
