//! Calls that fail, lose their replies, or are dropped half-way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, done, recount, retry, waiting};
use crate::error::{Certainty, Result};
use crate::queue::{
    Alter, ClaimedJob, Enqueued, JobFilter, JobQueue, JobState, NewJob, Outcome, Settled,
    Settlement,
};
use crate::testing::{Faulty, Plan};

/// Sends a call again until its reply arrives. Says whether it was sent more than once.
async fn insist<T>(call: impl AsyncFn() -> Result<T>) -> (T, bool) {
    let mut again = false;
    loop {
        match call().await {
            Ok(reply) => return (reply, again),
            Err(error) => assert_ne!(error.certainty(), Certainty::Permanent, "{error}"),
        }
        again = true;
    }
}

/// With a third of all calls failing before or after they were applied, each job that was taken in
/// ends once, and the counts stay true (I5, and every verb sent twice).
pub async fn nothing_is_lost_with_the_replies(fixture: &dyn QueueFixture) {
    const JOBS: usize = 60;
    let bench = Bench::new(fixture).await;
    let plan = Plan::Random { seed: 7, one_in: 6 };
    let queue = Faulty::with_plan(Arc::clone(&bench.queue), plan);
    let batch = bench.batch();
    let mut ended = HashMap::new();
    for _ in 0..JOBS / 10 {
        let job = || NewJob { batch: Some(batch), ..bench.job("x") };
        let jobs: Vec<_> = (0..10).map(|_| job()).collect();
        let (replies, again) = insist(async || queue.enqueue(jobs.clone()).await).await;
        for (job, reply) in jobs.iter().zip(replies) {
            let itself = Enqueued::Duplicate { existing: job.id };
            assert!(reply == Enqueued::Inserted || again && reply == itself, "{reply:?}");
            ended.insert(job.id, 0);
        }
    }
    let mut rounds = 0;
    while ended.values().any(|ends| *ends == 0) {
        rounds += 1;
        assert!(rounds < 500, "jobs are lost: {ended:?}");
        let request = bench.request(7);
        let (claimed, _) = insist(async || queue.claim(&request).await).await;
        let outcome = |job: &ClaimedJob| match job.attempt {
            0 if job.payload.is_empty() || rounds % 3 == 0 => retry(Duration::ZERO),
            _ => done(),
        };
        let ends: Vec<_> =
            claimed.jobs.iter().map(|job| Settlement::new(job.lease, outcome(job))).collect();
        let ((settled, _), again) = insist(async || queue.settle(ends.clone(), None).await).await;
        for (end, reply) in ends.iter().zip(settled) {
            let fine = reply == Settled::Applied || again && reply == Settled::AlreadyDone;
            assert!(fine, "{reply:?}, sent again: {again}");
            if matches!(end.outcome, Outcome::Done { .. }) {
                *ended.entry(end.lease.id).or_default() += 1;
            }
        }
        if claimed.jobs.is_empty() {
            // What a lost claim holds comes back when its leases are over.
            bench.advance(LEASE).await;
            insist(async || queue.maintain(100).await).await;
        }
    }
    assert!(ended.values().all(|ends| *ends == 1), "settled twice: {ended:?}");
    let jobs = bench.list(&JobFilter::batch(batch)).await;
    assert_eq!(bench.batch_counts(batch).await, recount(&jobs));
    assert_eq!(bench.batch_counts(batch).await.done, JOBS as u64);
}

/// A call whose future is dropped was applied as a whole or not at all, and can be sent again.
pub async fn calls_that_were_dropped_do_no_harm(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    for _ in 0..20 {
        let jobs: Vec<_> =
            (0..3).map(|_| NewJob { batch: Some(batch), ..bench.job("x") }).collect();
        // Polled once, then dropped.
        drop(bench.queue.enqueue(jobs.clone()).now_or_never());
        for (job, reply) in jobs.iter().zip(bench.enqueue(jobs.clone()).await) {
            let itself = Enqueued::Duplicate { existing: job.id };
            assert!(reply == Enqueued::Inserted || reply == itself, "{reply:?}");
        }
        drop(bench.queue.claim(&bench.request(1)).now_or_never());
        let jobs = bench.claim(2).await;
        let ends: Vec<_> = jobs.iter().map(|job| Settlement::new(job.lease, done())).collect();
        drop(bench.queue.settle(ends.clone(), None).now_or_never());
        let (settled, _) = bench.queue.settle(ends, None).await.unwrap();
        let fine = |reply: &Settled| matches!(reply, Settled::Applied | Settled::AlreadyDone);
        assert!(settled.iter().all(fine), "{settled:?}");
    }
    bench.advance(LEASE).await;
    bench.maintain().await;
    drop(bench.queue.alter(&crate::queue::Select::Batch(batch), Alter::Pause).now_or_never());
    bench.alter_batch(batch, Alter::Resume).await;
    bench.advance(MINUTE).await;
    let jobs = bench.list(&JobFilter::batch(batch)).await;
    assert_eq!(jobs.len(), 60);
    assert!(jobs.iter().all(|job| job.state != JobState::Leased));
    assert_eq!(waiting(bench.batch_counts(batch).await), waiting(recount(&jobs)));
    let due = jobs.iter().filter(|job| job.state == JobState::Ready).count();
    assert_eq!(bench.claim(99).await.len(), due);
}
