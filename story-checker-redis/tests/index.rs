//! The index of ids lists all jobs in their order, however they come and go.

use std::collections::BTreeSet;

use bytes::Bytes;
use story_checker_core::JobId;
use story_checker_core::queue::{
    Alter, Enqueued, JobFilter, JobQueue, NewJob, QueueControl, Select,
};

use crate::faults::name;
use crate::server::Server;

/// The same numbers every time, from one end of the space of ids to the other.
fn ids(count: u64) -> Vec<JobId> {
    let spread = |n: u64| u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(n);
    (0..count).map(|n| JobId::from(uuid::Uuid::from_u128(spread(n)))).collect()
}

async fn listed(queue: &dyn JobQueue) -> Vec<JobId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = queue.list(&JobFilter::default(), after, 500).await.unwrap();
        all.extend(page.jobs.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn enqueue(queue: &dyn JobQueue, ids: &[JobId]) -> Vec<Enqueued> {
    let job = |id: &JobId| NewJob::new(*id, name(), Bytes::from_static(b"x"));
    queue.enqueue(ids.iter().map(job).collect()).await.unwrap()
}

#[tokio::test]
async fn the_index_lists_all_ids_in_their_order_however_they_come_and_go() {
    let server = Server::start();
    let queue = server.store().await.queue();
    let ids = ids(3_000);
    let mut known = BTreeSet::new();
    let (mut rest, mut step) = (&ids[..], 1);
    while !rest.is_empty() {
        let (part, more) = rest.split_at(rest.len().min(step));
        let mut part = part.to_vec();
        // Half of the parts come in order.
        if step % 2 == 0 {
            part.sort();
        }
        assert!(enqueue(&queue, &part).await.iter().all(|reply| *reply == Enqueued::Inserted));
        let again = enqueue(&queue, &part[..1]).await;
        assert_eq!(again, [Enqueued::Duplicate { existing: part[0] }]);
        known.extend(part);
        (rest, step) = (more, 1 + step * 37 % 211);
    }
    assert!(listed(&queue).await.iter().eq(&known), "the listing is not what is there");

    // All of the lower half goes, so whole leaves with it, and each third of the rest.
    let half = known.len() / 2;
    let gone: Vec<_> = known
        .iter()
        .enumerate()
        .filter(|(n, _)| *n < half || n % 3 == 0)
        .map(|(_, id)| *id)
        .collect();
    for part in gone.chunks(500) {
        let select = Select::Jobs(part.to_vec());
        queue.alter(&select, Alter::Cancel).await.unwrap();
        assert_eq!(queue.alter(&select, Alter::Delete).await.unwrap().changed, part.len() as u64);
    }
    for id in &gone {
        known.remove(id);
    }
    assert!(listed(&queue).await.iter().eq(&known), "the listing is not what is there");

    // What went may come again, below all that is there.
    enqueue(&queue, &gone[..100]).await;
    known.extend(&gone[..100]);
    assert!(listed(&queue).await.iter().eq(&known), "the listing is not what is there");
}

#[tokio::test]
async fn a_queue_that_took_nothing_in_takes_jobs_in_later() {
    let server = Server::start();
    let queue = server.store().await.queue();
    let ids = ids(3);
    let room = |jobs| {
        let mut control = QueueControl::default();
        control.max_len = Some(Some(jobs));
        control
    };
    queue.configure(&name(), room(0)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(enqueue(&queue, &ids).await, [Enqueued::Full; 3]);
    }
    queue.configure(&name(), room(3)).await.unwrap();
    assert_eq!(enqueue(&queue, &ids).await, [Enqueued::Inserted; 3]);
}
