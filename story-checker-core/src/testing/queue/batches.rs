//! Batches: counts, cancelling, pausing, lifting.

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, recount, retry, waiting};
use crate::id::BatchId;
use crate::queue::{
    Alter, Altered, BatchStats, BeatReply, JobFilter, JobState, NewJob, Outcome, Retention,
    Settled, StatsQuery,
};
use crate::testing::near;

/// The counts of a batch change in the same step as its jobs (I5, I6).
pub async fn batch_counts_change_with_the_jobs(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let check = async |total: u64| {
        let jobs = bench.list(&JobFilter::batch(batch)).await;
        let counts = bench.batch_counts(batch).await;
        assert_eq!(waiting(counts), waiting(recount(&jobs)));
        assert_eq!(counts.total(), total);
    };
    bench.add_all(Some(batch), &["a", "b", "c", "d", "e"]).await;
    bench.add_many(2).await;
    check(5).await;
    bench.add(NewJob { batch: Some(batch), delay: MINUTE, ..bench.job("later") }).await;
    let elsewhere = NewJob { queue: "elsewhere".into(), batch: Some(batch), ..bench.job("f") };
    bench.add(elsewhere).await;
    check(7).await;
    let jobs = bench.claim(9).await;
    let mine: Vec<_> = jobs.iter().filter(|job| job.batch == Some(batch)).collect();
    assert_eq!(mine.len(), 5);
    check(7).await;
    let release = Outcome::Release { after: MINUTE };
    for (job, outcome) in mine.iter().zip([done(), dead(), retry(MINUTE), release]) {
        bench.settle(job.lease, outcome).await;
        bench.settle(job.lease, done()).await;
        check(7).await;
    }
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.done, counts.dead, counts.leased), (1, 1, 1));
    assert_eq!((counts.ready, counts.scheduled), (1, 3));
    bench.advance(LEASE).await;
    bench.maintain().await;
    check(7).await;
    bench.alter(&[mine[1].lease.id], Alter::Replay).await;
    bench.alter(&[mine[4].lease.id], Alter::Cancel).await;
    check(7).await;
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.done, counts.dead, counts.cancelled), (1, 0, 1));
}

/// A batch counts all its jobs, those included that retention has dropped.
pub async fn batch_counts_outlive_the_jobs(fixture: &dyn QueueFixture) {
    let keep = Retention { done: 0, ..Retention::default() };
    let bench = Bench::with(fixture, keep).await;
    let batch = bench.batch();
    bench.add_all(Some(batch), &["a", "b", "c"]).await;
    for job in bench.claim(2).await {
        bench.settle(job.lease, done()).await;
    }
    bench.maintain().await;
    assert_eq!(bench.list(&JobFilter::batch(batch)).await.len(), 1);
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.done, counts.ready, counts.total()), (2, 1, 3));
}

/// Cancelling a batch ends at once, in every view and count, whatever of it waits, and nothing
/// else (I16).
pub async fn a_cancelled_batch_ends_at_once(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let ids = bench.add_all(Some(batch), &["a", "b", "c"]).await;
    let later = NewJob { batch: Some(batch), delay: MINUTE, ..bench.job("later") };
    let later = bench.add(later).await;
    bench.add_all(Some(bench.batch()), &["other"]).await;
    assert_eq!(bench.alter_batch(batch, Alter::Cancel).await, Altered { changed: 4, refused: 0 });
    for id in [ids[0], ids[1], ids[2], later] {
        assert_eq!(bench.state(id).await, Some(JobState::Cancelled));
    }
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.cancelled, counts.total()), (4, 4));
    let counts = bench.counts().await;
    assert_eq!((counts.cancelled, counts.ready, counts.total()), (4, 1, 5));
    assert_eq!(bench.claim_payloads(9).await, ["other"]);
    bench.advance(MINUTE).await;
    assert!(bench.claim(9).await.is_empty());
    bench.maintain().await;
    let filter = JobFilter::batch(batch).with_state(JobState::Cancelled);
    assert_eq!(bench.list(&filter).await.len(), 4);
    assert_eq!(bench.alter_batch(batch, Alter::Cancel).await.changed, 0, "sent again");
    assert_eq!(bench.batch_counts(batch).await.cancelled, 4, "maintenance counts nothing twice");
    let stats = bench.queue.stats(&StatsQuery::Batches(vec![batch])).await.unwrap();
    assert!(stats.batches[0].cancelled);
}

/// A job of a cancelled batch is taken in and has ended.
pub async fn a_cancelled_batch_takes_no_more(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    bench.add_all(Some(batch), &["a"]).await;
    bench.alter_batch(batch, Alter::Cancel).await;
    let late = bench.add_all(Some(batch), &["late"]).await[0];
    assert_eq!(bench.state(late).await, Some(JobState::Cancelled));
    assert!(bench.claim(9).await.is_empty());
    assert_eq!(bench.alter(&[late], Alter::Replay).await.refused, 1, "its batch is cancelled");
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.cancelled, counts.total()), (2, 2));
}

/// What runs of a cancelled batch learns it by the beat and is not tried again; answers count
/// (I16).
pub async fn running_jobs_of_a_cancelled_batch_end(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    bench.add_all(Some(batch), &["a", "b", "c"]).await;
    let leases: Vec<_> = bench.claim(9).await.iter().map(|job| job.lease).collect();
    assert_eq!(bench.alter_batch(batch, Alter::Cancel).await.changed, 3);
    assert_eq!(bench.beat(&leases).await, [BeatReply::Cancel; 3]);
    assert_eq!(bench.batch_counts(batch).await.leased, 3);
    assert_eq!(bench.settle(leases[0], done()).await, Settled::Applied);
    assert_eq!(bench.settle(leases[1], retry(MINUTE)).await, Settled::Applied);
    bench.advance(LEASE).await;
    bench.maintain().await;
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.done, counts.cancelled, counts.total()), (1, 2, 3));
}

/// The cancellation of a batch can be lifted: what had not ended yet waits again, and the rest can
/// be replayed job by job.
pub async fn a_cancelled_batch_can_be_lifted(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let ids = bench.add_all(Some(batch), &["a", "b", "c"]).await;
    bench.add(NewJob { batch: Some(batch), delay: MINUTE, ..bench.job("later") }).await;
    bench.alter_batch(batch, Alter::Cancel).await;
    let lifted = bench.alter_batch(batch, Alter::Replay).await;
    assert_eq!(lifted, Altered { changed: 4, refused: 0 });
    let counts = bench.batch_counts(batch).await;
    assert_eq!((counts.cancelled, counts.ready, counts.scheduled), (0, 3, 1));
    bench.maintain().await;
    assert_eq!(bench.claim_payloads(1).await, ["a"]);

    bench.alter_batch(batch, Alter::Cancel).await;
    bench.queue.maintain(1).await.unwrap();
    bench.alter_batch(batch, Alter::Replay).await;
    bench.alter(&ids, Alter::Replay).await;
    assert_eq!(waiting(bench.batch_counts(batch).await).ready, 3);
    assert_eq!(bench.claim(9).await.len(), 2);
    bench.advance(MINUTE).await;
    assert_eq!(bench.claim_payloads(9).await, ["later"]);
}

/// A paused batch is not claimed, others are, and its running jobs go on (I15).
pub async fn a_paused_batch_is_held_back(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    bench.add_all(Some(batch), &["a", "b"]).await;
    let running = bench.claim(1).await.remove(0).lease;
    assert_eq!(bench.alter_batch(batch, Alter::Pause).await.refused, 0);
    bench.add_all(Some(batch), &["c"]).await;
    bench.add(bench.job("free")).await;
    bench.add(NewJob { batch: Some(batch), priority: 0, ..bench.job("urgent") }).await;
    bench.add(NewJob { batch: Some(batch), delay: MINUTE, ..bench.job("later") }).await;
    assert_eq!(bench.claim_payloads(9).await, ["free"]);
    assert_eq!(bench.beat(&[running]).await, [BeatReply::Held]);
    assert_eq!(bench.settle(running, done()).await, Settled::Applied);
    let stats = bench.queue.stats(&StatsQuery::Batches(vec![batch])).await.unwrap();
    assert!(stats.batches[0].paused && !stats.batches[0].cancelled);
    bench.advance(MINUTE).await;
    assert!(bench.claim(9).await.is_empty());
    bench.alter_batch(batch, Alter::Resume).await;
    assert_eq!(bench.claim_payloads(9).await, ["urgent", "b", "c", "later"]);
}

/// The batches are listed by id, page by page, or as they are asked for, with their times.
pub async fn batches_are_paged_by_id(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let mut ids: Vec<_> = (0..5).map(|_| bench.batch()).collect();
    for (count, batch) in ids.iter().enumerate().rev() {
        bench.add_all(Some(*batch), &["a", "b", "c", "d", "e"][..=count]).await;
    }
    bench.advance(MINUTE).await;
    bench.add_all(Some(ids[0]), &["one more"]).await;
    let of = |stats: &BatchStats| (stats.batch, stats.counts.total());
    let all = bench.queue.stats(&StatsQuery::Batches(ids.clone())).await.unwrap().batches;
    assert!(near(all[0].created_at + MINUTE, all[0].changed_at), "{:?}", all[0]);
    assert!(near(all[1].created_at, all[1].changed_at), "{:?}", all[1]);
    let mut expected: Vec<_> = all.iter().map(of).collect();
    assert_eq!(expected[0].1, 2);
    expected.sort();
    ids.sort();
    let (mut seen, mut after) = (Vec::new(), None::<BatchId>);
    loop {
        let query = StatsQuery::BatchesAfter { after, limit: 2 };
        let page = bench.queue.stats(&query).await.unwrap().batches;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.batch);
        seen.extend(page.iter().map(of));
    }
    assert_eq!(seen, expected);
    let ghost = bench.batch();
    let query = StatsQuery::Batches(vec![ids[3], ghost, ids[1]]);
    let some = bench.queue.stats(&query).await.unwrap().batches;
    assert_eq!(some.iter().map(|stats| stats.batch).collect::<Vec<_>>(), [ids[3], ids[1]]);
}

/// A change of a batch that does not exist is refused.
pub async fn unknown_batches_are_refused(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let ghost = bench.batch();
    for alter in [Alter::Cancel, Alter::Pause, Alter::Resume, Alter::Replay] {
        assert_eq!(bench.alter_batch(ghost, alter).await, Altered { changed: 0, refused: 1 });
    }
    let stats = bench.queue.stats(&StatsQuery::Batches(vec![ghost])).await.unwrap();
    assert!(stats.batches.is_empty());
}
