//! The beat: renews every lease at once, learns of cancellations, and tidies up.
//!
//! Jobs and sessions may lie in two stores, so each has a beat of its own: one store that hangs does
//! not cost the leases of the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::running::Wanted;
use super::shared::Shared;
use crate::error::Result;
use crate::queue::{Beat, BeatReply, MAX_ITEMS};
use crate::session::LeaseReply;

/// Renews the leases of the jobs until the engine has ended.
pub(super) async fn keep_jobs(shared: Arc<Shared>) {
    let lose = || {
        for lease in shared.running.leases() {
            shared.running.stop(lease, Wanted::Lost);
        }
    };
    keep(&shared, "jobs", || renew_jobs(&shared), lose).await;
}

/// Renews the leases of the sessions until the engine has ended.
pub(super) async fn keep_sessions(shared: Arc<Shared>) {
    let lose = || {
        for lease in shared.pool.leases() {
            shared.pool.lose(&lease);
            shared.running.stop_session(&lease.id);
        }
    };
    keep(&shared, "sessions", || renew_sessions(&shared), lose).await;
}

/// Renews again and again. A store that fails is asked more often, and before it may give the
/// leases to others, all that is done under them stops: also while the store just does not answer.
async fn keep<F: Future<Output = Result<()>>>(
    shared: &Shared,
    what: &'static str,
    renew: impl Fn() -> F,
    lose: impl Fn(),
) {
    let lease = shared.config.lease;
    let (period, safe) = (lease / 3, lease - lease / 5);
    // When a renewal was sent that is known to hold: from then on the store counts.
    let mut renewed = Instant::now();
    let mut next = renewed + period;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(next) => {}
            () = shared.abort.cancelled() => return,
        }
        let sent = Instant::now();
        let answer = tokio::select! {
            biased;
            answer = timeout_at(renewed + safe, renew()) => answer,
            () = shared.abort.cancelled() => return,
        };
        next = match answer {
            Ok(Ok(())) => {
                renewed = sent;
                sent + period
            }
            Ok(Err(error)) => {
                tracing::warn!(what, error = &error as &dyn std::error::Error, "the beat failed");
                (Instant::now() + period / 4).min(renewed + safe)
            }
            Err(_) => {
                tracing::warn!(what, "the store does not answer: what is leased is given up");
                Instant::now()
            }
        };
        if renewed.elapsed() >= safe {
            lose();
            renewed = Instant::now();
            next = renewed + period / 4;
        }
    }
}

async fn renew_jobs(shared: &Shared) -> Result<()> {
    let jobs = shared.running.leases();
    let mut chunks = jobs.chunks(MAX_ITEMS);
    // The first beat goes out also without leases: it says that this worker is alive.
    let mut leases = chunks.next().unwrap_or_default();
    loop {
        let beat = Beat::new(shared.worker.clone(), shared.config.lease, leases.to_vec());
        let replies = shared.queue.beat(&beat).await?;
        for (lease, reply) in leases.iter().zip(replies) {
            match reply {
                BeatReply::Held => {}
                BeatReply::Cancel => shared.running.stop(*lease, Wanted::Cancelled),
                BeatReply::Stale => shared.running.stop(*lease, Wanted::Lost),
            }
        }
        match chunks.next() {
            Some(more) => leases = more,
            None => return Ok(()),
        }
    }
}

async fn renew_sessions(shared: &Shared) -> Result<()> {
    let sessions = shared.pool.leases();
    if sessions.is_empty() {
        return Ok(());
    }
    let replies = shared.pool.sessions.renew(&sessions, shared.config.lease).await?;
    for (lease, reply) in sessions.iter().zip(replies) {
        if reply == LeaseReply::Stale {
            tracing::warn!(session = %lease.id, "a session's lease was lost");
            shared.pool.lose(lease);
            shared.running.stop_session(&lease.id);
        }
    }
    Ok(())
}

/// Gives idle sessions back and lets the queue maintain itself, until the engine has ended.
pub(super) async fn tidy_up(shared: Arc<Shared>) {
    let period: Duration = shared.config.lease / 3;
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep(period) => {}
            () = shared.abort.cancelled() => return,
        }
        tokio::select! {
            biased;
            () = tidy(&shared) => {}
            () = shared.abort.cancelled() => return,
        }
    }
}

async fn tidy(shared: &Shared) {
    shared.gate.tidy();
    let before = shared.clock.now() - shared.config.idle_release;
    shared.pool.release_idle(Some(before)).await;
    shared.pool.keep_states().await;
    for _ in 0..16 {
        match shared.queue.maintain(MAX_ITEMS).await {
            Ok(maintained) if maintained.more => {}
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "maintenance failed");
                break;
            }
        }
    }
}
