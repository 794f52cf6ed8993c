//! Settling: once per lease, each by itself.

use std::time::Duration;

use bytes::Bytes;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, retry};
use crate::id::Fence;
use crate::queue::{Alter, JobLease, JobState, Outcome, Settled, Settlement};
use crate::retry::DeadReason;
use crate::testing::near;

/// Who holds an old lease learns that it is stale, and changes nothing: neither while the job
/// waits, nor while another holds it, nor after its end (I3).
pub async fn a_stale_fence_changes_nothing(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    let old = bench.claim_one().await.lease;
    bench.advance(LEASE).await;
    assert_eq!(bench.maintain().await.0, 1);
    let all = [
        done(),
        dead(),
        retry(MINUTE),
        Outcome::Cancelled,
        Outcome::Release { after: MINUTE },
        Outcome::Defer { after: MINUTE, note: "stale".into() },
    ];
    let refused = async |state: JobState| {
        let before = bench.view(id).await;
        assert_eq!(before.as_ref().map(|view| view.state), Some(state));
        for outcome in all.clone() {
            assert_eq!(bench.settle(old, outcome).await, Settled::Stale);
        }
        assert_eq!(bench.view(id).await, before);
    };
    refused(JobState::Ready).await;
    let new = bench.claim_one().await.lease;
    refused(JobState::Leased).await;
    assert_eq!(bench.settle(new, done()).await, Settled::Applied);
    refused(JobState::Done).await;
    let future = JobLease::new(id, Fence::new(new.fence.get() + 1));
    assert_eq!(bench.settle(future, dead()).await, Settled::Stale, "never granted");
}

/// A settlement that is sent again, whatever it says now, is answered as done, and the first
/// outcome stands (I4).
pub async fn a_settlement_sent_twice_says_so(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    for outcome in [done(), dead(), retry(MINUTE), Outcome::Release { after: MINUTE }] {
        let id = bench.add(bench.job("a")).await;
        let lease = bench.claim_one().await.lease;
        assert_eq!(bench.settle(lease, outcome.clone()).await, Settled::Applied);
        let before = bench.view(id).await;
        for again in [outcome, done(), dead(), retry(Duration::ZERO)] {
            assert_eq!(bench.settle(lease, again).await, Settled::AlreadyDone);
        }
        assert_eq!(bench.view(id).await, before);
    }
    // Twice in one call.
    bench.add(bench.job("b")).await;
    let lease = bench.claim_one().await.lease;
    let twice = [done(), dead()].map(|outcome| Settlement::new(lease, outcome));
    let (settled, _) = bench.queue.settle(twice.to_vec(), None).await.unwrap();
    assert_eq!(settled, [Settled::Applied, Settled::AlreadyDone]);
    assert_eq!(bench.state(lease.id).await, Some(JobState::Done));
}

/// A settlement of a job that does not exist, or no longer, says so (I3).
pub async fn unknown_jobs_are_gone(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let ghost = JobLease::new(bench.job("ghost").id, Fence::new(1));
    assert_eq!(bench.settle(ghost, done()).await, Settled::Gone);
    bench.add(bench.job("a")).await;
    let job = bench.run(done()).await;
    assert_eq!(bench.alter(&[job.lease.id], Alter::Delete).await.changed, 1);
    assert_eq!(bench.settle(job.lease, done()).await, Settled::Gone);
    assert_eq!(bench.state(ghost.id).await, None);
}

/// Answers come one per settlement, in order; a bad one leaves the others as they would be (I8).
pub async fn one_bad_settlement_spoils_nothing(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(3).await;
    let leases: Vec<_> = bench.claim(9).await.iter().map(|job| job.lease).collect();
    let ghost = JobLease::new(bench.job("ghost").id, Fence::new(1));
    let stale = JobLease::new(leases[2].id, Fence::new(0));
    let all = [leases[0], ghost, leases[1], stale, leases[2]];
    let all = all.map(|lease| Settlement::new(lease, done())).to_vec();
    let (settled, _) = bench.queue.settle(all, None).await.unwrap();
    use Settled::{Applied, Gone, Stale};
    assert_eq!(settled, [Applied, Gone, Applied, Stale, Applied]);
    assert_eq!(bench.counts().await.done, 3);
    assert_eq!(bench.queue.settle(vec![], None).await.unwrap().0, []);
}

/// One call settles and then claims; what it has just released can be claimed in it.
pub async fn settling_and_claiming_in_one_call(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_all(None, &["a", "b", "c"]).await;
    let jobs = bench.claim(2).await;
    let ends = vec![
        Settlement::new(jobs[0].lease, done()),
        Settlement::new(jobs[1].lease, Outcome::Release { after: Duration::ZERO }),
    ];
    let next = bench.request(9);
    let (settled, claimed) = bench.queue.settle(ends, Some(&next)).await.unwrap();
    assert_eq!(settled, [Settled::Applied; 2]);
    let payloads: Vec<_> = claimed.jobs.iter().map(|job| &job.payload[..]).collect();
    assert_eq!(payloads, [b"b", b"c"]);
    assert!(claimed.jobs[0].lease.fence > jobs[1].lease.fence);
    let (settled, claimed) = bench.queue.settle(vec![], Some(&next)).await.unwrap();
    assert!(settled.is_empty() && claimed.jobs.is_empty());
}

/// A result can be seen exactly if the job is done or dead (I7).
pub async fn results_come_with_the_end(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    let result = async || bench.view(id).await.unwrap().result;
    assert_eq!(result().await, None);
    bench.run(retry(Duration::ZERO)).await;
    assert_eq!(result().await, None);
    bench.run(done()).await;
    assert_eq!(result().await, Some(Bytes::from_static(b"result")));

    let big = Bytes::from(vec![9; 65_536]);
    let reasons = [DeadReason::Attempts, DeadReason::Crashed, DeadReason::Deadline];
    for reason in reasons {
        let id = bench.add(bench.job("b")).await;
        let job = bench.run(Outcome::Dead { reason, result: big.clone() }).await;
        let view = bench.view(id).await.unwrap();
        assert_eq!((view.state, view.dead_reason), (JobState::Dead, Some(reason)));
        assert!(view.result.as_ref() == Some(&big), "results differ");
        assert!(near(view.at, job.enqueued_at), "the end is told: {view:?}");
    }
    let id = bench.add(bench.job("empty")).await;
    bench.run(Outcome::Done { result: Bytes::new() }).await;
    let view = bench.view(id).await.unwrap();
    assert_eq!((view.result, view.dead_reason), (Some(Bytes::new()), None));
}

/// A retry counts one more failed attempt, and its note is kept (I13).
pub async fn a_retry_counts_an_attempt(fixture: &dyn QueueFixture) {
    let note = |attempt: u32| format!("failed {attempt} times: ünïcode");
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    for attempt in 0..4 {
        let outcome = Outcome::Retry { after: Duration::ZERO, note: note(attempt) };
        let job = bench.run(outcome).await;
        assert_eq!((job.attempt, job.crashes, job.deferrals), (attempt, 0, 0));
        assert_eq!(bench.view(id).await.unwrap().note, note(attempt));
    }
}

/// A deferral counts as one, and as no attempt; its note is kept (I13).
pub async fn a_deferral_counts_apart(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    for deferrals in 0..3 {
        let outcome = Outcome::Defer { after: Duration::ZERO, note: "429".into() };
        let job = bench.run(outcome).await;
        assert_eq!((job.attempt, job.crashes, job.deferrals), (0, 0, deferrals));
    }
    assert_eq!(bench.view(id).await.unwrap().note, "429");
}

/// A release counts as nothing (I13).
pub async fn a_release_counts_nothing(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add(bench.job("a")).await;
    for _ in 0..3 {
        let job = bench.run(Outcome::Release { after: Duration::ZERO }).await;
        assert_eq!((job.attempt, job.crashes, job.deferrals), (0, 0, 0));
    }
}

/// What was tried again, put off or given back with a delay waits for it (I12, I14).
pub async fn put_off_jobs_are_not_claimed_early(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    let after = MINUTE * 2;
    for outcome in
        [retry(after), Outcome::Defer { after, note: String::new() }, Outcome::Release { after }]
    {
        bench.run(outcome.clone()).await;
        bench.advance(MINUTE).await;
        assert!(bench.claim(1).await.is_empty(), "early after {outcome:?}");
        let view = bench.view(id).await.unwrap();
        assert_eq!((view.state, view.worker), (JobState::Scheduled, None));
        bench.advance(MINUTE).await;
    }
    bench.claim_one().await;
}
