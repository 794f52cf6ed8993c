mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use self::state::State;
use super::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, JobFilter, JobQueue, JobView,
    Maintained, NewJob, Page, QueueControl, QueueName, Retention, Select, Settled, Settlement,
    Stats, StatsQuery, check_len,
};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::id::JobId;
#[cfg(feature = "testing")]
use crate::queue::JobLease;

/// Jobs in this process's memory: gone when it ends. It is also the model that every other store
/// is compared with.
#[derive(Debug)]
pub struct InMemoryJobQueue {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

impl InMemoryJobQueue {
    /// An empty queue with the default retention.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_retention(clock, Retention::default())
    }

    /// An empty queue that keeps ended jobs as told.
    #[must_use]
    pub fn with_retention(clock: Arc<dyn Clock>, retention: Retention) -> Self {
        Self { clock, state: Mutex::new(State::new(retention)), changed: Notify::new() }
    }

    /// Leases exactly these waiting jobs: as the model of a store that has chosen them.
    #[cfg(feature = "testing")]
    pub(crate) fn grant_these(&self, ids: &[JobId], request: &ClaimRequest) -> Vec<JobLease> {
        let now = self.clock.now();
        self.lock().grant_these(ids, request, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for InMemoryJobQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("queue in memory")
    }
}

#[async_trait]
impl JobQueue for InMemoryJobQueue {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        check_len("enqueue jobs", jobs.len())?;
        let now = self.clock.now();
        let mut state = self.lock();
        let replies = jobs.into_iter().map(|job| state.enqueue(job, now)).collect();
        drop(state);
        self.changed.notify_waiters();
        Ok(replies)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        let now = self.clock.now();
        Ok(self.lock().claim(request, now))
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        check_len("settle jobs", settlements.len())?;
        let now = self.clock.now();
        let mut state = self.lock();
        let settled: Vec<_> =
            settlements.into_iter().map(|settlement| state.settle(settlement, now)).collect();
        state.prune(settled.len() * 2, now);
        let claimed = next.map_or_else(Claimed::default, |request| state.claim(request, now));
        drop(state);
        self.changed.notify_waiters();
        Ok((settled, claimed))
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        let now = self.clock.now();
        let until = now + beat.lease;
        let mut state = self.lock();
        state.alive(&beat.worker, now);
        Ok(beat.leases.iter().map(|lease| state.renew(*lease, until)).collect())
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        let give_up = tokio::time::Instant::now() + max;
        loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.clock.now();
            let due = self.lock().next_due(queues, now);
            let mut until = give_up;
            if let Some(due) = due {
                if due <= now {
                    return Ok(true);
                }
                until = until.min(tokio::time::Instant::now() + due.since(now));
            }
            tokio::select! {
                biased;
                () = &mut changed => {}
                () = tokio::time::sleep_until(until) => {
                    if until == give_up {
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        let now = self.clock.now();
        let mut state = self.lock();
        let reaped = state.reap(budget, now);
        let swept = state.sweep_cancelled(budget - reaped, now);
        let pruned = state.prune(budget - reaped - swept, now);
        state.forget_workers(now);
        drop(state);
        if reaped > 0 {
            self.changed.notify_waiters();
        }
        let more = reaped + swept + pruned >= budget;
        Ok(Maintained { reaped, pruned, more })
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        let now = self.clock.now();
        let altered = match (select, alter) {
            (Select::Batch(batch), Alter::Cancel) => self.lock().cancel_batch(*batch),
            (Select::Batch(batch), Alter::Pause) => self.lock().pause_batch(*batch, true),
            (Select::Batch(batch), Alter::Resume) => self.lock().pause_batch(*batch, false),
            (Select::Batch(batch), Alter::Replay) => self.lock().replay_batch(*batch),
            (
                Select::Jobs(ids),
                Alter::Cancel | Alter::Deadline(_) | Alter::Delete | Alter::Replay,
            ) => {
                check_len("alter jobs", ids.len())?;
                let mut state = self.lock();
                let mut altered = Altered::default();
                for id in ids {
                    let done = match alter {
                        Alter::Cancel => state.cancel(*id, now),
                        Alter::Deadline(span) => {
                            state.set_deadline(*id, span.map(|span| now + span))
                        }
                        Alter::Delete => state.delete(*id, now),
                        _ => state.replay(*id, now),
                    };
                    altered.changed += u64::from(done);
                    altered.refused += u64::from(!done);
                }
                altered
            }
            (select, alter) => {
                let what = match select {
                    Select::Batch(_) => "a batch",
                    Select::Jobs(_) => "single jobs",
                };
                return Err(Error::invalid("alter jobs", format!("{alter:?} is not for {what}")));
            }
        };
        self.changed.notify_waiters();
        Ok(altered)
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        self.lock().configure(queue, control);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        let state = self.lock();
        Ok(ids.iter().map(|id| state.view(*id)).collect())
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        Ok(self.lock().list(filter, after, limit))
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        Ok(self.lock().stats(query))
    }
}

#[cfg(test)]
mod tests;
