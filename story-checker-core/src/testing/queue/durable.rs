//! What outlives the process. A store that does not is not asked.

use bytes::Bytes;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, name, retry};
use crate::queue::{
    Alter, BeatReply, Enqueued, JobFilter, NewJob, QueueControl, Settled, StatsQuery,
};

/// Everything that was acknowledged is there after a restart: jobs, keys, counts, batches and
/// settings (I5, I14).
pub async fn a_reopened_store_has_everything(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let unique = Some(Bytes::from_static(b"key"));
    bench.add_all(Some(batch), &["a", "b", "c", "d"]).await;
    let with_key = NewJob { unique: unique.clone(), delay: MINUTE, ..bench.job("key") };
    let with_key = bench.add(with_key).await;
    let jobs = bench.claim(3).await;
    for (job, outcome) in jobs.iter().zip([done(), dead(), retry(MINUTE)]) {
        bench.settle(job.lease, outcome).await;
    }
    bench.alter_batch(batch, Alter::Pause).await;
    let control = QueueControl { paused: Some(true), max_len: Some(Some(9)) };
    bench.queue.configure(&"other".into(), control).await.unwrap();
    let before = (
        bench.list(&JobFilter::default()).await,
        bench.batch_counts(batch).await,
        bench.queue.stats(&StatsQuery::Queues).await.unwrap(),
    );
    let Some(bench) = bench.reopen().await else { return };
    let after = (
        bench.list(&JobFilter::default()).await,
        bench.batch_counts(batch).await,
        bench.queue.stats(&StatsQuery::Queues).await.unwrap(),
    );
    assert_eq!(after, before);
    let twin = NewJob { unique, ..bench.job("twin") };
    assert_eq!(bench.enqueue(vec![twin]).await, [Enqueued::Duplicate { existing: with_key }]);
    assert!(bench.claim(9).await.is_empty(), "the batch is still paused");
    bench.alter_batch(batch, Alter::Resume).await;
    assert_eq!(bench.claim_payloads(9).await, ["d"]);
    bench.advance(MINUTE).await;
    let again = bench.claim(9).await;
    assert_eq!(again.iter().map(|job| job.attempt).sum::<u32>(), 1);
    assert_eq!(bench.settle(jobs[0].lease, dead()).await, Settled::AlreadyDone);
}

/// Fences go on growing after a restart (I2).
pub async fn fences_grow_over_a_restart(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add(bench.job("a")).await;
    let old = bench.claim_one().await.lease;
    let Some(bench) = bench.reopen().await else { return };
    bench.advance(LEASE).await;
    assert_eq!(bench.maintain().await.0, 1);
    let Some(bench) = bench.reopen().await else { return };
    assert_eq!(bench.settle(old, done()).await, Settled::Stale);
    let new = bench.claim_one().await;
    assert!(new.lease.fence > old.fence);
    assert_eq!(new.crashes, 1);
}

/// A lease holds over a restart of the store: nobody else gets the job, and its holder goes on.
pub async fn leases_hold_over_a_restart(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(2).await;
    let leases: Vec<_> = bench.claim(9).await.iter().map(|job| job.lease).collect();
    bench.alter(&[leases[1].id], Alter::Cancel).await;
    let Some(bench) = bench.reopen().await else { return };
    assert!(bench.claim(9).await.is_empty());
    assert_eq!(bench.maintain().await.0, 0);
    assert_eq!(bench.beat(&leases).await, [BeatReply::Held, BeatReply::Cancel]);
    assert_eq!(bench.settle(leases[0], done()).await, Settled::Applied);
    let stats = bench.queue.stats(&StatsQuery::Queues).await.unwrap();
    assert_eq!(stats.queues[0].queue, name());
    assert_eq!((stats.queues[0].counts.done, stats.queues[0].counts.leased), (1, 1));
}
