//! The port that keeps jobs: nothing acknowledged is ever lost.
//!
//! A job is opaque bytes to the queue. It is *enqueued*, *claimed* under a lease with a fence, kept
//! alive by the *beat*, and *settled*. The queue knows no rate limits and has no event stream; it
//! does know batches, because their counters must change in the same atomic step as the jobs.

mod memory;
mod retention;
mod view;

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::memory::InMemoryJobQueue;
pub use self::retention::Retention;
pub use self::view::{
    Alter, Altered, BatchStats, JobCounts, JobFilter, JobPast, JobState, JobView, Page, QueueStats,
    Select, Stats, StatsQuery, WorkerStats,
};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{BatchId, Fence, JobId, WorkerId};
use crate::retry::DeadReason;

/// The name of a queue: jobs of one sort, such as `check/instagram/account`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// Wraps the name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for QueueName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl Display for QueueName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job to be enqueued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewJob {
    /// Its id, made by the client, so that sending it again after a lost reply does no harm.
    pub id: JobId,
    /// The queue.
    pub queue: QueueName,
    /// The batch it belongs to.
    pub batch: Option<BatchId>,
    /// 0 is first, 255 last.
    pub priority: u8,
    /// Opaque to the queue.
    pub payload: Bytes,
    /// Not claimed before this much time has passed.
    pub delay: Duration,
    /// From now on; after it an answer is of no use any more.
    pub deadline: Option<Duration>,
    /// While a live job of the same queue has the same key, this one is a duplicate.
    pub unique: Option<Bytes>,
    /// What it went through in another store that it was exported from; `delay` and `deadline`
    /// then do not count.
    pub past: Option<Box<JobPast>>,
}

impl NewJob {
    /// A job of priority 100, due at once, without batch, deadline or uniqueness.
    #[must_use]
    pub const fn new(id: JobId, queue: QueueName, payload: Bytes) -> Self {
        Self {
            id,
            queue,
            batch: None,
            priority: 100,
            payload,
            delay: Duration::ZERO,
            deadline: None,
            unique: None,
            past: None,
        }
    }
}

/// The answer for one enqueued job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Enqueued {
    /// A job with this id, or a live one with this unique key, exists already; nothing was
    /// changed.
    Duplicate {
        /// The job that exists.
        existing: JobId,
    },
    /// The queue holds as many jobs as it may; nothing was changed. Try again later.
    Full,
    /// It will end as done, dead or cancelled.
    Inserted,
}

/// Asks for jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// From which queues, and how many at most of each.
    pub wants: Vec<(QueueName, usize)>,
    /// Who asks.
    pub worker: WorkerId,
    /// How long the leases hold without a beat.
    pub lease: Duration,
    /// Claims, instead of what is due, the jobs that no one will get to in time: those whose
    /// deadline has passed or will within this span, whether they are due or not.
    pub hopeless_within: Option<Duration>,
}

impl ClaimRequest {
    /// Asks for due jobs.
    #[must_use]
    pub const fn new(wants: Vec<(QueueName, usize)>, worker: WorkerId, lease: Duration) -> Self {
        Self { wants, worker, lease, hopeless_within: None }
    }
}

/// Which lease is meant: the job and the fence it was claimed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct JobLease {
    /// The job.
    pub id: JobId,
    /// The number of the grant.
    pub fence: Fence,
}

impl JobLease {
    /// The lease of `id` with this fence.
    #[must_use]
    pub const fn new(id: JobId, fence: Fence) -> Self {
        Self { id, fence }
    }
}

/// A claimed job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimedJob {
    /// The lease under which it is settled.
    pub lease: JobLease,
    /// Where it came from.
    pub queue: QueueName,
    /// Its batch.
    pub batch: Option<BatchId>,
    /// What it says.
    pub payload: Bytes,
    /// Attempts that have failed before.
    pub attempt: u32,
    /// How often its worker died.
    pub crashes: u32,
    /// How often it has been put off.
    pub deferrals: u32,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// After this time an answer is of no use any more.
    pub deadline: Option<Timestamp>,
}

impl ClaimedJob {
    /// A claimed job by its parts, never tried before; for stores.
    #[must_use]
    pub const fn new(
        lease: JobLease,
        queue: QueueName,
        payload: Bytes,
        enqueued_at: Timestamp,
    ) -> Self {
        Self {
            lease,
            queue,
            batch: None,
            payload,
            attempt: 0,
            crashes: 0,
            deferrals: 0,
            enqueued_at,
            deadline: None,
        }
    }
}

/// What was claimed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Claimed {
    /// The jobs, by priority; those of one priority shared evenly between the batches that have
    /// any, and within one batch in the order of their enqueuing.
    pub jobs: Vec<ClaimedJob>,
    /// When the next job of the wanted queues becomes due, if it is known and later than now.
    pub next_at: Option<Timestamp>,
}

/// How a job's lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It ends because it was cancelled.
    Cancelled,
    /// It ends without success.
    Dead {
        /// Why.
        reason: DeadReason,
        /// Stored with the job, in the same atomic step.
        result: Bytes,
    },
    /// It is put off: one more deferral.
    Defer {
        /// Not before this much time has passed.
        after: Duration,
        /// Why, for people.
        note: String,
    },
    /// It ends well.
    Done {
        /// Stored with the job, in the same atomic step.
        result: Bytes,
    },
    /// It is given back as if it had never been claimed.
    Release {
        /// Not before this much time has passed.
        after: Duration,
    },
    /// It is tried again: one more failed attempt.
    Retry {
        /// Not before this much time has passed.
        after: Duration,
        /// What failed, for people.
        note: String,
    },
}

/// Ends the lease of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settlement {
    /// The lease that ends.
    pub lease: JobLease,
    /// How.
    pub outcome: Outcome,
}

impl Settlement {
    /// Ends `lease` with `outcome`.
    #[must_use]
    pub const fn new(lease: JobLease, outcome: Outcome) -> Self {
        Self { lease, outcome }
    }
}

/// The answer to one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// This very lease was settled before; its first outcome stands.
    AlreadyDone,
    /// It is stored.
    Applied,
    /// There is no such job any more.
    Gone,
    /// The lease is over; nothing was changed.
    Stale,
}

/// What a beat says of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeatReply {
    /// It holds, but the job has been cancelled: stop, and settle it as cancelled.
    Cancel,
    /// It holds for another lease's time.
    Held,
    /// It is over: stop, and settle nothing.
    Stale,
}

/// Renews all leases of a worker at once and says that it is alive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Beat {
    /// Who is alive.
    pub worker: WorkerId,
    /// How long the leases hold from now.
    pub lease: Duration,
    /// The leases.
    pub leases: Vec<JobLease>,
}

impl Beat {
    /// Renews `leases` of `worker`.
    #[must_use]
    pub const fn new(worker: WorkerId, lease: Duration, leases: Vec<JobLease>) -> Self {
        Self { worker, lease, leases }
    }
}

/// What one round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Leases that were over; their jobs are due again, each with one more crash.
    pub reaped: usize,
    /// Finished jobs that were dropped, as the retention says.
    pub pruned: usize,
    /// There is more to do.
    pub more: bool,
}

/// Settings of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueControl {
    /// Stops or resumes claiming.
    pub paused: Option<bool>,
    /// The most live jobs; `Some(None)` means no limit.
    pub max_len: Option<Option<usize>>,
}

/// Keeps jobs until they have ended.
///
/// # Contract
/// * A job whose enqueuing was acknowledged ends as done, dead or cancelled, and is dropped only as
///   the retention says.
/// * It is executed at least once, and settled at most once per lease. Each claim raises the
///   fence; under an older fence nothing changes.
/// * Attempts, crashes and deferrals are counted apart. A release counts as none of them.
/// * Only the store's clock counts. Callers send spans, never times.
/// * Answers come one per item, in order; one bad item never spoils the others. Every call may be
///   sent again after a lost reply. At most [`MAX_ITEMS`] items go into one call.
/// * Cancelling is stored: a job that waits is cancelled at once, one that runs learns it by the
///   next beat. A cancelled job is never tried again, unless the operator replays it.
/// * A paused batch, a cancelled one and a paused queue cost a claim nothing, however much waits in
///   them.
#[async_trait]
pub trait JobQueue: Debug + Display + Send + Sync + 'static {
    /// Takes jobs in.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the store cannot be reached;
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for more than [`MAX_ITEMS`] jobs.
    ///
    /// # Cancel safety
    /// May have been applied; sending the same jobs again answers `Duplicate` for those that were.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>>;

    /// Leases jobs: by priority, and within one priority from the batches in turn. The worker
    /// counts as alive.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Jobs claimed by a dropped call become due again when their lease is over; that counts as a
    /// crash.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed>;

    /// Ends leases, each with its outcome, and then claims as [`JobQueue::claim`] does if `next` is
    /// given: one round trip for both.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// May have been applied; sending it again answers `AlreadyDone` for those that were.
    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)>;

    /// Renews leases; one answer per lease. The worker counts as alive, also without leases.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Safe: sending it again does no harm.
    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>>;

    /// Returns true when one of the queues may have a due job, or false after `max` without one. A
    /// hint: it may say true for nothing, and a store without notifications may just poll.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool>;

    /// Frees jobs whose lease is over, and drops what the retention says; at most `budget` jobs.
    /// Forgets workers that were not alive for [`WORKERS_KEPT`]. Every worker calls it from time
    /// to time. A job that has crashed too often is claimed like
    /// any other: the claimer sees the count and settles it as dead.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Safe: whatever was done is complete by itself.
    async fn maintain(&self, budget: usize) -> Result<Maintained>;

    /// Cancels, replays, deletes, pauses or resumes what is selected, or moves its deadline.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a change
    /// that does not fit the selection.
    ///
    /// # Cancel safety
    /// May have been applied; sending it again does no harm.
    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered>;

    /// Changes the settings of a queue.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// May have been applied; sending it again does no harm.
    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()>;

    /// Looks at jobs by id; `None` for those that are unknown.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>>;

    /// Looks at the jobs that match, by id, at most `limit`, those after `after` only. A job that
    /// does not change while paging appears exactly once.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page>;

    /// Counts of queues and batches.
    ///
    /// # Errors
    /// As [`JobQueue::enqueue`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn stats(&self, query: &StatsQuery) -> Result<Stats>;
}

/// How long a worker is remembered after its last sign of life.
pub const WORKERS_KEPT: Duration = Duration::from_secs(3_600);

/// The most items in one call of a [`JobQueue`].
pub const MAX_ITEMS: usize = 512;

/// Refuses a call with more than [`MAX_ITEMS`] items; for stores.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), which says how many there are.
pub fn check_len(operation: &'static str, items: usize) -> Result<()> {
    if items > MAX_ITEMS {
        let what = format!("{items} items in one call, at most {MAX_ITEMS} are allowed");
        return Err(Error::invalid(operation, what));
    }
    Ok(())
}

const _: Option<&dyn JobQueue> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: JobQueue + ?Sized> JobQueue for $pointer {
            async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
                (**self).enqueue(jobs).await
            }

            async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
                (**self).claim(request).await
            }

            async fn settle(
                &self,
                settlements: Vec<Settlement>,
                next: Option<&ClaimRequest>,
            ) -> Result<(Vec<Settled>, Claimed)> {
                (**self).settle(settlements, next).await
            }

            async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
                (**self).beat(beat).await
            }

            async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
                (**self).wait(queues, max).await
            }

            async fn maintain(&self, budget: usize) -> Result<Maintained> {
                (**self).maintain(budget).await
            }

            async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
                (**self).alter(select, alter).await
            }

            async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
                (**self).configure(queue, control).await
            }

            async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
                (**self).get(ids).await
            }

            async fn list(
                &self,
                filter: &JobFilter,
                after: Option<JobId>,
                limit: usize,
            ) -> Result<Page> {
                (**self).list(filter, after, limit).await
            }

            async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
                (**self).stats(query).await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);
