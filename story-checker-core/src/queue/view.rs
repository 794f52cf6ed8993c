//! What can be seen of jobs, queues and batches, and how they are selected.

use std::time::Duration;

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
    /// The count of one state, to be changed.
    pub const fn of(&mut self, state: JobState) -> &mut u64 {
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
    /// While it is live, no other job of its queue may have this key.
    pub unique: Option<Bytes>,
}

/// What a job went through in another store: everything that [`NewJob`](super::NewJob) does not
/// say. Times are those of that store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPast {
    /// Where it stood. A leased job is taken in as a ready one: nobody holds it here.
    pub state: JobState,
    /// Why it is dead, if it is.
    pub dead_reason: Option<DeadReason>,
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
    /// The fence of the last grant; it only grows here as well.
    pub fence: Fence,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it is due, or ended.
    pub at: Timestamp,
    /// After this time an answer is of no use any more.
    pub deadline: Option<Timestamp>,
}

impl JobPast {
    /// The past of a job that another store shows.
    #[must_use]
    pub fn of(view: &JobView) -> Self {
        Self {
            state: view.state,
            dead_reason: view.dead_reason,
            result: view.result.clone(),
            note: view.note.clone(),
            attempt: view.attempt,
            crashes: view.crashes,
            deferrals: view.deferrals,
            fence: view.fence,
            enqueued_at: view.enqueued_at,
            at: view.at,
            deadline: view.deadline,
        }
    }
}

impl JobView {
    /// A job that waits and was never tried, by its parts; for stores.
    #[must_use]
    pub const fn new(
        id: JobId,
        queue: QueueName,
        payload: Bytes,
        state: JobState,
        enqueued_at: Timestamp,
    ) -> Self {
        Self {
            id,
            queue,
            batch: None,
            priority: 100,
            state,
            dead_reason: None,
            payload,
            result: None,
            note: String::new(),
            attempt: 0,
            crashes: 0,
            deferrals: 0,
            fence: Fence::new(0),
            worker: None,
            enqueued_at,
            at: enqueued_at,
            deadline: None,
            unique: None,
        }
    }
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
    /// Held by this worker.
    pub worker: Option<WorkerId>,
}

impl JobFilter {
    /// The jobs of one batch.
    #[must_use]
    pub const fn batch(batch: BatchId) -> Self {
        Self { batch: Some(batch), queue: None, state: None, worker: None }
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
    /// The jobs, by id. A page may hold fewer than were asked for, even none, and not be the last.
    pub jobs: Vec<JobView>,
    /// Where the next page begins; none if this was the last.
    pub next: Option<JobId>,
}

/// What a change applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// A whole batch: every change takes one step, however large it is.
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
    /// Gives live jobs this much time from now, or none: no limit. Only for jobs.
    Deadline(Option<Duration>),
    /// Drops ended jobs. Only for jobs.
    Delete,
    /// Claims no more of the batch. Only for a batch.
    Pause,
    /// Makes dead and cancelled jobs due again, with fresh counters and no deadline. Of a batch it
    /// lifts the cancellation in one step: what that has not ended yet waits again, and the rest
    /// can be replayed job by job.
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
    /// The batches whose id is larger, by id.
    BatchesAfter {
        /// None: from the first.
        after: Option<BatchId>,
        /// At most so many.
        limit: usize,
    },
    /// All queues.
    Queues,
    /// The workers that were alive lately.
    Workers,
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The queues, by name.
    pub queues: Vec<QueueStats>,
    /// The batches that are known, in the order of the query.
    pub batches: Vec<BatchStats>,
    /// The workers, by name.
    pub workers: Vec<WorkerStats>,
}

/// A worker, as the queue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its name.
    pub worker: WorkerId,
    /// Its last beat or claim.
    pub seen_at: Timestamp,
    /// Jobs that it holds.
    pub leases: u64,
}

impl WorkerStats {
    /// A worker that holds so many jobs.
    #[must_use]
    pub const fn new(worker: WorkerId, seen_at: Timestamp, leases: u64) -> Self {
        Self { worker, seen_at, leases }
    }
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
    /// The most live jobs, if there is a limit.
    pub max_len: Option<usize>,
}

impl QueueStats {
    /// A queue that is not paused and has no limit.
    #[must_use]
    pub const fn new(queue: QueueName, counts: JobCounts) -> Self {
        Self { queue, counts, paused: false, max_len: None }
    }
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
    /// When its first job was enqueued.
    pub created_at: Timestamp,
    /// When its last job was enqueued or ended.
    pub changed_at: Timestamp,
}

impl BatchStats {
    /// A batch that is neither cancelled nor paused.
    #[must_use]
    pub const fn new(batch: BatchId, counts: JobCounts, created_at: Timestamp) -> Self {
        let (cancelled, paused) = (false, false);
        Self { batch, counts, cancelled, paused, created_at, changed_at: created_at }
    }
}
