//! Much at once: what was bounded must stay so, and nothing may jam.

use std::collections::HashSet;
use std::time::Duration;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, done};
use crate::queue::{JobFilter, MAX_ITEMS, NewJob, Outcome, Retention, Settled, Settlement};

/// All leases of many workers that died together are freed, and each job comes again once.
pub async fn many_leases_end_at_once(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let count = fixture.scale().expired;
    bench.add_many(count).await;
    let request = crate::queue::ClaimRequest { lease: LEASE * 60, ..bench.request(MAX_ITEMS) };
    let mut held = 0;
    while held < count {
        held += bench.claim_with(&request).await.jobs.len();
    }
    bench.advance(LEASE * 60).await;
    assert_eq!(bench.maintain().await.0, count);
    let mut seen = HashSet::new();
    loop {
        let jobs = bench.claim_with(&request).await.jobs;
        if jobs.is_empty() {
            break;
        }
        assert!(jobs.iter().all(|job| job.crashes == 1 && seen.insert(job.lease.id)));
    }
    assert_eq!(seen.len(), count);
}

/// Far more ended jobs than may be kept are dropped, call by call.
pub async fn many_ended_jobs_are_dropped(fixture: &dyn QueueFixture) {
    let keep = Retention { done_for: MINUTE * 600, done: 1_000_000, ..Retention::default() };
    let bench = Bench::with(fixture, keep).await;
    let count = fixture.scale().ended;
    bench.add_many(count).await;
    let request = bench.request(MAX_ITEMS);
    let mut ends = Vec::new();
    loop {
        let (settled, next) = bench.queue.settle(ends, Some(&request)).await.unwrap();
        assert!(settled.iter().all(|reply| *reply == Settled::Applied));
        if next.jobs.is_empty() {
            break;
        }
        ends = next.jobs.iter().map(|job| Settlement::new(job.lease, done())).collect();
    }
    let waiting = bench.add(bench.job("waiting")).await;
    bench.advance(MINUTE * 600).await;
    let (_, pruned) = bench.maintain().await;
    let left = bench.list(&JobFilter::default()).await;
    assert_eq!((pruned, left.len(), left[0].id), (count, 1, waiting));
    assert_eq!(bench.counts().await.done, count as u64);
}

/// Very many jobs that become due in the same moment are all claimed, in bounded calls.
pub async fn many_jobs_become_due_at_once(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let count = fixture.scale().due;
    let job = || NewJob { delay: MINUTE * 30, ..bench.job("x") };
    bench.add_jobs((0..count).map(|_| job()).collect()).await;
    assert!(bench.claim(9).await.is_empty());
    bench.advance(MINUTE * 30).await;
    bench.maintain().await;
    let mut request = bench.request(100);
    request.lease = LEASE * 60;
    let (mut seen, mut ends) = (HashSet::new(), Vec::new());
    loop {
        let (_, next) = bench.queue.settle(ends, Some(&request)).await.unwrap();
        assert!(next.jobs.len() <= 100);
        if next.jobs.is_empty() {
            break;
        }
        assert!(next.jobs.iter().all(|job| seen.insert(job.lease.id)));
        let release = || Outcome::Release { after: Duration::from_secs(864_000) };
        ends = next.jobs.iter().map(|job| Settlement::new(job.lease, release())).collect();
    }
    assert_eq!(seen.len(), count);
}
