//! What is asked at the same time is committed together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use story_checker_core::queue::{Alter, Enqueued, JobQueue, Select, StatsQuery};
use story_checker_core::{BatchId, ErrorKind, Result, Timestamp};
use story_checker_sqlite::{HostClock, HostTime, SqliteJobQueue, SqliteStore};
use tokio::task::JoinSet;

use crate::files::job;
use crate::fixture::Fixture;

const CALLS: u128 = 200;

/// The writer asks for the time once per transaction.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl HostClock for Counted {
    fn read(&self) -> HostTime {
        self.0.fetch_add(1, Ordering::Relaxed);
        HostTime::new(1, 1_000_000, Timestamp::from_secs(1_795_251_600))
    }
}

struct Lined {
    queue: SqliteJobQueue,
    clock: Arc<Counted>,
    calls: JoinSet<Result<Vec<Enqueued>>>,
}

/// Lets the calls stand in line while another process holds the write lock, and `meanwhile` too.
async fn in_line(fixture: &Fixture, meanwhile: impl AsyncFnOnce(SqliteJobQueue)) -> Lined {
    let clock = Arc::new(Counted::default());
    let mut options = fixture.options();
    options.clock = Arc::<Counted>::clone(&clock);
    let queue = SqliteStore::open(fixture.path(1), options).await.unwrap().queue();
    let other = Connection::open(fixture.path(1)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    clock.0.store(0, Ordering::Relaxed);
    let mut calls = JoinSet::new();
    for number in 1..=CALLS {
        let queue = queue.clone();
        calls.spawn(async move { queue.enqueue(vec![job(number)]).await });
    }
    meanwhile(queue.clone()).await;
    for _ in 0..CALLS {
        tokio::task::yield_now().await;
    }
    other.execute_batch("COMMIT").unwrap();
    Lined { queue, clock, calls }
}

async fn all_are_stored(lined: &mut Lined) {
    while let Some(reply) = lined.calls.join_next().await {
        assert_eq!(reply.unwrap().unwrap(), [Enqueued::Inserted]);
    }
    let counts = lined.queue.stats(&StatsQuery::Queues).await.unwrap().queues[0].counts;
    assert_eq!(u128::from(counts.ready), CALLS);
}

#[tokio::test]
async fn many_calls_share_few_commits() {
    let fixture = Fixture::new();
    let mut lined = in_line(&fixture, async |_| ()).await;
    all_are_stored(&mut lined).await;
    let transactions = lined.clock.0.load(Ordering::Relaxed);
    assert!(transactions <= 100, "{transactions} transactions for {CALLS} calls");
}

#[tokio::test]
async fn a_bad_call_does_not_spoil_the_others() {
    let fixture = Fixture::new();
    let mut bad = JoinSet::new();
    let mut lined = in_line(&fixture, async |queue| {
        let select = Select::Batch(BatchId::from_bytes([7; 16]));
        bad.spawn(async move { queue.alter(&select, Alter::Delete).await });
    })
    .await;
    all_are_stored(&mut lined).await;
    let error = bad.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}
