//! Taking jobs in: each once, keys, limits, pasts.

use std::time::Duration;

use bytes::Bytes;

use super::QueueFixture;
use super::bench::{Bench, MINUTE, dead, done, name, retry};
use crate::error::ErrorKind;
use crate::id::Fence;
use crate::queue::{
    Alter, Enqueued, JobLease, JobPast, JobState, JobView, MAX_ITEMS, NewJob, Outcome,
    QueueControl, Select, Settled, Settlement,
};
use crate::testing::near;

/// A job sent again, in the same call or a later one, is a duplicate of itself and changes nothing
/// (I9).
pub async fn the_same_id_is_inserted_once(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let job = bench.job("first");
    let again = NewJob { payload: "second".into(), priority: 1, ..job.clone() };
    let duplicate = Enqueued::Duplicate { existing: job.id };
    let replies = bench.enqueue(vec![job.clone(), again.clone(), bench.job("other")]).await;
    assert_eq!(replies, [Enqueued::Inserted, duplicate, Enqueued::Inserted]);
    assert_eq!(bench.enqueue(vec![again.clone()]).await, [duplicate]);
    assert_eq!(bench.claim_payloads(9).await, ["first", "other"]);
    assert_eq!(bench.enqueue(vec![again]).await, [duplicate], "a leased job too");
    assert_eq!(bench.counts().await.total(), 2);
}

/// While a job waits, runs or is put off, another of its queue with its key is a duplicate (I9).
pub async fn a_live_key_is_taken(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let unique = Some(Bytes::from_static(b"instagram/account/tea\0"));
    let twin = || NewJob { unique: unique.clone(), ..bench.job("twin") };
    let id = bench.add(twin()).await;
    let duplicate = Enqueued::Duplicate { existing: id };
    assert_eq!(bench.enqueue(vec![twin(), twin()]).await, [duplicate; 2], "it waits");
    let lease = bench.claim_one().await.lease;
    assert_eq!(bench.enqueue(vec![twin()]).await, [duplicate], "it runs");
    bench.settle(lease, retry(MINUTE)).await;
    assert_eq!(bench.enqueue(vec![twin()]).await, [duplicate], "it is put off");
    let elsewhere = NewJob { queue: "elsewhere".into(), ..twin() };
    bench.add(elsewhere).await;
    let other = NewJob { unique: Some(Bytes::from_static(b"other")), ..bench.job("other") };
    bench.add(other).await;
    // Both in one call: the first wins.
    let key = Some(Bytes::from_static(b"new"));
    let pair = [(); 2].map(|()| NewJob { unique: key.clone(), ..bench.job("pair") });
    let existing = pair[0].id;
    let replies = bench.enqueue(pair.to_vec()).await;
    assert_eq!(replies, [Enqueued::Inserted, Enqueued::Duplicate { existing }]);
}

/// The step that ends a job frees its key, however it ends (I9).
pub async fn an_ended_job_gives_its_key_back(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let unique = Some(Bytes::from_static(b"key"));
    let twin = || NewJob { unique: unique.clone(), ..bench.job("twin") };
    for outcome in [done(), dead(), Outcome::Cancelled] {
        bench.add(twin()).await;
        bench.run(outcome).await;
    }
    let id = bench.add(twin()).await;
    bench.alter(&[id], Alter::Cancel).await;
    bench.alter(&[id], Alter::Delete).await;
    let batch = bench.batch();
    bench.add(NewJob { batch: Some(batch), ..twin() }).await;
    bench.alter_batch(batch, Alter::Cancel).await;
    bench.add(twin()).await;
    assert_eq!(bench.claim(9).await.len(), 1);
}

/// Of many who send jobs of one key at once, one wins, and the others learn its id (I9).
pub async fn racing_twins_are_inserted_once(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let unique = Some(Bytes::from_static(b"key"));
    let twins: Vec<_> =
        (0..16).map(|_| NewJob { unique: unique.clone(), ..bench.job("twin") }).collect();
    let sends = twins.iter().map(|twin| bench.enqueue(vec![twin.clone()]));
    let replies = futures_util::future::join_all(sends).await;
    let won: Vec<_> = (0..16).filter(|at| replies[*at] == [Enqueued::Inserted]).collect();
    assert_eq!(won.len(), 1, "{replies:?}");
    let duplicate = Enqueued::Duplicate { existing: twins[won[0]].id };
    assert_eq!(replies.iter().filter(|reply| **reply == [duplicate]).count(), 15);
    assert_eq!(bench.claim(99).await.len(), 1);
}

/// A queue takes no more live jobs than its limit, item by item, and more when some have ended.
pub async fn a_full_queue_takes_no_more(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let limit = |max_len| QueueControl { max_len: Some(max_len), ..QueueControl::default() };
    bench.queue.configure(&name(), limit(Some(2))).await.unwrap();
    let jobs = ["a", "b", "c"].map(|payload| bench.job(payload));
    let replies = bench.enqueue(jobs.to_vec()).await;
    assert_eq!(replies, [Enqueued::Inserted, Enqueued::Inserted, Enqueued::Full]);
    let duplicate = Enqueued::Duplicate { existing: jobs[0].id };
    assert_eq!(bench.enqueue(vec![jobs[0].clone()]).await, [duplicate], "it is in already");
    bench.add(NewJob { queue: "elsewhere".into(), ..bench.job("free") }).await;

    let lease = bench.claim(1).await[0].lease;
    assert_eq!(bench.enqueue(vec![jobs[2].clone()]).await, [Enqueued::Full], "leased is live");
    bench.settle(lease, done()).await;
    bench.add(jobs[2].clone()).await;
    bench.queue.configure(&name(), limit(None)).await.unwrap();
    bench.add_many(5).await;
}

/// A job that comes from another store goes on where it stood there (I20).
pub async fn a_job_keeps_its_past(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let outcomes = [
        done(),
        dead(),
        retry(MINUTE * 50),
        Outcome::Defer { after: MINUTE, note: "rest".into() },
        Outcome::Release { after: Duration::ZERO },
        Outcome::Cancelled,
        Outcome::Done { result: Bytes::new() },
    ];
    let mut ids = Vec::new();
    for (index, outcome) in (0u8..).zip(outcomes) {
        let job = NewJob {
            unique: Some(Bytes::from(vec![index])),
            batch: (index % 2 == 0).then_some(batch),
            priority: index,
            deadline: (index > 2).then_some(MINUTE * 600),
            ..bench.job("x")
        };
        ids.push(bench.add(job).await);
        let jobs = bench.claim(9).await;
        let mine = jobs.iter().find(|job| job.lease.id == ids[usize::from(index)]).unwrap();
        for job in jobs.iter().filter(|job| job.lease.id != mine.lease.id) {
            bench.settle(job.lease, Outcome::Release { after: Duration::ZERO }).await;
        }
        bench.settle(mine.lease, outcome).await;
    }
    let views = |found: Vec<Option<JobView>>| -> Vec<JobView> {
        found.into_iter().map(|view| view.expect("it is kept")).collect()
    };
    let here = views(bench.queue.get(&ids).await.unwrap());
    let other = Bench::new(fixture).await;
    for view in &here {
        let mut job = NewJob::new(view.id, view.queue.clone(), view.payload.clone());
        job.batch = view.batch;
        job.priority = view.priority;
        job.unique.clone_from(&view.unique);
        job.past = Some(Box::new(JobPast::of(view)));
        other.add(job).await;
    }
    let there = views(other.queue.get(&ids).await.unwrap());
    for (here, there) in here.iter().zip(&there) {
        assert!(near(here.at, there.at), "{here:?} {there:?}");
        // What was due may have become due a moment later.
        assert_eq!(&JobView { at: here.at, ..there.clone() }, here);
    }
    let counts = (other.batch_counts(batch).await, bench.batch_counts(batch).await);
    assert_eq!(counts.0, counts.1);
    let job = other.claim_one().await;
    assert!(job.lease.fence > here[4].fence, "fences go on from there");
    let lease = JobLease::new(ids[0], here[0].fence);
    assert_eq!(other.settle(lease, dead()).await, Settled::AlreadyDone);
}

/// An ended job is taken in beside a live one with its key, and into a full queue.
pub async fn an_ended_past_takes_no_room_and_no_key(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let unique = Some(Bytes::from_static(b"key"));
    let first = bench.add(NewJob { unique: unique.clone(), ..bench.job("first") }).await;
    bench.run(done()).await;
    let view = bench.view(first).await.unwrap();

    let other = Bench::new(fixture).await;
    let full = QueueControl { max_len: Some(Some(1)), ..QueueControl::default() };
    other.queue.configure(&name(), full).await.unwrap();
    let live = other.add(NewJob { unique: unique.clone(), ..other.job("live") }).await;
    let past = Some(Box::new(JobPast::of(&view)));
    other.add(NewJob { id: first, past, unique: unique.clone(), ..other.job("first") }).await;
    assert_eq!(other.state(first).await, Some(JobState::Done));
    let twin = NewJob { unique, ..other.job("twin") };
    assert_eq!(other.enqueue(vec![twin]).await, [Enqueued::Duplicate { existing: live }]);
}

/// A call with more than [`MAX_ITEMS`] items is refused as a whole; one with as many is taken.
pub async fn too_many_items_are_refused(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let jobs: Vec<_> = (0..=MAX_ITEMS).map(|_| bench.job("x")).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let lease = |id| JobLease::new(id, Fence::new(1));
    let settlements = ids.iter().map(|id| Settlement::new(lease(*id), done())).collect();
    let errors = [
        bench.queue.enqueue(jobs.clone()).await.map(drop),
        bench.queue.settle(settlements, None).await.map(drop),
        bench.queue.alter(&Select::Jobs(ids.clone()), Alter::Cancel).await.map(drop),
    ];
    for error in errors {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(bench.counts().await.total(), 0);
    bench.add_jobs(jobs[1..].to_vec()).await;
    assert_eq!(bench.alter(&ids[1..], Alter::Cancel).await.changed, MAX_ITEMS as u64);
}
