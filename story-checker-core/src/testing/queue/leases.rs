//! Leases: fences, beats, and workers that die.

use std::time::Duration;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, name, retry};
use crate::id::Fence;
use crate::queue::{
    Alter, Beat, BeatReply, ClaimRequest, JobFilter, JobLease, JobState, Outcome, Settled,
    StatsQuery, WORKERS_KEPT, WorkerStats,
};
use crate::testing::near;

/// The fence of a job grows with each grant, whatever ended the one before, and over a replay (I2).
pub async fn every_grant_raises_the_fence(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    let zero = Duration::ZERO;
    let mut last = Fence::new(0);
    for outcome in [
        Some(retry(zero)),
        Some(Outcome::Defer { after: zero, note: String::new() }),
        None,
        Some(Outcome::Release { after: zero }),
        Some(dead()),
        Some(done()),
    ] {
        let lease = bench.claim_one().await.lease;
        assert!(lease.fence > last, "{} after {last}", lease.fence);
        assert_eq!(bench.view(id).await.map(|view| view.fence), Some(lease.fence));
        last = lease.fence;
        let ends = outcome == Some(dead());
        match outcome {
            Some(outcome) => _ = bench.settle(lease, outcome).await,
            None => {
                bench.advance(LEASE).await;
                bench.maintain().await;
            }
        }
        if ends {
            bench.alter(&[id], Alter::Replay).await;
        }
    }
}

/// A lease that nobody renews ends with its time, and maintenance makes its job due again (L1).
pub async fn a_lease_that_is_over_is_freed(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    bench.claim_one().await;
    bench.advance(LEASE / 2).await;
    assert_eq!(bench.maintain().await, (0, 0), "it holds");
    assert!(bench.claim(9).await.is_empty());
    bench.advance(LEASE / 2).await;
    assert_eq!(bench.maintain().await, (1, 0));
    let view = bench.view(id).await.unwrap();
    assert_eq!((view.state, view.worker), (JobState::Ready, None));
    assert_eq!(bench.claim_one().await.lease.id, id);
}

/// A round of maintenance frees no more than it may, and says that there is more.
pub async fn freeing_stays_within_the_budget(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(5).await;
    assert_eq!(bench.claim(9).await.len(), 5);
    bench.advance(LEASE).await;
    let round = bench.queue.maintain(2).await.unwrap();
    assert_eq!((round.reaped, round.more), (2, true));
    assert_eq!(bench.claim(9).await.len(), 2);
    assert_eq!(bench.maintain().await, (3, 0));
}

/// A beat lets leases hold for their whole time from now.
pub async fn a_beat_keeps_the_lease(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(2).await;
    let leases: Vec<_> = bench.claim(9).await.iter().map(|job| job.lease).collect();
    for _ in 0..4 {
        bench.advance(LEASE / 2).await;
        assert_eq!(bench.beat(&leases[..1]).await, [BeatReply::Held]);
        bench.maintain().await;
    }
    assert_eq!(bench.state(leases[0].id).await, Some(JobState::Leased));
    assert_eq!(bench.state(leases[1].id).await, Some(JobState::Ready), "nobody kept it");
    assert_eq!(bench.settle(leases[0], done()).await, Settled::Applied);
    assert_eq!(bench.settle(leases[1], done()).await, Settled::Stale);
}

/// A beat has one answer per lease, in order; what is over or unknown spoils nothing (I8).
pub async fn a_beat_answers_for_each_lease(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(3).await;
    let mut leases: Vec<_> = bench.claim(9).await.iter().map(|job| job.lease).collect();
    bench.settle(leases[1], Outcome::Release { after: MINUTE }).await;
    bench.alter(&[leases[2].id], Alter::Cancel).await;
    let ghost = JobLease::new(bench.job("ghost").id, Fence::new(1));
    let old = JobLease::new(leases[0].id, Fence::new(0));
    leases.extend([ghost, old]);
    use BeatReply::{Cancel, Held, Stale};
    assert_eq!(bench.beat(&leases).await, [Held, Stale, Cancel, Stale, Stale]);
    assert_eq!(bench.beat(&leases).await, [Held, Stale, Cancel, Stale, Stale], "sent again");
    assert!(bench.beat(&[]).await.is_empty());
}

/// A lease that runs out counts as a crash and as nothing else, and however often it happens, the
/// job is claimed like any other: its claimer decides (I13).
pub async fn a_crash_is_no_attempt(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add(bench.job("poison")).await;
    for crashes in 0..6 {
        let job = bench.claim_one().await;
        assert_eq!((job.crashes, job.attempt, job.deferrals), (crashes, 0, 0));
        bench.advance(LEASE).await;
        assert_eq!(bench.maintain().await.0, 1);
    }
    let job = bench.run(retry(Duration::ZERO)).await;
    let again = bench.claim_one().await;
    assert_eq!((again.crashes, again.attempt), (job.crashes, 1));
}

/// Jobs whose claim got no reply are found by their worker, and come back when their leases are
/// over.
pub async fn jobs_of_a_lost_claim_come_back(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(3).await;
    let request = ClaimRequest::new(vec![(name(), 2)], "lost".into(), LEASE);
    drop(bench.claim_with(&request).await);
    let held = JobFilter { worker: Some("lost".into()), ..JobFilter::default() };
    let held = bench.list(&held).await;
    assert_eq!(held.len(), 2);
    assert_eq!(bench.claim(9).await.len(), 1);
    bench.advance(LEASE).await;
    bench.maintain().await;
    let jobs = bench.claim(9).await;
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().all(|job| job.crashes == 1));
}

/// Who claims or beats, also without a lease, is known with what it holds, and forgotten
/// [`WORKERS_KEPT`] after its last sign of life.
pub async fn workers_are_known(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let workers = async || bench.queue.stats(&StatsQuery::Workers).await.unwrap().workers;
    assert!(workers().await.is_empty());
    bench.add_many(5).await;
    for (worker, jobs) in [("b", 2), ("a", 3)] {
        let request = ClaimRequest::new(vec![(name(), jobs)], worker.into(), LEASE);
        bench.claim_with(&request).await;
    }
    bench.advance(MINUTE).await;
    let beat = Beat::new("idle".into(), LEASE, vec![]);
    bench.queue.beat(&beat).await.unwrap();
    let known = workers().await;
    let of = |stats: &WorkerStats| (stats.worker.to_string(), stats.leases);
    let known_as: Vec<_> = known.iter().map(of).collect();
    let expected = [("a", 3), ("b", 2), ("idle", 0)].map(|(name, jobs)| (name.to_owned(), jobs));
    assert_eq!(known_as, expected, "by name");
    assert!(near(known[0].seen_at + MINUTE, known[2].seen_at), "{known:?}");

    bench.advance(WORKERS_KEPT - MINUTE / 2).await;
    bench.maintain().await;
    let left: Vec<_> = workers().await.iter().map(of).collect();
    assert_eq!(left, [("idle".to_owned(), 0)]);
}

/// The machine's clock may jump an hour: leases are neither freed nor frozen, delays neither cut
/// nor stretched, and no time runs back.
pub async fn the_wall_clock_does_not_count(fixture: &dyn QueueFixture) {
    for forward in [true, false] {
        let bench = Bench::new(fixture).await;
        bench.add(bench.job("a")).await;
        bench.advance(MINUTE).await;
        let lease = bench.claim_one().await.lease;
        let later = bench.job("later");
        let later = bench.add(crate::queue::NewJob { delay: MINUTE, ..later }).await;
        bench.fixture.jump_wall_clock(forward).await;
        assert_eq!(bench.maintain().await.0, 0, "freed by the jump, forward: {forward}");
        assert!(bench.claim(9).await.is_empty(), "not due yet, forward: {forward}");
        assert_eq!(bench.beat(&[lease]).await, [BeatReply::Held]);
        bench.advance(LEASE).await;
        assert_eq!(bench.maintain().await.0, 1, "frozen by the jump, forward: {forward}");
        let jobs = bench.claim(9).await;
        assert_eq!(jobs.len(), 2);
        assert!(jobs.iter().any(|job| job.lease.id == later));
        bench.fixture.jump_wall_clock(!forward).await;
    }
}
