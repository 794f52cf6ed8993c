//! What an earlier run left behind.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::engine::read_check;
use story_checker_core::queue::{
    Alter, JobCounts, JobFilter, JobLease, JobQueue, JobState, JobView, MAX_ITEMS, Outcome, Select,
    Settlement, StatsQuery,
};
use story_checker_core::{BatchId, JobId, Report, Result, WorkerId};

use super::feed::{Jobs, is_served, missing, unknown};
use super::outbox::Outbox;
use crate::targets::TargetList;

/// What an earlier run left behind, when its answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restored {
    /// Jobs that go on.
    pub(super) live: u64,
    /// Answers of the earlier run.
    pub(super) answered: u64,
    /// Answers that the store has dropped.
    pub(super) dropped: u64,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered before, {} to go", self.answered, self.live)?;
        match self.dropped {
            0 => Ok(()),
            dropped => write!(f, "; {dropped} earlier answers are no longer in the store"),
        }
    }
}

/// The name of the worker of a run.
pub(crate) fn worker_name(batch: BatchId) -> String {
    format!("{}{}", prefix(batch), std::process::id())
}

fn prefix(batch: BatchId) -> String {
    format!("check-{batch}-")
}

/// Writes what the earlier run has answered, frees what it still holds, and gives `time` to the
/// rest. The lists leave out what is known. Called before the engine starts.
pub(super) async fn restore(
    jobs: &Jobs,
    time: Duration,
    list: &mut TargetList,
    told: &mut Told,
    out: &mut Outbox,
) -> Result<Restored> {
    let mut restored = Restored::default();
    let mut after = None;
    loop {
        let page = jobs.queue.list(&JobFilter::batch(jobs.batch), after, MAX_ITEMS).await?;
        let (mut live, mut held) = (Vec::new(), Vec::new());
        for view in page.jobs {
            let target = read_check(&view.payload).ok();
            target.iter().for_each(|target| list.leave_out(target));
            if view.state.is_final() {
                restored.answered += 1;
                told.tell(view, out).await;
                continue;
            }
            match target {
                Some(target) if !is_served(jobs, &target) => {
                    let cause = missing(&target);
                    out.send(Arc::new(unknown(target, cause))).await;
                    continue;
                }
                _ => restored.live += 1,
            }
            if view.state == JobState::Leased && is_left(&view, jobs) {
                let lease = JobLease::new(view.id, view.fence);
                let outcome = Outcome::Release { after: Duration::ZERO };
                held.push(Settlement::new(lease, outcome));
            }
            live.push(view.id);
        }
        if !live.is_empty() {
            jobs.queue.alter(&Select::Jobs(live), Alter::Deadline(Some(time))).await?;
        }
        if !held.is_empty() {
            jobs.queue.settle(held, None).await?;
        }
        match page.next {
            Some(next) if !out.closed => after = Some(next),
            _ => break,
        }
    }
    let ended = counts(&*jobs.queue, jobs.batch).await?.ended();
    restored.dropped = ended.saturating_sub(restored.answered);
    told.lost = restored.dropped;
    Ok(restored)
}

/// Whether the holder of a job is a run that has ended: nobody else works on jobs that are not
/// shared, and who continues a run says that it has ended.
fn is_left(view: &JobView, jobs: &Jobs) -> bool {
    let of_run = |worker: &WorkerId| worker.as_str().starts_with(&prefix(jobs.batch));
    !jobs.shared || view.worker.as_ref().is_some_and(of_run)
}

/// Counts of the batch.
pub(super) async fn counts(queue: &dyn JobQueue, batch: BatchId) -> Result<JobCounts> {
    let stats = queue.stats(&StatsQuery::Batches(vec![batch])).await?;
    Ok(stats.batches.first().map(|batch| batch.counts).unwrap_or_default())
}

/// The jobs whose end is told.
#[derive(Debug, Default)]
pub(super) struct Told {
    ids: HashSet<JobId>,
    /// Jobs whose end cannot be told, because the store has dropped them.
    lost: u64,
}

impl Told {
    /// Takes note of a job's end; false if it was told before.
    pub(super) fn insert(&mut self, id: JobId) -> bool {
        self.ids.insert(id)
    }

    fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Writes the report of a job that has ended, unless that was done; true if it was not.
    async fn tell(&mut self, view: JobView, out: &mut Outbox) -> bool {
        if !self.ids.insert(view.id) {
            return false;
        }
        let result = view.result.filter(|result| !result.is_empty());
        match result.map(|result| serde_json::from_slice::<Report>(&result)) {
            Some(Ok(report)) => out.send(Arc::new(report)).await,
            Some(Err(error)) => {
                tracing::error!(job = %view.id, %error, "a stored report cannot be read");
            }
            // Cancelled, or its payload could not be understood.
            None => {
                tracing::warn!(job = %view.id, state = ?view.state, "it ended without a report")
            }
        }
        true
    }

    /// Looks for jobs that ended elsewhere: another process has checked or cancelled them. Returns
    /// how many there were.
    pub(super) async fn catch_up(&mut self, jobs: &Jobs, out: &mut Outbox) -> Result<u64> {
        let mut found = 0;
        let ended = counts(&*jobs.queue, jobs.batch).await?.ended();
        if ended <= self.len() + self.lost {
            return Ok(found);
        }
        for state in [JobState::Done, JobState::Dead, JobState::Cancelled] {
            let filter = JobFilter::batch(jobs.batch).with_state(state);
            let mut after = None;
            loop {
                let page = jobs.queue.list(&filter, after, MAX_ITEMS).await?;
                for view in page.jobs {
                    found += u64::from(self.tell(view, out).await);
                }
                match page.next {
                    Some(next) if !out.closed => after = Some(next),
                    _ => break,
                }
            }
        }
        let lost = ended.saturating_sub(self.len()).max(self.lost);
        found += lost - self.lost;
        self.lost = lost;
        Ok(found)
    }
}
