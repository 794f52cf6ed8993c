//! Looking at a queue, its settings, and what it keeps.

use bytes::Bytes;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, name, payloads, recount, waiting};
use crate::error::ErrorKind;
use crate::queue::{
    Alter, BeatReply, ClaimRequest, JobFilter, JobState, NewJob, Outcome, QueueControl, QueueStats,
    Retention, Select, Settled, StatsQuery,
};
use crate::testing::near;

/// A paused queue gives nothing; its running jobs go on, and it takes jobs in (I15).
pub async fn a_paused_queue_is_held_back(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_all(None, &["a", "b"]).await;
    let running = bench.claim(1).await.remove(0).lease;
    let pause = |paused| QueueControl { paused: Some(paused), ..QueueControl::default() };
    bench.queue.configure(&name(), pause(true)).await.unwrap();
    bench.add(bench.job("c")).await;
    let other = NewJob { queue: "other".into(), ..bench.job("other") };
    bench.add(other).await;
    let wants = vec![(name(), 9), ("other".into(), 9)];
    let claimed = bench.claim_with(&ClaimRequest::new(wants, "w".into(), LEASE)).await;
    assert_eq!(payloads(&claimed.jobs), ["other"]);
    assert_eq!(bench.beat(&[running]).await, [BeatReply::Held]);
    let next = bench.request(9);
    let end = vec![crate::queue::Settlement::new(running, done())];
    let (settled, claimed) = bench.queue.settle(end, Some(&next)).await.unwrap();
    assert_eq!((settled, claimed.jobs.len()), (vec![Settled::Applied], 0));
    bench.queue.configure(&name(), pause(false)).await.unwrap();
    assert_eq!(bench.claim_payloads(9).await, ["b", "c"]);
}

/// The deadline of a live job can be moved or taken away; that of an ended one cannot.
pub async fn deadlines_can_be_moved(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let job = || NewJob { deadline: Some(MINUTE), ..bench.job("a") };
    let (moved, lifted) = (bench.add(job()).await, bench.add(job()).await);
    let ghost = bench.job("ghost").id;
    let altered = bench.alter(&[moved, ghost], Alter::Deadline(Some(MINUTE * 60))).await;
    assert_eq!((altered.changed, altered.refused), (1, 1));
    assert_eq!(bench.alter(&[lifted], Alter::Deadline(None)).await.changed, 1);
    bench.advance(MINUTE * 2).await;
    let hopeless = ClaimRequest { hopeless_within: Some(MINUTE), ..bench.request(9) };
    assert!(bench.claim_with(&hopeless).await.jobs.is_empty());
    let jobs = bench.claim(9).await;
    let deadline = jobs[0].deadline.expect("it has one");
    assert!(near(deadline, jobs[0].enqueued_at + MINUTE * 60));
    assert_eq!((jobs[1].lease.id, jobs[1].deadline), (lifted, None));
    // While it runs, too.
    assert_eq!(bench.alter(&[lifted], Alter::Deadline(Some(MINUTE))).await.changed, 1);
    let release = Outcome::Release { after: MINUTE * 60 };
    bench.settle(jobs[1].lease, release).await;
    assert_eq!(bench.claim_with(&hopeless).await.jobs[0].lease.id, lifted);
    bench.settle(jobs[0].lease, done()).await;
    assert_eq!(bench.alter(&[moved], Alter::Deadline(None)).await.refused, 1);
}

/// A change that has no meaning for what is selected is refused as a mistake of the caller.
pub async fn changes_that_do_not_fit_are_refused(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let id = bench.add_all(Some(batch), &["a"]).await[0];
    for (select, alter) in [
        (Select::Batch(batch), Alter::Delete),
        (Select::Batch(batch), Alter::Deadline(None)),
        (Select::Jobs(vec![id]), Alter::Pause),
        (Select::Jobs(vec![id]), Alter::Resume),
    ] {
        let error = bench.queue.alter(&select, alter).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!(bench.claim_payloads(9).await, ["a"]);
}

/// Views come one per id, in order, and none for an unknown one.
pub async fn looking_answers_in_order(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let full = NewJob {
        batch: Some(batch),
        priority: 9,
        unique: Some(Bytes::from_static(b"key\0")),
        deadline: Some(LEASE),
        ..bench.job("payload")
    };
    let plain = bench.add(bench.job("plain")).await;
    let full = bench.add(full).await;
    let ghost = bench.job("ghost").id;
    let views = bench.queue.get(&[full, ghost, plain, full]).await.unwrap();
    let ids: Vec<_> = views.iter().map(|view| view.as_ref().map(|view| view.id)).collect();
    assert_eq!(ids, [Some(full), None, Some(plain), Some(full)]);
    let view = views[0].as_ref().unwrap();
    assert_eq!((view.batch, view.priority, &view.payload[..]), (Some(batch), 9, &b"payload"[..]));
    assert_eq!(view.unique.as_deref(), Some(&b"key\0"[..]));
    assert_eq!((view.queue.clone(), view.state), (name(), JobState::Ready));
    assert_eq!(view.deadline, Some(view.enqueued_at + LEASE));
    let view = views[2].as_ref().unwrap();
    assert_eq!((view.batch, view.unique.clone(), view.deadline), (None, None, None));
    assert_eq!((view.priority, view.note.as_str()), (100, ""));
    assert!(bench.queue.get(&[]).await.unwrap().is_empty());
}

/// Paging by id shows each job once, also when others come and go meanwhile (I19).
pub async fn pages_have_no_gaps(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let mut ids = bench.add_many(23).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = bench.queue.list(&JobFilter::default(), after, 4).await.unwrap();
        assert!(page.jobs.len() <= 4);
        seen.extend(page.jobs.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        assert_eq!(page.jobs.len(), 4, "a page with a successor is full");
        bench.claim(1).await;
        bench.add(bench.job("new")).await;
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "by id, each once");
    ids.sort();
    seen.retain(|id| ids.contains(id));
    assert_eq!(seen, ids);
}

/// Filters by batch, queue, state and worker select, alone and together.
pub async fn filters_select(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    let batch = bench.batch();
    let mine = bench.add_all(Some(batch), &["a", "b", "c"]).await;
    let other = bench.add(NewJob { queue: "other".into(), ..bench.job("d") }).await;
    let later = bench.add(NewJob { delay: MINUTE, ..bench.job("e") }).await;
    let jobs = bench.claim(2).await;
    bench.settle(jobs[0].lease, done()).await;
    let all = JobFilter::default();
    let found = async |filter: JobFilter| {
        let jobs = bench.list(&filter).await;
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let sorted = |mut ids: Vec<_>| {
        ids.sort();
        ids
    };
    assert_eq!(found(all.clone()).await.len(), 5);
    assert_eq!(found(JobFilter::batch(batch)).await, sorted(mine.clone()));
    let of_queue = JobFilter { queue: Some("other".into()), ..all.clone() };
    assert_eq!(found(of_queue).await, [other]);
    assert_eq!(found(JobFilter { queue: Some("none".into()), ..all.clone() }).await, []);
    assert_eq!(found(all.clone().with_state(JobState::Done)).await, [mine[0]]);
    assert_eq!(found(all.clone().with_state(JobState::Scheduled)).await, [later]);
    assert_eq!(found(JobFilter::batch(batch).with_state(JobState::Ready)).await, [mine[2]]);
    let held = JobFilter { worker: Some("w".into()), ..all.clone() };
    assert_eq!(found(held.clone()).await, [mine[1]], "what it has settled it holds no more");
    let nobodys = JobFilter { worker: Some("nobody".into()), ..all };
    assert_eq!(found(nobodys).await, []);
    assert_eq!(found(held.with_state(JobState::Ready)).await, []);
}

/// The counts of each queue equal a full recount, by name, beside its settings (I5, I6).
pub async fn queue_counts_equal_a_recount(fixture: &dyn QueueFixture) {
    let bench = Bench::new(fixture).await;
    bench.add_many(6).await;
    for queue in ["b", "a"] {
        bench.add(NewJob { queue: queue.into(), ..bench.job("x") }).await;
    }
    bench.add(NewJob { delay: MINUTE, ..bench.job("later") }).await;
    let jobs = bench.claim(4).await;
    for (job, outcome) in jobs.iter().zip([done(), dead(), Outcome::Cancelled]) {
        bench.settle(job.lease, outcome).await;
    }
    let control = QueueControl { paused: Some(true), max_len: Some(Some(7)) };
    bench.queue.configure(&"a".into(), control).await.unwrap();
    let stats = bench.queue.stats(&StatsQuery::Queues).await.unwrap().queues;
    let names: Vec<_> = stats.iter().map(|stats| stats.queue.as_str()).collect();
    assert_eq!(names, ["a", "b", name().as_str()]);
    assert_eq!((stats[0].paused, stats[0].max_len), (true, Some(7)));
    assert_eq!((stats[1].paused, stats[1].max_len), (false, None));
    for QueueStats { queue, counts, .. } in stats {
        let filter = JobFilter { queue: Some(queue), ..JobFilter::default() };
        assert_eq!(waiting(counts), waiting(recount(&bench.list(&filter).await)));
    }
}

/// Of more ended jobs than may be kept the oldest are dropped; those that wait or run never (I18).
pub async fn retention_by_number_drops_the_oldest(fixture: &dyn QueueFixture) {
    let bench = Bench::with(fixture, Retention { done: 2, dead: 1, ..Retention::default() }).await;
    let ids = bench.add_many(8).await;
    let jobs = bench.claim(7).await;
    for (job, outcome) in jobs.iter().zip([done(), done(), done(), dead(), dead(), dead()]) {
        bench.settle(job.lease, outcome).await;
        bench.advance(MINUTE / 60).await;
    }
    bench.maintain().await;
    let kept: Vec<_> = bench.list(&JobFilter::default()).await.iter().map(|job| job.id).collect();
    let mut expected = vec![ids[1], ids[2], ids[5], ids[6], ids[7]];
    expected.sort();
    assert_eq!(kept, expected);
    assert_eq!(bench.counts().await.total(), 8, "what was dropped still counts");
    assert_eq!(bench.settle(jobs[0].lease, done()).await, Settled::Gone);
    assert_eq!(bench.settle(jobs[6].lease, done()).await, Settled::Applied);
}

/// Ended jobs are dropped after their time, those that ended well and the others each after theirs;
/// live ones never (I18).
pub async fn retention_by_age_drops_ended_jobs_only(fixture: &dyn QueueFixture) {
    let keep = Retention { done_for: MINUTE * 5, dead_for: MINUTE * 10, ..Retention::default() };
    let bench = Bench::with(fixture, keep).await;
    let ids = bench.add_many(3).await;
    let later = bench.add(NewJob { delay: MINUTE * 60, ..bench.job("later") }).await;
    let jobs = bench.claim(2).await;
    bench.settle(jobs[0].lease, done()).await;
    bench.settle(jobs[1].lease, dead()).await;
    bench.advance(MINUTE * 4).await;
    assert_eq!(bench.maintain().await, (0, 0));
    bench.advance(MINUTE).await;
    assert_eq!(bench.maintain().await, (0, 1));
    assert_eq!(bench.state(ids[0]).await, None);
    assert_eq!(bench.state(ids[1]).await, Some(JobState::Dead));
    bench.alter(&[ids[1]], Alter::Replay).await;
    bench.advance(MINUTE * 6).await;
    assert_eq!(bench.maintain().await, (0, 0), "it lives again");
    assert_eq!(bench.state(later).await, Some(JobState::Scheduled));
    assert_eq!(bench.claim(9).await.len(), 2);
}

/// A round of maintenance drops no more than it may, and says that there is more (I18).
pub async fn pruning_stays_within_the_budget(fixture: &dyn QueueFixture) {
    let keep = Retention { done_for: MINUTE, ..Retention::default() };
    let bench = Bench::with(fixture, keep).await;
    bench.add_many(7).await;
    for job in bench.claim(7).await {
        bench.settle(job.lease, done()).await;
    }
    bench.advance(MINUTE).await;
    let round = bench.queue.maintain(3).await.unwrap();
    assert_eq!((round.reaped, round.pruned, round.more), (0, 3, true));
    assert_eq!(bench.maintain().await, (0, 4));
    assert!(bench.list(&JobFilter::default()).await.is_empty());
    assert!(!bench.queue.maintain(3).await.unwrap().more);
}
