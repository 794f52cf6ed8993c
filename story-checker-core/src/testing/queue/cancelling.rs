//! Cancelling, replaying and deleting single jobs.

use std::time::Duration;

use bytes::Bytes;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, retry};
use crate::queue::{Alter, Altered, BeatReply, JobState, NewJob, Outcome, Settled};

fn altered(changed: u64, refused: u64) -> Altered {
    Altered { changed, refused }
}

/// A job that waits, due or not, ends at once when it is cancelled (I16).
pub async fn a_waiting_job_is_cancelled_at_once(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let due = bench.add(bench.job("due")).await;
    let later = bench.add(NewJob { delay: MINUTE, ..bench.job("later") }).await;
    let ghost = bench.job("ghost").id;
    assert_eq!(bench.alter(&[due, ghost, later], Alter::Cancel).await, altered(2, 1));
    for id in [due, later] {
        let view = bench.view(id).await.unwrap();
        assert_eq!((view.state, view.result), (JobState::Cancelled, None));
    }
    bench.advance(MINUTE).await;
    assert!(bench.claim(9).await.is_empty());
    assert_eq!(bench.alter(&[due], Alter::Cancel).await, altered(0, 1), "it has ended");
    assert_eq!(bench.counts().await.cancelled, 2);
}

/// A job that runs learns by the next beat that it is cancelled, and each one after (I16).
pub async fn a_running_job_learns_by_the_beat(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(2).await;
    let leases: Vec<_> = bench.claim(9).await.iter().map(|job| job.lease).collect();
    assert_eq!(bench.alter(&[leases[0].id], Alter::Cancel).await, altered(1, 0));
    for _ in 0..2 {
        assert_eq!(bench.beat(&leases).await, [BeatReply::Cancel, BeatReply::Held]);
    }
    assert_eq!(bench.state(leases[0].id).await, Some(JobState::Leased), "it holds all the same");
    assert_eq!(bench.settle(leases[0], Outcome::Cancelled).await, Settled::Applied);
    assert_eq!(bench.state(leases[0].id).await, Some(JobState::Cancelled));
}

/// Whatever would let a cancelled job run again ends it instead (I16).
pub async fn a_cancelled_job_is_never_tried_again(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let zero = Duration::ZERO;
    for outcome in [
        retry(zero),
        Outcome::Defer { after: zero, note: String::new() },
        Outcome::Release { after: zero },
    ] {
        let id = bench.add(bench.job("a")).await;
        let lease = bench.claim_one().await.lease;
        bench.alter(&[id], Alter::Cancel).await;
        assert_eq!(bench.settle(lease, outcome.clone()).await, Settled::Applied);
        assert_eq!(bench.state(id).await, Some(JobState::Cancelled), "after {outcome:?}");
        assert!(bench.claim(9).await.is_empty());
    }
}

/// An answer that is there counts, although the job was cancelled meanwhile; and a cancellation
/// after it changes nothing (I16).
pub async fn an_answer_beats_a_cancellation(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    for (outcome, state) in [(done(), JobState::Done), (dead(), JobState::Dead)] {
        let id = bench.add(bench.job("a")).await;
        let lease = bench.claim_one().await.lease;
        bench.alter(&[id], Alter::Cancel).await;
        assert_eq!(bench.settle(lease, outcome).await, Settled::Applied);
        assert_eq!(bench.state(id).await, Some(state));
        assert_eq!(bench.alter(&[id], Alter::Cancel).await, altered(0, 1));
        assert_eq!(bench.state(id).await, Some(state));
    }
}

/// A cancelled job whose worker dies ends as cancelled.
pub async fn a_cancelled_job_that_crashes_ends(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    bench.claim_one().await;
    bench.alter(&[id], Alter::Cancel).await;
    bench.advance(LEASE).await;
    bench.maintain().await;
    assert_eq!(bench.state(id).await, Some(JobState::Cancelled));
    assert!(bench.claim(9).await.is_empty());
}

/// A dead or cancelled job can be replayed: due now, as if new, under a larger fence (I17).
pub async fn dead_jobs_can_be_replayed(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let deadline = Some(MINUTE * 3);
    let id = bench.add(NewJob { deadline, priority: 3, ..bench.job("a") }).await;
    bench.run(retry(Duration::ZERO)).await;
    bench.run(Outcome::Defer { after: Duration::ZERO, note: "rest".into() }).await;
    assert_eq!(bench.alter(&[id], Alter::Replay).await, altered(0, 1), "it is not dead");
    let last = bench.run(dead()).await;
    bench.advance(MINUTE * 4).await;
    assert_eq!(bench.alter(&[id], Alter::Replay).await, altered(1, 0));
    let view = bench.view(id).await.unwrap();
    assert_eq!((view.state, view.result, view.dead_reason), (JobState::Ready, None, None));
    assert_eq!((view.priority, view.note.as_str()), (3, ""));
    let again = bench.claim_one().await;
    assert_eq!((again.attempt, again.crashes, again.deferrals), (0, 0, 0));
    assert_eq!((again.lease.id, again.deadline, &again.payload[..]), (id, None, &b"a"[..]));
    assert!(again.lease.fence > last.lease.fence);
    assert_eq!(bench.settle(last.lease, done()).await, Settled::Stale);
    assert_eq!(bench.alter(&[id], Alter::Replay).await, altered(0, 1), "it runs");
    bench.settle(again.lease, done()).await;
    assert_eq!(bench.alter(&[id], Alter::Replay).await, altered(0, 1), "it is done");

    let id = bench.add(bench.job("b")).await;
    bench.alter(&[id], Alter::Cancel).await;
    assert_eq!(bench.alter(&[id], Alter::Replay).await, altered(1, 0));
    assert_eq!(bench.claim_payloads(9).await, ["b"]);
}

/// A job is not replayed while another has its key, and takes the key when it is (I17).
pub async fn a_replay_respects_the_key(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let unique = Some(Bytes::from_static(b"key"));
    let twin = || NewJob { unique: unique.clone(), ..bench.job("twin") };
    let first = bench.add(twin()).await;
    bench.run(dead()).await;
    let second = bench.add(twin()).await;
    assert_eq!(bench.alter(&[first], Alter::Replay).await, altered(0, 1), "its twin lives");
    assert_eq!(bench.state(first).await, Some(JobState::Dead));
    bench.alter(&[second], Alter::Cancel).await;
    assert_eq!(bench.alter(&[first, second], Alter::Replay).await, altered(1, 1));
    let existing = crate::queue::Enqueued::Duplicate { existing: first };
    assert_eq!(bench.enqueue(vec![twin()]).await, [existing]);
}

/// A job is deleted only if it has ended, and its id is free again.
pub async fn only_ended_jobs_are_deleted(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let ready = bench.add(bench.job("ready")).await;
    let later = bench.add(NewJob { delay: MINUTE, ..bench.job("later") }).await;
    assert_eq!(bench.alter(&[ready, later], Alter::Delete).await, altered(0, 2), "they wait");
    let lease = bench.claim_one().await.lease;
    assert_eq!(bench.alter(&[ready], Alter::Delete).await, altered(0, 1), "it runs");
    bench.settle(lease, done()).await;
    bench.alter(&[later], Alter::Cancel).await;
    assert_eq!(bench.alter(&[ready, later, ready], Alter::Delete).await, altered(2, 1));
    assert_eq!(bench.queue.get(&[ready, later]).await.unwrap(), [None, None]);
    bench.add(NewJob { id: ready, ..bench.job("again") }).await;
    assert_eq!(bench.claim_payloads(9).await, ["again"]);
}
