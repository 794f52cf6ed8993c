//! Claiming: what, in which order, how much, and when.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, done, name, payloads};
use crate::queue::{
    ClaimRequest, ClaimedJob, JobState, MAX_ITEMS, NewJob, Outcome, QueueName, Settled, Settlement,
};
use crate::testing::near;

/// An empty queue, and one that nobody has named before, give nothing.
pub async fn an_empty_queue_gives_nothing(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let claimed = bench.claim_with(&bench.request(10)).await;
    assert!(claimed.jobs.is_empty());
    assert_eq!(claimed.next_at, None);
    assert!(bench.claim(0).await.is_empty());
    assert_eq!(bench.maintain().await, (0, 0));
}

/// A payload is any bytes, from none to a megabyte, and comes back as it was, with the job's
/// times.
pub async fn payloads_come_back_as_they_were(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let odd: Vec<u8> = (0..=255).collect();
    let sent = [vec![], "ünïcode\0 and nul".into(), odd, vec![7; 65_536], vec![8; 1 << 20]];
    for payload in &sent {
        let payload = Bytes::from(payload.clone());
        bench.add(NewJob { payload, deadline: Some(LEASE * 9), ..bench.job("") }).await;
    }
    let jobs = bench.claim(9).await;
    let came: Vec<_> = jobs.iter().map(|job| job.payload.to_vec()).collect();
    assert!(came == sent, "payloads differ");
    for job in jobs {
        assert_eq!((job.attempt, job.crashes, job.deferrals), (0, 0, 0));
        assert_eq!((job.batch, &job.queue), (None, &name()));
        assert_eq!(job.deadline, Some(job.enqueued_at + LEASE * 9));
        let view = bench.view(job.lease.id).await.unwrap();
        assert_eq!(
            (view.payload, view.enqueued_at, view.deadline),
            (job.payload, job.enqueued_at, job.deadline)
        );
    }
}

/// A leased job is in no other claim (I1).
pub async fn a_leased_job_is_hidden(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(bench.job("a")).await;
    let job = bench.claim_one().await;
    assert_eq!(job.lease.id, id);
    assert!(bench.claim(9).await.is_empty());
    let view = bench.view(id).await.unwrap();
    assert_eq!((view.state, &view.worker), (JobState::Leased, &Some("w".into())));
    assert!(near(view.at, view.enqueued_at + LEASE), "the end of the lease is told: {view:?}");
}

/// Each queue gives what is wanted of it, and no other queue gives anything.
pub async fn a_claim_takes_what_it_wants(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let queue = |name: &str| QueueName::new(name);
    for name in ["a", "b", "c"] {
        for _ in 0..5 {
            bench.add(NewJob { queue: queue(name), ..bench.job(name) }).await;
        }
    }
    let wants = vec![(queue("a"), 2), (queue("b"), 9), (queue("unknown"), 3)];
    let claimed = bench.claim_with(&ClaimRequest::new(wants, "w".into(), LEASE)).await;
    let mut counts = BTreeMap::<_, usize>::new();
    for job in &claimed.jobs {
        assert_eq!(job.payload, job.queue.as_str());
        *counts.entry(job.queue.as_str()).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("a", 2), ("b", 5)]));
}

/// However much is wanted, one call brings at most [`MAX_ITEMS`] jobs.
pub async fn a_claim_takes_no_more_than_the_most(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(MAX_ITEMS + 50).await;
    let first = bench.claim(100_000).await.len();
    assert!(first > 0 && first <= MAX_ITEMS, "{first} jobs at once");
    let mut all = first;
    while all < MAX_ITEMS + 50 {
        let more = bench.claim(100_000).await.len();
        assert_ne!(more, 0, "{all} jobs only");
        all += more;
    }
}

/// A job with a smaller priority number comes before every other of its queue (I11).
pub async fn priority_comes_first(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let (batch, other) = (Some(bench.batch()), Some(bench.batch()));
    for (priority, batch) in [(100, None), (255, batch), (0, other), (101, None), (1, batch)] {
        bench.add(NewJob { priority, batch, ..bench.job(&priority.to_string()) }).await;
    }
    assert_eq!(bench.claim_payloads(3).await, ["0", "1", "100"]);
    bench.add(NewJob { priority: 7, ..bench.job("7") }).await;
    assert_eq!(bench.claim_payloads(9).await, ["7", "101", "255"]);
}

/// Jobs of one batch and priority come in the order of their enqueuing; one that was given back
/// keeps its place (I11).
pub async fn jobs_of_one_batch_come_in_order(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    for batch in [None, Some(bench.batch())] {
        bench.add_all(batch, &["a", "b"]).await;
        bench.add_all(batch, &["c", "d", "e"]).await;
        let first = bench.claim(2).await;
        assert_eq!(payloads(&first), ["a", "b"]);
        bench.settle(first[0].lease, Outcome::Release { after: Duration::ZERO }).await;
        assert_eq!(bench.claim_payloads(2).await, ["a", "c"]);
        assert_eq!(bench.claim_payloads(9).await, ["d", "e"]);
    }
}

/// Batches of one priority share a claim evenly, however much each has, and claims of one job as well
/// (I11).
pub async fn batches_take_turns(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let (big, small) = (bench.batch(), bench.batch());
    let payloads: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    bench.add_all(Some(big), &payloads).await;
    bench.add_all(Some(small), &payloads[..5]).await;
    bench.add_all(None, &payloads[..5]).await;
    let mut taken = BTreeMap::<_, Vec<String>>::new();
    for max in [6, 3, 3, 1, 1, 1] {
        for job in bench.claim(max).await {
            let text = String::from_utf8(job.payload.to_vec()).unwrap();
            taken.entry(job.batch).or_default().push(text);
        }
        let counts: Vec<_> = taken.values().map(Vec::len).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(counts.len() == 3 && most - least <= 1, "{counts:?}");
    }
    for of_one in taken.values() {
        assert_eq!(of_one, &payloads[..5], "each in its order");
    }
    assert_eq!(bench.claim(35).await.len(), 35, "the rest is the big one's");

    // A batch of which nothing waits any more takes no turn from others.
    let new = [bench.batch(), bench.batch()].map(Some);
    for batch in new {
        bench.add_all(batch, &payloads[..2]).await;
    }
    let mut taken: Vec<_> = bench.claim(2).await.iter().map(|job| job.batch).collect();
    taken.sort();
    assert_eq!(taken, new, "one of each");
    assert_eq!(bench.claim(99).await.len(), 2);
}

/// A delayed job is not claimed before its time by the store's clock, and is after it (I12).
pub async fn nothing_is_claimed_before_it_is_due(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let id = bench.add(NewJob { delay: MINUTE * 2, ..bench.job("later") }).await;
    let view = bench.view(id).await.unwrap();
    assert_eq!(view.state, JobState::Scheduled);
    assert_eq!(view.at, view.enqueued_at + MINUTE * 2);
    assert!(bench.claim(9).await.is_empty());
    bench.advance(MINUTE).await;
    bench.maintain().await;
    assert!(bench.claim(9).await.is_empty());
    bench.advance(MINUTE).await;
    assert_eq!(bench.claim_payloads(9).await, ["later"]);
}

/// A claim tells when the next job of the wanted queues becomes due.
pub async fn the_next_due_time_is_told(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let late = bench.add(NewJob { delay: MINUTE * 9, ..bench.job("late") }).await;
    let soon = bench.add(NewJob { delay: MINUTE * 3, ..bench.job("soon") }).await;
    let other = NewJob { queue: "other".into(), delay: MINUTE, ..bench.job("other") };
    bench.add(other).await;
    bench.add(bench.job("now")).await;
    let claimed = bench.claim_with(&bench.request(9)).await;
    assert_eq!(payloads(&claimed.jobs), ["now"]);
    assert_eq!(claimed.next_at, bench.view(soon).await.map(|view| view.at));
    bench.advance(MINUTE * 4).await;
    let claimed = bench.claim_with(&bench.request(9)).await;
    assert_eq!(payloads(&claimed.jobs), ["soon"]);
    assert_eq!(claimed.next_at, bench.view(late).await.map(|view| view.at));
}

/// A claim of the hopeless brings the jobs whose deadline is near, due or not, and no others.
pub async fn hopeless_jobs_are_claimed_due_or_not(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let job = |payload: &str, minutes: u32, delay| NewJob {
        deadline: Some(MINUTE * minutes),
        delay,
        ..bench.job(payload)
    };
    bench.add(job("delayed", 5, MINUTE * 60)).await;
    bench.add(job("due", 20, Duration::ZERO)).await;
    bench.add(bench.job("no deadline")).await;
    let hopeless = async |within| {
        let request = ClaimRequest { hopeless_within: Some(within), ..bench.request(9) };
        payloads(&bench.claim_with(&request).await.jobs)
    };
    assert!(hopeless(Duration::ZERO).await.is_empty());
    assert_eq!(hopeless(MINUTE * 7).await, ["delayed"]);
    assert!(hopeless(MINUTE * 7).await.is_empty(), "it is leased now");
    bench.advance(MINUTE * 20).await;
    assert_eq!(hopeless(Duration::ZERO).await, ["due"], "its deadline has passed");
    assert!(hopeless(Duration::MAX).await.is_empty(), "the last one has no deadline");
    assert_eq!(bench.claim_payloads(9).await, ["no deadline"]);
}

/// Workers that claim and settle at the same time never get the same job, and get all (I1).
pub async fn racing_claims_never_share_a_job(fixture: &dyn QueueFixture) {
    const JOBS: usize = 1_000;
    let bench = Bench::new(fixture).await;
    bench.add_many(JOBS).await;
    let handle = tokio::runtime::Handle::current();
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (queue, handle) = (Arc::clone(&bench.queue), handle.clone());
        let worker = format!("w{number}");
        // Threads of their own: the runtime of a case has one.
        workers.spawn_blocking(move || {
            handle.block_on(async {
                let wants = vec![(name(), 7)];
                let request = ClaimRequest::new(wants, worker.as_str().into(), LEASE);
                let mut mine = Vec::new();
                let mut jobs = queue.claim(&request).await.unwrap().jobs;
                while !jobs.is_empty() {
                    mine.extend(jobs.iter().map(|job| job.lease.id));
                    let end = |job: &ClaimedJob| Settlement::new(job.lease, done());
                    let ends: Vec<_> = jobs.iter().map(end).collect();
                    let (settled, next) = queue.settle(ends, Some(&request)).await.unwrap();
                    assert!(settled.iter().all(|reply| *reply == Settled::Applied));
                    jobs = next.jobs;
                }
                mine
            })
        });
    }
    let mut seen = HashSet::new();
    while let Some(mine) = workers.join_next().await {
        for id in mine.unwrap() {
            assert!(seen.insert(id), "{id} was claimed twice");
        }
    }
    assert_eq!(seen.len(), JOBS);
    assert_eq!(bench.counts().await.done, JOBS as u64);
}

/// Waiting returns true at once while a job is due.
pub async fn waiting_ends_at_once_with_a_due_job(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add(NewJob { queue: "other".into(), ..bench.job("a") }).await;
    let names = [name(), "other".into()];
    let waited = tokio::time::timeout(LEASE, bench.queue.wait(&names, LEASE * 9)).await;
    assert!(waited.expect("a job is due").unwrap());
}

/// Waiting returns true when a job comes, also one that another handle of the store takes in (L2).
pub async fn waiting_ends_with_a_new_job(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let names = [name()];
    let wait = async {
        // It may say true for nothing.
        while bench.queue.wait(&names, LEASE * 9).await.unwrap() {
            if !bench.claim(1).await.is_empty() {
                return;
            }
        }
        panic!("the time was not over");
    };
    let add = async {
        tokio::task::yield_now().await;
        bench.add(bench.job("new")).await;
    };
    let both = async { tokio::join!(wait, add) };
    tokio::time::timeout(MINUTE, both).await.expect("a new job ends the waiting");
}

/// Waiting returns false after its time without a job, and does not take much longer.
pub async fn waiting_gives_up_in_time(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add(NewJob { delay: LEASE * 9, ..bench.job("later") }).await;
    let (names, max) = ([name()], Duration::from_millis(20));
    let give_up = async { while bench.queue.wait(&names, max).await.unwrap() {} };
    tokio::time::timeout(MINUTE, give_up).await.expect("waiting ends after its time");
}
