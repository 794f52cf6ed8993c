//! What can be seen of jobs, queues and batches, and how they are selected.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::QueueName;
use crate::clock::Timestamp;
use crate::id::{BatchId, Fence, JobId, WorkerId};
use crate::retry::DeadReason;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// Ended by a cancellation.
    Cancelled,
    /// Ended without success; kept, and can be replayed.
    Dead,
    /// Ended well.
    Done,
    /// A worker holds it.
    Leased,
    /// Due.
    Ready,
    /// Due later.
    Scheduled,
}

impl JobState {
    /// Whether the job has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Dead | Self::Done)
    }
}

/// How many jobs stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobCounts {
    /// Ended by a cancellation, dropped ones included.
    pub cancelled: u64,
    /// Ended without success, dropped ones included.
    pub dead: u64,
    /// Ended well, dropped ones included.
    pub done: u64,
    /// Held by a worker.
    pub leased: u64,
    /// Due.
    pub ready: u64,
    /// Due later.
    pub scheduled: u64,
}

impl JobCounts {
    /// The count of one state.
    pub(super) fn of(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Cancelled => &mut self.cancelled,
            JobState::Dead => &mut self.dead,
            JobState::Done => &mut self.done,
            JobState::Leased => &mut self.leased,
            JobState::Ready => &mut self.ready,
            JobState::Scheduled => &mut self.scheduled,
        }
    }

    /// Jobs that have not ended.
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.leased + self.ready + self.scheduled
    }

    /// Jobs that have ended.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.cancelled + self.dead + self.done
    }

    /// All jobs ever enqueued.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.live() + self.ended()
    }
}

/// A job as anybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// Its queue.
    pub queue: QueueName,
    /// Its batch.
    pub batch: Option<BatchId>,
    /// 0 is first.
    pub priority: u8,
    /// Where it stands.
    pub state: JobState,
    /// Why it is dead, if it is.
    pub dead_reason: Option<DeadReason>,
    /// What it says.
    pub payload: Bytes,
    /// What came out.
    pub result: Option<Bytes>,
    /// What the last failure or deferral was.
    pub note: String,
    /// Attempts that failed.
    pub attempt: u32,
    /// How often its worker died.
    pub crashes: u32,
    /// How often it was put off.
    pub deferrals: u32,
    /// The fence of the last grant.
    pub fence: Fence,
    /// Who holds it.
    pub worker: Option<WorkerId>,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it is or was due; the end of the lease while it is leased, the end once it has ended.
    pub at: Timestamp,
    /// After this time an answer is of no use any more.
    pub deadline: Option<Timestamp>,
}

/// Which jobs are meant; an empty filter means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFilter {
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// Of this queue.
    pub queue: Option<QueueName>,
    /// In this state.
    pub state: Option<JobState>,
}

impl JobFilter {
    /// The jobs of one batch.
    #[must_use]
    pub const fn batch(batch: BatchId) -> Self {
        Self { batch: Some(batch), queue: None, state: None }
    }

    /// Those of them in this state.
    #[must_use]
    pub const fn with_state(mut self, state: JobState) -> Self {
        self.state = Some(state);
        self
    }
}

/// Jobs found by a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The jobs, by id.
    pub jobs: Vec<JobView>,
    /// Where the next page begins; none if this was the last.
    pub next: Option<JobId>,
}

/// What a change applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// A whole batch: cancelling and pausing take one step, however large it is.
    Batch(BatchId),
    /// These jobs.
    Jobs(Vec<JobId>),
}

/// A change by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alter {
    /// Ends what has not ended; running jobs learn it by the next beat.
    Cancel,
    /// Drops ended jobs. Only for jobs.
    Delete,
    /// Claims no more of the batch. Only for a batch.
    Pause,
    /// Makes dead and cancelled jobs due again, with fresh counters. Only for jobs.
    Replay,
    /// Claims of the batch again. Only for a batch.
    Resume,
}

/// What a change did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Altered {
    /// Jobs that were changed, or told to stop.
    pub changed: u64,
    /// Jobs that are unknown or in no fitting state.
    pub refused: u64,
}

/// What to count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatsQuery {
    /// These batches.
    Batches(Vec<BatchId>),
    /// All queues.
    Queues,
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The queues, by name.
    pub queues: Vec<QueueStats>,
    /// The batches that are known, in the order of the query.
    pub batches: Vec<BatchStats>,
}

/// Counts of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Its name.
    pub queue: QueueName,
    /// Its jobs.
    pub counts: JobCounts,
    /// Whether claiming is stopped.
    pub paused: bool,
}

/// Counts of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchStats {
    /// Its id.
    pub batch: BatchId,
    /// Its jobs.
    pub counts: JobCounts,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Whether claiming is stopped.
    pub paused: bool,
}
