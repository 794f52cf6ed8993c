//! What all cases do with a queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::QueueFixture;
use crate::clock::Timestamp;
use crate::id::{BatchId, IdSource, JobId};
use crate::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, ClaimedJob, Enqueued, JobCounts,
    JobFilter, JobLease, JobQueue, JobState, JobView, NewJob, Outcome, QueueName, Retention,
    Select, Settled, Settlement, StatsQuery,
};
use crate::retry::DeadReason;

/// Longer than a clock may run by itself.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const LEASE: Duration = Duration::from_secs(120);

pub(super) fn name() -> QueueName {
    "check/instagram/account".into()
}

pub(super) fn done() -> Outcome {
    Outcome::Done { result: Bytes::from_static(b"result") }
}

pub(super) fn dead() -> Outcome {
    Outcome::Dead { reason: DeadReason::Attempts, result: Bytes::from_static(b"why") }
}

pub(super) fn retry(after: Duration) -> Outcome {
    Outcome::Retry { after, note: "failed".into() }
}

/// A queue of a fixture.
pub(super) struct Bench<'a> {
    pub(super) fixture: &'a dyn QueueFixture,
    pub(super) queue: Arc<dyn JobQueue>,
    ids: IdSource,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(fixture: &'a dyn QueueFixture) -> Self {
        Self::with(fixture, Retention::default()).await
    }

    pub(super) async fn with(fixture: &'a dyn QueueFixture, retention: Retention) -> Self {
        let queue = fixture.queue(retention).await;
        Self { fixture, queue, ids: IdSource::new(None) }
    }

    /// The same store in another process, if it outlives one.
    pub(super) async fn reopen(self) -> Option<Self> {
        let Self { fixture, queue, ids } = self;
        drop(queue);
        Some(Self { fixture, queue: fixture.reopen().await?, ids })
    }

    pub(super) async fn advance(&self, span: Duration) {
        self.fixture.advance(span).await;
    }

    pub(super) fn job(&self, payload: &str) -> NewJob {
        let id = self.ids.job(Timestamp::from_secs(1_795_251_600));
        NewJob::new(id, name(), Bytes::from(payload.to_owned()))
    }

    pub(super) fn batch(&self) -> BatchId {
        self.ids.batch(Timestamp::from_secs(1_795_251_600))
    }

    pub(super) async fn enqueue(&self, jobs: Vec<NewJob>) -> Vec<Enqueued> {
        self.queue.enqueue(jobs).await.unwrap()
    }

    /// Takes one job in.
    pub(super) async fn add(&self, job: NewJob) -> JobId {
        let id = job.id;
        assert_eq!(self.enqueue(vec![job]).await, [Enqueued::Inserted]);
        id
    }

    pub(super) async fn add_all(&self, batch: Option<BatchId>, payloads: &[&str]) -> Vec<JobId> {
        let jobs = payloads.iter().map(|payload| NewJob { batch, ..self.job(payload) });
        self.add_jobs(jobs.collect()).await
    }

    pub(super) async fn add_many(&self, count: usize) -> Vec<JobId> {
        let jobs = (0..count).map(|_| self.job("x")).collect();
        self.add_jobs(jobs).await
    }

    pub(super) async fn add_jobs(&self, jobs: Vec<NewJob>) -> Vec<JobId> {
        let ids = jobs.iter().map(|job| job.id).collect();
        for chunk in jobs.chunks(crate::queue::MAX_ITEMS) {
            let replies = self.enqueue(chunk.to_vec()).await;
            assert_eq!(replies, vec![Enqueued::Inserted; chunk.len()]);
        }
        ids
    }

    pub(super) fn request(&self, max: usize) -> ClaimRequest {
        ClaimRequest::new(vec![(name(), max)], "w".into(), LEASE)
    }

    pub(super) async fn claim_with(&self, request: &ClaimRequest) -> Claimed {
        self.queue.claim(request).await.unwrap()
    }

    pub(super) async fn claim(&self, max: usize) -> Vec<ClaimedJob> {
        self.claim_with(&self.request(max)).await.jobs
    }

    /// Claims the only job that is due.
    pub(super) async fn claim_one(&self) -> ClaimedJob {
        let mut jobs = self.claim(9).await;
        assert_eq!(jobs.len(), 1, "exactly one job is due: {jobs:?}");
        jobs.remove(0)
    }

    pub(super) async fn claim_payloads(&self, max: usize) -> Vec<String> {
        payloads(&self.claim(max).await)
    }

    pub(super) async fn settle(&self, lease: JobLease, outcome: Outcome) -> Settled {
        let settlement = Settlement::new(lease, outcome);
        let (settled, _) = self.queue.settle(vec![settlement], None).await.unwrap();
        assert_eq!(settled.len(), 1, "one answer per settlement");
        settled[0]
    }

    /// Claims the only job that is due and ends its lease.
    pub(super) async fn run(&self, outcome: Outcome) -> ClaimedJob {
        let job = self.claim_one().await;
        assert_eq!(self.settle(job.lease, outcome).await, Settled::Applied);
        job
    }

    pub(super) async fn beat(&self, leases: &[JobLease]) -> Vec<BeatReply> {
        let beat = Beat::new("w".into(), LEASE, leases.to_vec());
        self.queue.beat(&beat).await.unwrap()
    }

    pub(super) async fn alter(&self, ids: &[JobId], alter: Alter) -> Altered {
        self.queue.alter(&Select::Jobs(ids.to_vec()), alter).await.unwrap()
    }

    pub(super) async fn alter_batch(&self, batch: BatchId, alter: Alter) -> Altered {
        self.queue.alter(&Select::Batch(batch), alter).await.unwrap()
    }

    /// Does all the maintenance there is, and returns how many leases were over and how many jobs
    /// were dropped.
    pub(super) async fn maintain(&self) -> (usize, usize) {
        let (mut reaped, mut pruned) = (0, 0);
        loop {
            let round = self.queue.maintain(500).await.unwrap();
            reaped += round.reaped;
            pruned += round.pruned;
            if !round.more {
                return (reaped, pruned);
            }
        }
    }

    pub(super) async fn view(&self, id: JobId) -> Option<JobView> {
        let mut views = self.queue.get(&[id]).await.unwrap();
        assert_eq!(views.len(), 1, "one answer per id");
        views.remove(0)
    }

    pub(super) async fn state(&self, id: JobId) -> Option<JobState> {
        self.view(id).await.map(|view| view.state)
    }

    /// All jobs that match, page by page.
    pub(super) async fn list(&self, filter: &JobFilter) -> Vec<JobView> {
        let (mut jobs, mut after) = (Vec::new(), None);
        loop {
            let page = self.queue.list(filter, after, 500).await.unwrap();
            jobs.extend(page.jobs);
            after = page.next;
            if after.is_none() {
                return jobs;
            }
        }
    }

    pub(super) async fn batch_counts(&self, batch: BatchId) -> JobCounts {
        let stats = self.queue.stats(&StatsQuery::Batches(vec![batch])).await.unwrap();
        stats.batches.first().expect("the batch is known").counts
    }

    /// The counts of the queue that all cases use.
    pub(super) async fn counts(&self) -> JobCounts {
        let stats = self.queue.stats(&StatsQuery::Queues).await.unwrap();
        let of = stats.queues.into_iter().find(|stats| stats.queue == name());
        of.map(|stats| stats.counts).unwrap_or_default()
    }
}

pub(super) fn payloads(jobs: &[ClaimedJob]) -> Vec<String> {
    jobs.iter().map(|job| String::from_utf8(job.payload.to_vec()).unwrap()).collect()
}

/// Counts of rows, where a job that is due but was not looked at may stand in either place.
pub(super) fn waiting(counts: JobCounts) -> JobCounts {
    JobCounts { ready: counts.ready + counts.scheduled, scheduled: 0, ..counts }
}

/// Adds jobs up by their states.
pub(super) fn recount(jobs: &[JobView]) -> JobCounts {
    let mut counts = JobCounts::default();
    for job in jobs {
        *counts.of(job.state) += 1;
    }
    counts
}
