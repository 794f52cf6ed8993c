//! Who waits is woken, by its own process and by others, and without the channel of Redis too.

use std::time::{Duration, Instant};

use story_checker_core::queue::{JobQueue, QueueControl};

use crate::faults::{job, name};
use crate::server::Server;

const LONG: Duration = Duration::from_secs(30);

/// How long after an enqueueing a waiter of `waiting` is back, at worst of a few times.
async fn pickup(waiting: &dyn JobQueue, enqueuing: &dyn JobQueue) -> Duration {
    let mut worst = Duration::ZERO;
    let queues = [name()];
    for _ in 0..5 {
        let ((), woken) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                enqueuing.enqueue(vec![job()]).await.unwrap();
            },
            async {
                let begun = Instant::now();
                assert!(waiting.wait(&queues, LONG).await.unwrap());
                begun.elapsed()
            }
        );
        worst = worst.max(woken);
        while !crate::faults::claim(waiting).await.unwrap().jobs.is_empty() {}
    }
    worst
}

#[tokio::test]
async fn a_waiter_is_woken_by_its_own_process_and_by_others() {
    let server = Server::start();
    let (one, other) = (server.store().await.queue(), server.store().await.queue());
    // The channel is being opened with the first.
    pickup(&one, &one).await;
    for enqueuing in [&one, &other] {
        let worst = pickup(&one, enqueuing).await;
        assert!(worst < Duration::from_millis(500), "{worst:?}");
    }
}

#[tokio::test]
async fn a_waiter_without_the_channel_is_back_within_the_floor() {
    let server = Server::start();
    let (one, other) = (server.store().await.queue(), server.store().await.queue());
    let mut command = redis::cmd("ACL");
    command.arg(&["SETUSER", "default", "resetchannels"]).exec(&mut server.client()).unwrap();
    let worst = pickup(&one, &other).await;
    assert!(worst < Duration::from_secs(3), "{worst:?}");
}

#[tokio::test]
async fn a_queue_that_is_resumed_wakes() {
    let server = Server::start();
    let (one, other) = (server.store().await.queue(), server.store().await.queue());
    let pause = |paused| {
        let mut control = QueueControl::default();
        control.paused = Some(paused);
        control
    };
    one.configure(&name(), pause(true)).await.unwrap();
    one.enqueue(vec![job()]).await.unwrap();
    assert!(!one.wait(&[name()], Duration::from_millis(200)).await.unwrap());
    let queues = [name()];
    let (woken, resumed) =
        tokio::join!(one.wait(&queues, LONG), other.configure(&queues[0], pause(false)));
    resumed.unwrap();
    assert!(woken.unwrap());
}
