use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use super::doctor::{Diagnosis, Shares, diagnose};
use super::event::{Overflow, Subscription};
use super::job::check_job;
use super::pool::SessionView;
use super::shared::Shared;
use crate::cache::CacheStats;
use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::id::{BatchId, WorkerId};
use crate::proxy::ProxyView;
use crate::queue::{Alter, Enqueued, MAX_ITEMS, NewJob, Select, Stats, StatsQuery};
use crate::report::Cause;
use crate::target::Target;

/// How often to try a full queue that nobody here makes room in.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Steers a running engine. Clones steer the same one; when the last is dropped without
/// [`shutdown`](EngineHandle::shutdown), the engine stops at once.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
    _stop: Arc<[DropGuard; 2]>,
}

/// How targets are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmitOptions {
    /// Adds to this batch, instead of beginning a new one.
    pub batch: Option<BatchId>,
    /// 0 is first, 255 last. Default 100.
    pub priority: u8,
    /// From now on; what has no answer by then is reported as unknown.
    pub deadline: Option<Duration>,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self { batch: None, priority: 100, deadline: None }
    }
}

impl SubmitOptions {
    /// Adds to this batch.
    #[must_use]
    pub const fn with_batch(mut self, batch: BatchId) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Checks in this order of priority.
    #[must_use]
    pub const fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Reports as unknown what has no answer in this time.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// What became of submitted targets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submitted {
    /// The batch they belong to.
    pub batch: BatchId,
    /// How many were taken; each ends in exactly one event.
    pub accepted: usize,
    /// Targets that no checker of this engine answers for.
    pub refused: Vec<Target>,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// All running checks have ended by themselves. If not, their jobs were given back.
    pub in_time: bool,
}

/// Counts of a running engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// Jobs that ended with a report.
    pub reported: u64,
    /// Those among them whose verdict is unknown.
    pub unknown: u64,
    /// Jobs that ended by a cancellation.
    pub cancelled: u64,
    /// Jobs that ended because their payload could not be understood.
    pub dropped: u64,
    /// Failed attempts that were followed by another.
    pub retried: u64,
    /// Jobs put off.
    pub deferred: u64,
    /// Jobs given back untouched because our own limits had no room.
    pub released: u64,
    /// Answers that came after their lease was lost.
    pub stale: u64,
    /// Calls of checkers.
    pub checks: u64,
    /// Calls of checkers that panicked.
    pub panics: u64,
    /// Jobs running now.
    pub running: usize,
    /// Calls of checkers running now.
    pub in_flight: usize,
    /// Sessions leased now.
    pub sessions: usize,
    /// Whether claiming is stopped.
    pub paused: bool,
}

impl EngineHandle {
    pub(super) fn new(shared: Arc<Shared>, ended: watch::Receiver<bool>) -> Self {
        let stop = [shared.stop.clone().drop_guard(), shared.abort.clone().drop_guard()];
        Self { shared, ended, _stop: Arc::new(stop) }
    }

    /// The name of this worker in leases.
    #[must_use]
    pub fn worker(&self) -> &WorkerId {
        &self.shared.worker
    }

    /// Enqueues a job for each target, in chunks; waits while the queue is full.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the queue cannot be reached, [`ErrorKind::Closed`] once the
    /// engine shuts down. A part of the targets may have been taken.
    ///
    /// # Cancel safety
    /// A part of the targets may have been taken. They end in events like any others.
    pub async fn submit(
        &self,
        targets: impl IntoIterator<Item = Target> + Send,
        options: SubmitOptions,
    ) -> Result<Submitted> {
        let now = self.shared.clock.now();
        let batch = options.batch.unwrap_or_else(|| self.shared.ids.batch(now));
        let mut refused = Vec::new();
        let mut jobs = Vec::new();
        for target in targets {
            if !self.shared.lanes.iter().any(|lane| lane.serves(&target)) {
                refused.push(target);
                continue;
            }
            let job = check_job(self.shared.ids.job(now), &target);
            jobs.push(NewJob {
                batch: Some(batch),
                priority: options.priority,
                deadline: options.deadline,
                ..job
            });
        }
        let accepted = jobs.len();
        while !jobs.is_empty() {
            let rest = jobs.split_off(jobs.len().min(MAX_ITEMS));
            self.enqueue(std::mem::replace(&mut jobs, rest)).await?;
        }
        Ok(Submitted { batch, accepted, refused })
    }

    async fn enqueue(&self, mut jobs: Vec<NewJob>) -> Result<()> {
        // All at first; into a full queue only what there is room for, or a chunk of 500 would be
        // sent again for every few jobs that end.
        let mut room = jobs.len();
        while !jobs.is_empty() {
            if self.shared.stop.is_cancelled() {
                let error = Error::new(ErrorKind::Closed, Certainty::Permanent, "submit targets");
                return Err(error.with_context("the engine shuts down"));
            }
            let sent = room.min(jobs.len());
            let replies = self.shared.queue.enqueue(jobs[..sent].to_vec()).await?;
            let mut replies = replies.into_iter();
            // What did not fit is tried again; a duplicate of our own id was taken before.
            jobs.retain(|_| replies.next().is_none_or(|reply| reply == Enqueued::Full));
            if !jobs.is_empty() {
                room = tokio::select! {
                    biased;
                    room = self.shared.space.take(jobs.len()) => room,
                    () = self.shared.stop.cancelled() => 0,
                    // Another process may have made room.
                    () = tokio::time::sleep(LOOK_AGAIN) => jobs.len(),
                };
            }
        }
        Ok(())
    }

    /// Subscribes to events from now on. `capacity` events are buffered; `overflow` says what
    /// happens when that is not enough.
    #[must_use]
    pub fn subscribe(&self, capacity: usize, overflow: Overflow) -> Subscription {
        self.shared.bus.subscribe(capacity, overflow)
    }

    /// Cancels a batch: what waits ends now, what runs by the next beat. Returns how many jobs that
    /// concerns. Waiting jobs have no event of their own.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the queue cannot be reached.
    ///
    /// # Cancel safety
    /// May have been applied; calling it again does no harm.
    pub async fn cancel(&self, batch: BatchId) -> Result<u64> {
        let altered = self.shared.queue.alter(&Select::Batch(batch), Alter::Cancel).await?;
        Ok(altered.changed)
    }

    /// Stops claiming; running checks go on.
    pub fn pause(&self) {
        self.shared.paused.store(true, Ordering::Release);
    }

    /// Claims again.
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let counters = &self.shared.counters;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        EngineStats {
            reported: read(&counters.reported),
            unknown: read(&counters.unknown),
            cancelled: read(&counters.cancelled),
            dropped: read(&counters.dropped),
            retried: read(&counters.retried),
            deferred: read(&counters.deferred),
            released: read(&counters.released),
            stale: read(&counters.stale),
            checks: read(&counters.checks),
            panics: read(&counters.panics),
            running: self.shared.running.len(),
            in_flight: self.shared.groups.load(Ordering::Relaxed),
            sessions: self.shared.pool.held(),
            paused: self.shared.paused.load(Ordering::Relaxed),
        }
    }

    /// The proxies as they stand in this worker.
    #[must_use]
    pub fn proxies(&self) -> Vec<ProxyView> {
        self.shared.pool.proxies()
    }

    /// The sessions that this worker has leased, or has had within a day, by label.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        self.shared.pool.sessions()
    }

    /// Counts of a batch, by the queue.
    ///
    /// # Errors
    /// As [`EngineHandle::cancel`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn batch(&self, batch: BatchId) -> Result<Stats> {
        self.shared.queue.stats(&StatsQuery::Batches(vec![batch])).await
    }

    /// Counts of the cache.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the cache cannot be reached.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn cache_stats(&self) -> Result<CacheStats> {
        self.shared.cache.stats().await
    }

    /// Why a target could not be checked at this moment, and when it could: what a report would say
    /// whose deadline is now. None if no checker answers for it.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn why_not(&self, target: &Target) -> Option<Cause> {
        let lane = self.shared.lanes.iter().find(|lane| lane.serves(target))?;
        Some(self.shared.pool.why_not(lane).await)
    }

    /// Where the time of this worker went in the last minute or two.
    #[must_use]
    pub fn shares(&self) -> Shares {
        self.shared.meter.shares()
    }

    /// What bounds the throughput now, how that is known, and what would raise it.
    #[must_use]
    pub fn why_not_scaling(&self) -> Diagnosis {
        diagnose(&self.shares())
    }

    /// Shuts the engine down: claims no more, lets what runs finish within `grace`, and gives back
    /// what does not. Everything that was settled has been stored, and every event handed out, when
    /// it returns.
    ///
    /// # Cancel safety
    /// The shutdown goes on; calling it again waits for it, with a grace of its own.
    pub async fn shutdown(&self, grace: Duration) -> Drained {
        self.shared.stop.cancel();
        let mut ended = self.ended.clone();
        // The sender is gone only when the engine is, which is an end as well.
        let in_time = tokio::time::timeout(grace, ended.wait_for(|ended| *ended)).await.is_ok();
        if !in_time {
            self.shared.abort.cancel();
            _ = ended.wait_for(|ended| *ended).await;
        }
        Drained { in_time }
    }
}
