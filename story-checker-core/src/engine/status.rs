//! What a worker says of itself, for whoever looks into the store.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::doctor::Shares;
use super::shared::Shared;
use crate::cache::{Cache, CacheEntry};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::WorkerId;

/// How often a worker says how it goes.
const PERIOD: Duration = Duration::from_secs(5);
/// How long that is of interest.
const KEPT: Duration = Duration::from_secs(600);

/// What a worker said of itself last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Who.
    pub worker: WorkerId,
    /// When, by its clock.
    pub at: Timestamp,
    /// Calls of checkers that ran.
    pub in_flight: usize,
    /// Sessions that it held.
    pub sessions: usize,
    /// Where its time went in the last minute or two.
    pub shares: Shares,
}

fn key(worker: &WorkerId) -> String {
    format!("engine/worker/{worker}")
}

/// What these workers said of themselves lately, in a store's cache.
///
/// # Errors
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the cache cannot be reached.
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn read_status(cache: &dyn Cache, workers: &[WorkerId]) -> Result<Vec<WorkerStatus>> {
    let keys: Vec<_> = workers.iter().map(key).collect();
    let found = cache.get(&keys).await?;
    // What another version has written is of no use.
    Ok(found.into_iter().flatten().filter_map(|it| serde_json::from_slice(&it).ok()).collect())
}

/// Says from time to time how this worker does, and once more at its end.
pub(super) async fn publish(shared: Arc<Shared>) {
    loop {
        let ended = tokio::select! {
            () = tokio::time::sleep(PERIOD) => false,
            () = shared.abort.cancelled() => true,
        };
        if let Err(error) = say(&shared).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "the worker's status could not be stored");
        }
        if ended {
            return;
        }
    }
}

async fn say(shared: &Shared) -> Result<()> {
    let status = WorkerStatus {
        worker: shared.worker.clone(),
        at: shared.clock.now(),
        in_flight: shared.groups.load(std::sync::atomic::Ordering::Relaxed),
        sessions: shared.pool.held(),
        shares: shared.meter.shares(),
    };
    let Ok(value) = serde_json::to_vec(&status) else { return Ok(()) };
    let entry = CacheEntry::new(key(&shared.worker), value).with_ttl(KEPT);
    // At the end nobody waits long for a store that hangs.
    let put = tokio::time::timeout(Duration::from_secs(1), shared.board.put(vec![entry]));
    put.await.unwrap_or(Ok(()))
}
