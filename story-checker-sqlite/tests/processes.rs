//! Several handles on one file, as several processes have them.

use std::time::{Duration, Instant};

use story_checker_core::queue::{
    ClaimRequest, Enqueued, JobQueue, NewJob, Outcome, QueueName, Settled, Settlement, StatsQuery,
};

use crate::files::job;
use crate::fixture::Fixture;

const MINUTE: Duration = Duration::from_secs(60);

fn request(want: usize) -> ClaimRequest {
    ClaimRequest::new(vec![("check".into(), want)], "w".into(), MINUTE)
}

#[tokio::test]
async fn what_one_has_enqueued_the_other_claims_and_the_first_settles() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.open(1).await.queue(), fixture.open(1).await.queue());
    a.enqueue(vec![job(1)]).await.unwrap();
    let lease = b.claim(&request(5)).await.unwrap().jobs[0].lease;
    assert!(a.claim(&request(5)).await.unwrap().jobs.is_empty());
    let done = Settlement::new(lease, Outcome::Done { result: "seen".into() });
    assert_eq!(a.settle(vec![done.clone()], None).await.unwrap().0, [Settled::Applied]);
    assert_eq!(b.settle(vec![done], None).await.unwrap().0, [Settled::AlreadyDone]);
}

#[tokio::test]
async fn one_that_waits_wakes_when_the_other_enqueues() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.open(1).await.queue(), fixture.open(1).await.queue());
    let names: [QueueName; 1] = ["check".into()];
    let started = Instant::now();
    let (woken, ()) = tokio::join!(b.wait(&names, MINUTE), async {
        a.enqueue(vec![job(1)]).await.unwrap();
    });
    assert!(woken.unwrap());
    assert!(started.elapsed() < MINUTE, "it did not wait for its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_at_once_lose_nothing() {
    let fixture = Fixture::new();
    let queues = [fixture.open(1).await.queue(), fixture.open(1).await.queue()];
    let mut tasks = tokio::task::JoinSet::new();
    for (number, queue) in (0u128..).zip(queues.clone()) {
        for part in 0..10u128 {
            let queue = queue.clone();
            let jobs: Vec<NewJob> =
                (0..20).map(|n| job(1 + number * 1_000 + part * 20 + n)).collect();
            tasks.spawn(async move { queue.enqueue(jobs).await.unwrap() });
        }
    }
    while let Some(replies) = tasks.join_next().await {
        assert!(replies.unwrap().iter().all(|reply| *reply == Enqueued::Inserted));
    }
    let counts = queues[0].stats(&StatsQuery::Queues).await.unwrap().queues[0].counts;
    assert_eq!((counts.ready, counts.total()), (400, 400));
}

#[tokio::test]
async fn the_last_handle_writes_everything_back() {
    let fixture = Fixture::new();
    let queue = fixture.open(1).await.queue();
    queue.enqueue(vec![job(1)]).await.unwrap();
    drop(queue);
    // Its threads end by themselves; then the log is gone.
    let log = format!("{}-wal", fixture.path(1).display());
    let give_up = Instant::now() + MINUTE;
    while std::fs::exists(&log).unwrap() && Instant::now() < give_up {
        tokio::task::yield_now().await;
    }
    assert!(!std::fs::exists(&log).unwrap());
    assert!(fixture.open(1).await.queue().get(&[job(1).id]).await.unwrap()[0].is_some());
}
