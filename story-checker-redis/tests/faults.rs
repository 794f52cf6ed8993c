//! What befalls a server ends no store: the same one goes on.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use story_checker_core::queue::{
    ClaimRequest, Claimed, Enqueued, JobQueue, NewJob, Outcome, QueueName, Settled, Settlement,
};
use story_checker_core::{Certainty, Error, ErrorKind, JobId, Result};
use story_checker_redis::{RedisOptions, RedisStore};

use crate::server::{Server, free_port};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn name() -> QueueName {
    "check".into()
}

pub(crate) fn job() -> NewJob {
    NewJob::new(JobId::from(uuid::Uuid::now_v7()), name(), Bytes::from_static(b"x"))
}

pub(crate) async fn claim(queue: &dyn JobQueue) -> Result<Claimed> {
    let request = ClaimRequest::new(vec![(name(), 10)], "w".into(), Duration::from_secs(30));
    queue.claim(&request).await
}

async fn settle(queue: &dyn JobQueue, claimed: &Claimed) -> Result<Vec<Settled>> {
    let done = |job: &story_checker_core::queue::ClaimedJob| {
        Settlement::new(job.lease, Outcome::Done { result: Bytes::from_static(b"r") })
    };
    Ok(queue.settle(claimed.jobs.iter().map(done).collect(), None).await?.0)
}

/// Calls again as the engine does, and returns what came in the end and the errors before.
pub(crate) async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T>) -> (T, Vec<Error>) {
    let begun = Instant::now();
    let mut errors = Vec::new();
    loop {
        match call().await {
            Ok(reply) => return (reply, errors),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert_ne!(error.certainty(), Certainty::Permanent, "{error}");
                assert!(begun.elapsed() < LIMIT, "it did not come back: {error}");
                errors.push(error);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_has_everything() {
    let mut server =
        Server::with(&["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    let queue = server.store().await.queue();
    let first = job();
    queue.enqueue(vec![first.clone(), job()]).await.unwrap();
    let claimed = claim(&queue).await.unwrap();
    server.kill();
    let error = queue.enqueue(vec![job()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let again = Instant::now();
    queue.enqueue(vec![job()]).await.unwrap_err();
    assert!(again.elapsed() < Duration::from_secs(1), "calls fail fast meanwhile");
    server.start_again();
    let (settled, _) = insist(async || settle(&queue, &claimed).await).await;
    assert_eq!(settled, [Settled::Applied; 2]);
    let twin = queue.enqueue(vec![first.clone()]).await.unwrap();
    assert_eq!(twin, [Enqueued::Duplicate { existing: first.id }]);
}

#[tokio::test]
async fn forgotten_scripts_and_cut_connections_cost_one_call_at_most() {
    let server = Server::start();
    let queue = server.store().await.queue();
    let mut client = server.client();
    for _ in 0..3 {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut client).unwrap();
        queue.enqueue(vec![job()]).await.unwrap();
        redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
            .exec(&mut client)
            .unwrap();
        let (_, errors) = insist(async || queue.enqueue(vec![job()]).await).await;
        assert!(errors.len() <= 1, "{errors:?}");
    }
    assert_eq!(claim(&queue).await.unwrap().jobs.len(), 6);
}

#[tokio::test]
async fn a_full_server_takes_no_more_but_can_be_drained() {
    let server = Server::start();
    let queue = server.store().await.queue();
    queue.enqueue((0..20).map(|_| job()).collect()).await.unwrap();
    let mut client = server.client();
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).exec(&mut client).unwrap();
    let error = queue.enqueue(vec![job()]).await.unwrap_err();
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Unavailable, Certainty::Transient));
    assert!(error.to_string().contains("maxmemory"), "{error}");
    let claimed = claim(&queue).await.unwrap();
    assert_eq!(claimed.jobs.len(), 10);
    let beat = story_checker_core::queue::Beat::new(
        "w".into(),
        Duration::from_secs(30),
        claimed.jobs.iter().map(|job| job.lease).collect(),
    );
    queue.beat(&beat).await.unwrap();
    assert_eq!(settle(&queue, &claimed).await.unwrap(), [Settled::Applied; 10]);
    queue.maintain(100).await.unwrap();
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).exec(&mut client).unwrap();
    queue.enqueue(vec![job()]).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_the_call_may_have_been_applied() {
    let server = Server::start();
    let options = RedisOptions::default().with_response_timeout(Duration::from_millis(200));
    let queue = RedisStore::connect(&server.url(), options).await.unwrap().queue();
    redis::cmd("CLIENT").arg(&["PAUSE", "1000"]).exec(&mut server.client()).unwrap();
    let new = job();
    let error = queue.enqueue(vec![new.clone()]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.certainty()),
        (ErrorKind::Unavailable, Certainty::MaybeApplied)
    );
    let (reply, _) = insist(async || queue.enqueue(vec![new.clone()]).await).await;
    assert!(matches!(reply[..], [Enqueued::Duplicate { .. } | Enqueued::Inserted]));
    assert_eq!(claim(&queue).await.unwrap().jobs.len(), 1, "once, however often it was sent");
}

/// Leads to one port first and to another later, as the address of a service does.
fn switchboard(target: Arc<AtomicU16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(from) = stream else { return };
            let Ok(to) = TcpStream::connect(("127.0.0.1", target.load(Ordering::SeqCst))) else {
                continue;
            };
            for (mut from, mut to) in
                [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)]
            {
                std::thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    port
}

#[tokio::test]
async fn a_failover_is_followed() {
    let old = Server::start();
    let new = Server::with(&["--replicaof", &format!("127.0.0.1 {}", old.port)]);
    let target = Arc::new(AtomicU16::new(old.port));
    let url = format!("redis://127.0.0.1:{}", switchboard(Arc::clone(&target)));
    let queue = RedisStore::connect(&url, RedisOptions::default()).await.unwrap().queue();
    queue.enqueue(vec![job()]).await.unwrap();
    let claimed = claim(&queue).await.unwrap();
    // The replica has it all.
    let begun = Instant::now();
    loop {
        let copied: i64 = redis::cmd("WAIT").arg(1).arg(100).query(&mut old.client()).unwrap();
        let synced: Result<Vec<Vec<u8>>, _> = redis::cmd("KEYS").arg("*").query(&mut new.client());
        if copied == 1 && synced.is_ok_and(|keys| keys.len() > 3) {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "the replica did not catch up");
    }
    redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).exec(&mut new.client()).unwrap();
    let port = new.port.to_string();
    redis::cmd("REPLICAOF").arg(&["127.0.0.1", &port]).exec(&mut old.client()).unwrap();
    let error = queue.enqueue(vec![job()]).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Transient, "a replica changes nothing: {error}");
    target.store(new.port, Ordering::SeqCst);
    let (settled, _) = insist(async || settle(&queue, &claimed).await).await;
    assert_eq!(settled, [Settled::Applied]);
    queue.enqueue(vec![job()]).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_place_and_without_the_password() {
    let url = format!("redis://u:PLANTED@127.0.0.1:{}", free_port());
    let error = RedisStore::connect(&url, RedisOptions::default()).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Unavailable, Certainty::Transient));
    assert!(text.contains("127.0.0.1") && !text.contains("PLANTED"), "{text}");
}
