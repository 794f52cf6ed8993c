//! What the gate knows lies in the cache too, so that a restart neither spends a limit twice nor
//! forgets a hint. `docs/decisions/0016-memory-of-the-gate.md` says why there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::shared::Shared;
use crate::cache::CacheEntry;
use crate::gate::{ColdStart, GateSnapshot};

/// How often what changed is stored.
const PERIOD: Duration = Duration::from_secs(3);
/// A store that is slower than this loses what was sent meanwhile.
const MARGIN: Duration = Duration::from_secs(2);
/// So many keys are stored per second, on average.
const KEYS_PER_SECOND: u32 = 2_000;
/// How long reading it, and the last write, may take.
const LONGEST: Duration = Duration::from_secs(2);

/// Where it lies: each worker has a gate of its own.
fn key(shared: &Shared) -> String {
    match &shared.config.worker {
        Some(worker) => format!("gate/worker/{worker}"),
        None => "gate/worker".to_owned(),
    }
}

/// Goes on from what was known before, if anything is.
pub(super) async fn recall(shared: &Shared) {
    let keys = [key(shared)];
    let found = match timeout(LONGEST, shared.cache.get(&keys)).await {
        Ok(Ok(mut found)) => found.pop().flatten(),
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the cache does not say what the gate knew before");
            None
        }
        Err(_) => {
            tracing::warn!("the cache does not answer: what the gate knew before is not known");
            None
        }
    };
    match found.map(|found| serde_json::from_slice::<GateSnapshot>(&found)) {
        Some(Ok(snapshot)) => {
            let (keys, taken_at) = (snapshot.keys.len(), snapshot.taken_at);
            tracing::debug!(keys, %taken_at, "the gate goes on from before");
            return shared.gate.restore(&snapshot);
        }
        Some(Err(error)) => {
            tracing::warn!(%error, "what was stored of the gate cannot be read; it is ignored");
        }
        None => {}
    }
    if shared.config.cold_start != ColdStart::Fresh {
        shared.gate.assume(shared.config.cold_start);
    }
}

/// Stores what changed every few seconds, and every hint at once, until the engine has ended.
pub(super) async fn keep_gate(shared: Arc<Shared>) {
    let mut due = false;
    loop {
        if !due {
            tokio::select! {
                biased;
                () = shared.gate.used() => {}
                () = shared.gate.blocked() => {}
                () = shared.abort.cancelled() => break,
            }
        }
        let keys = u32::try_from(shared.gate.tracked()).unwrap_or(u32::MAX);
        let pause = PERIOD + Duration::from_secs((keys / KEYS_PER_SECOND).into());
        tokio::select! {
            biased;
            () = store(&shared, pause + MARGIN) => {}
            () = shared.abort.cancelled() => break,
        }
        // A hint comes seldom alone: those right after it share the next write.
        let hinted = async {
            sleep(pause / 30).await;
            shared.gate.blocked().await;
        };
        due = tokio::select! {
            biased;
            () = sleep(pause) => false,
            () = hinted => true,
            () = shared.abort.cancelled() => break,
        };
    }
    // Nothing is sent any more.
    if timeout(LONGEST, store(&shared, Duration::ZERO)).await.is_err() {
        tracing::warn!("the cache does not answer: what the gate knows is not stored");
    }
}

async fn store(shared: &Shared, next: Duration) {
    let snapshot = shared.gate.snapshot(next);
    let stored = match serde_json::to_vec(&snapshot) {
        Ok(json) => shared.cache.put(vec![CacheEntry::new(key(shared), json)]).await,
        Err(error) => return tracing::error!(%error, "what the gate knows cannot be written"),
    };
    if let Err(error) = stored {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "what the gate knows could not be stored");
    }
}
