//! Jobs and batches as JSON and as words.

use anyhow::Context;
use serde_json::{Value, json};
use story_checker_core::BatchId;
use story_checker_core::queue::{BatchStats, JobCounts, JobQueue, JobState, JobView, StatsQuery};

/// A word for a state.
pub(super) const fn word(state: JobState) -> &'static str {
    match state {
        JobState::Cancelled => "cancelled",
        JobState::Dead => "dead",
        JobState::Done => "done",
        JobState::Leased => "leased",
        JobState::Ready => "ready",
        JobState::Scheduled => "scheduled",
        _ => "unknown",
    }
}

/// Text as it is; what is not UTF-8 is for people only.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn job(job: &JobView) -> Value {
    let result = job.result.as_ref().filter(|result| !result.is_empty()).map(|result| {
        serde_json::from_slice(result).unwrap_or_else(|_| Value::String(text(result)))
    });
    json!({
        "id": job.id, "queue": job.queue.as_str(), "batch": job.batch, "priority": job.priority,
        "state": job.state, "dead_reason": job.dead_reason, "payload": text(&job.payload),
        "result": result, "note": job.note, "attempt": job.attempt, "crashes": job.crashes,
        "deferrals": job.deferrals, "fence": job.fence, "worker": job.worker,
        "enqueued_at": job.enqueued_at, "at": job.at, "deadline": job.deadline,
        "unique": job.unique.as_deref().map(text),
    })
}

pub(super) fn counts(counts: &JobCounts) -> Value {
    let JobCounts { cancelled, dead, done, leased, ready, scheduled, .. } = *counts;
    json!({
        "cancelled": cancelled, "dead": dead, "done": done, "leased": leased, "ready": ready,
        "scheduled": scheduled,
    })
}

pub(super) fn batch(batch: &BatchStats) -> Value {
    json!({
        "id": batch.batch, "state": batch_word(batch), "cancelled": batch.cancelled,
        "paused": batch.paused, "counts": counts(&batch.counts), "total": batch.counts.total(),
        "ended": batch.counts.ended(), "created_at": batch.created_at,
        "changed_at": batch.changed_at,
    })
}

/// A word for where a batch stands.
pub(super) const fn batch_word(batch: &BatchStats) -> &'static str {
    match batch {
        BatchStats { cancelled: true, .. } => "cancelled",
        BatchStats { counts, .. } if counts.live() == 0 => "ended",
        BatchStats { paused: true, .. } => "paused",
        _ => "running",
    }
}

/// `60/100 (60 %)`.
pub(super) fn progress(counts: &JobCounts) -> String {
    let (ended, total) = (counts.ended(), counts.total());
    let percent = (ended * 100).checked_div(total).unwrap_or(100);
    format!("{ended}/{total} ({percent} %)")
}

/// The counts that are not zero.
pub(super) fn spelled(counts: &JobCounts) -> String {
    let JobCounts { cancelled, dead, done, leased, ready, scheduled, .. } = *counts;
    let words = [
        (done, "done"),
        (dead, "dead"),
        (cancelled, "cancelled"),
        (leased, "leased"),
        (ready, "ready"),
        (scheduled, "scheduled"),
    ];
    let words = words.iter().filter(|(count, _)| *count > 0);
    words.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// What is known of one batch.
pub(super) async fn stats(queue: &dyn JobQueue, id: BatchId) -> anyhow::Result<BatchStats> {
    let stats = queue.stats(&StatsQuery::Batches(vec![id])).await?;
    stats.batches.into_iter().next().with_context(|| format!("the batch {id} is gone"))
}
