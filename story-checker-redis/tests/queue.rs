//! What the memory adapter promises, here.
use crate::server::Server;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use story_checker_core::queue::*;
use story_checker_core::retry::DeadReason;
use story_checker_core::*;
use story_checker_redis::{RedisOptions, RedisStore};

const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

struct Ids;
impl Ids {
    fn job(&self) -> JobId {
        JobId::from(uuid::Uuid::now_v7())
    }
    fn batch(&self) -> BatchId {
        BatchId::from(uuid::Uuid::now_v7())
    }
}
struct Bench {
    server: Server,
    queue: Arc<dyn JobQueue>,
    ids: Ids,
}

async fn bench() -> Bench {
    bench_with(Retention::default()).await
}

async fn bench_with(retention: Retention) -> Bench {
    let server = Server::start();
    let options = RedisOptions::default().with_retention(retention);
    let store = RedisStore::connect(&server.url(), options).await.unwrap();
    Bench { server, queue: Arc::new(store.queue()), ids: Ids }
}

impl Bench {
    async fn advance(&self, span: Duration) {
        let mut c = self.server.client();
        redis::cmd("HINCRBY")
            .arg("{story-checker}c")
            .arg("o")
            .arg(span.as_millis() as u64)
            .exec(&mut c)
            .unwrap();
    }
}

fn name() -> QueueName {
    "check/instagram/account".into()
}

fn done() -> Outcome {
    Outcome::Done { result: Bytes::from_static(b"result") }
}

impl Bench {
    fn job(&self, payload: &str) -> NewJob {
        NewJob::new(self.ids.job(), name(), Bytes::from(payload.to_owned()))
    }

    fn batch(&self) -> BatchId {
        self.ids.batch()
    }

    async fn add(&self, job: NewJob) -> JobId {
        let id = job.id;
        assert_eq!(self.queue.enqueue(vec![job]).await.unwrap(), [Enqueued::Inserted]);
        id
    }

    async fn add_many(&self, batch: Option<BatchId>, payloads: &[&str]) {
        let jobs = payloads.iter().map(|payload| {
            let mut new = self.job(payload);
            new.batch = batch;
            new
        });
        let replies = self.queue.enqueue(jobs.collect()).await.unwrap();
        assert!(replies.iter().all(|reply| *reply == Enqueued::Inserted));
    }

    async fn claim(&self, max: usize) -> Vec<ClaimedJob> {
        let request = ClaimRequest::new(vec![(name(), max)], "w".into(), LEASE);
        self.queue.claim(&request).await.unwrap().jobs
    }

    async fn claim_payloads(&self, max: usize) -> Vec<String> {
        let text = |job: ClaimedJob| String::from_utf8(job.payload.to_vec()).unwrap();
        self.claim(max).await.into_iter().map(text).collect()
    }

    async fn settle(&self, lease: JobLease, outcome: Outcome) -> Settled {
        let settlement = Settlement::new(lease, outcome);
        self.queue.settle(vec![settlement], None).await.unwrap().0[0]
    }

    async fn state(&self, id: JobId) -> Option<JobState> {
        self.queue.get(&[id]).await.unwrap()[0].as_ref().map(|view| view.state)
    }
}

#[tokio::test]
async fn an_empty_claim_is_empty_and_payloads_come_back_as_they_were() {
    let bench = bench().await;
    assert!(bench.claim(10).await.is_empty());
    let odd = "ünïcode\0 and nul";
    bench.add(bench.job(odd)).await;
    bench
        .add({
            let mut new = bench.job("");
            new.payload = Bytes::from(vec![7; 1 << 20]);
            new
        })
        .await;
    let jobs = bench.claim(10).await;
    assert_eq!(jobs[0].payload, odd);
    assert_eq!(jobs[1].payload.len(), 1 << 20);
    assert_eq!((jobs[0].attempt, jobs[0].crashes, jobs[0].deferrals), (0, 0, 0));
    assert!(bench.claim(10).await.is_empty(), "leased jobs are hidden");
}

#[tokio::test]
async fn priority_first_then_the_batches_in_turn_each_first_in_first_out() {
    let bench = bench().await;
    let (big, small) = (bench.batch(), bench.batch());
    bench.add_many(Some(big), &["big1", "big2", "big3", "big4"]).await;
    bench.add_many(Some(small), &["small1", "small2"]).await;
    bench
        .add({
            let mut new = bench.job("urgent");
            new.priority = 0;
            new
        })
        .await;
    bench
        .add({
            let mut new = bench.job("last");
            new.priority = 255;
            new
        })
        .await;
    assert_eq!(bench.claim_payloads(1).await, ["urgent"]);
    for expected in ["big1", "small1", "big2", "small2"] {
        assert_eq!(bench.claim_payloads(1).await, [expected]);
    }
    assert_eq!(bench.claim_payloads(9).await, ["big3", "big4", "last"].map(String::from));
}

#[tokio::test]
async fn delays_are_kept_and_the_next_due_time_is_told() {
    let bench = bench().await;
    bench
        .add({
            let mut new = bench.job("later");
            new.delay = SECOND;
            new
        })
        .await;
    let request = ClaimRequest::new(vec![(name(), 5)], "w".into(), LEASE);
    let claimed = bench.queue.claim(&request).await.unwrap();
    assert!(claimed.jobs.is_empty());
    assert!(claimed.next_at.is_some());
    bench.advance(SECOND).await;
    assert_eq!(bench.claim_payloads(5).await, ["later"]);
}

#[tokio::test]
async fn the_same_id_or_the_same_live_key_is_a_duplicate() {
    let bench = bench().await;
    let unique = Some(Bytes::from_static(b"instagram/account/tea"));
    let first = {
        let mut new = bench.job("tea");
        new.unique = unique.clone();
        new
    };
    let id = bench.add(first.clone()).await;
    let twin = {
        let mut new = bench.job("tea");
        new.unique = unique.clone();
        new
    };
    let duplicate = Enqueued::Duplicate { existing: id };
    assert_eq!(bench.queue.enqueue(vec![first, twin.clone()]).await.unwrap(), [duplicate; 2]);
    let lease = bench.claim(1).await[0].lease;
    assert_eq!(
        bench.queue.enqueue(vec![twin.clone()]).await.unwrap(),
        [duplicate],
        "leased is live"
    );
    bench.settle(lease, done()).await;
    bench.add(twin).await;
}

#[tokio::test]
async fn a_full_queue_says_so_item_by_item_and_takes_again_later() {
    let bench = bench().await;
    let control = {
        let mut new = QueueControl::default();
        new.max_len = Some(Some(2));
        new
    };
    bench.queue.configure(&name(), control).await.unwrap();
    let jobs = ["a", "b", "c"].map(|payload| bench.job(payload));
    let replies = bench.queue.enqueue(jobs.to_vec()).await.unwrap();
    assert_eq!(replies, [Enqueued::Inserted, Enqueued::Inserted, Enqueued::Full]);
    let lease = bench.claim(1).await[0].lease;
    bench.settle(lease, done()).await;
    bench.add(jobs[2].clone()).await;
}

#[tokio::test]
async fn settling_is_fenced_and_a_repeated_settlement_says_so() {
    let bench = bench().await;
    let id = bench.add(bench.job("a")).await;
    let first = bench.claim(1).await[0].lease;
    bench.advance(LEASE).await;
    assert_eq!(bench.queue.maintain(10).await.unwrap().reaped, 1);
    let second = bench.claim(1).await.remove(0);
    assert_eq!(second.crashes, 1, "a lease that ran out counts as a crash");
    assert!(second.lease.fence > first.fence);
    assert_eq!(bench.settle(first, done()).await, Settled::Stale);
    assert_eq!(bench.state(id).await, Some(JobState::Leased), "the stale one changed nothing");
    assert_eq!(bench.settle(second.lease, done()).await, Settled::Applied);
    let again = Outcome::Retry { after: SECOND, note: String::new() };
    assert_eq!(bench.settle(second.lease, again).await, Settled::AlreadyDone);
    assert_eq!(bench.state(id).await, Some(JobState::Done), "the first outcome stands");
    let ghost = JobLease::new(bench.ids.job(), Fence::new(1));
    assert_eq!(bench.settle(ghost, done()).await, Settled::Gone);
}

#[tokio::test]
async fn one_bad_settlement_does_not_spoil_the_others() {
    let bench = bench().await;
    bench.add_many(None, &["a", "b"]).await;
    let jobs = bench.claim(2).await;
    let ghost = JobLease::new(bench.ids.job(), Fence::new(1));
    let all = [jobs[0].lease, ghost, jobs[1].lease].map(|lease| Settlement::new(lease, done()));
    let next = ClaimRequest::new(vec![(name(), 1)], "w".into(), LEASE);
    bench.add(bench.job("c")).await;
    let (settled, claimed) = bench.queue.settle(all.to_vec(), Some(&next)).await.unwrap();
    assert_eq!(settled, [Settled::Applied, Settled::Gone, Settled::Applied]);
    assert_eq!(claimed.jobs[0].payload, "c", "settle and claim in one call");
}

#[tokio::test]
async fn attempts_deferrals_and_releases_are_counted_apart() {
    let bench = bench().await;
    let id = bench.add(bench.job("a")).await;
    let note = || "why".to_owned();
    for outcome in [
        Outcome::Retry { after: SECOND, note: note() },
        Outcome::Defer { after: SECOND, note: note() },
        Outcome::Defer { after: SECOND, note: note() },
        Outcome::Release { after: SECOND },
    ] {
        let lease = bench.claim(1).await[0].lease;
        assert_eq!(bench.settle(lease, outcome).await, Settled::Applied);
        assert!(bench.claim(1).await.is_empty(), "it is not due yet");
        bench.advance(SECOND).await;
    }
    let job = bench.claim(1).await.remove(0);
    assert_eq!((job.attempt, job.deferrals, job.crashes), (1, 2, 0));
    assert_eq!(job.lease.fence, Fence::new(5), "every claim raises the fence");
    let view = bench.queue.get(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!((view.note.as_str(), view.worker), ("why", Some("w".into())));
}

#[tokio::test]
async fn the_beat_keeps_leases_and_brings_cancellations() {
    let bench = bench().await;
    bench.add_many(None, &["a", "b"]).await;
    let leases: Vec<_> = bench.claim(2).await.iter().map(|job| job.lease).collect();
    let beat = Beat::new("w".into(), LEASE, leases.clone());
    for _ in 0..5 {
        bench.advance(LEASE / 2).await;
        assert_eq!(bench.queue.beat(&beat).await.unwrap(), [BeatReply::Held; 2]);
        assert_eq!(bench.queue.maintain(10).await.unwrap().reaped, 0);
    }
    let select = Select::Jobs(vec![leases[0].id]);
    bench.queue.alter(&select, Alter::Cancel).await.unwrap();
    assert_eq!(bench.queue.beat(&beat).await.unwrap(), [BeatReply::Cancel, BeatReply::Held]);
    let retry = Outcome::Retry { after: SECOND, note: String::new() };
    bench.settle(leases[0], retry).await;
    assert_eq!(bench.state(leases[0].id).await, Some(JobState::Cancelled), "never tried again");
    bench.advance(LEASE).await;
    bench.queue.maintain(10).await.unwrap();
    assert_eq!(bench.queue.beat(&beat).await.unwrap(), [BeatReply::Stale; 2]);
}

#[tokio::test]
async fn a_cancelled_batch_ends_at_once_in_every_count() {
    let bench = bench().await;
    let batch = bench.batch();
    bench.add_many(Some(batch), &["a", "b", "c"]).await;
    bench
        .add({
            let mut new = bench.job("later");
            new.batch = Some(batch);
            new.delay = SECOND;
            new
        })
        .await;
    bench.add(bench.job("other")).await;
    let running = bench.claim(1).await.remove(0);
    let altered = bench.queue.alter(&Select::Batch(batch), Alter::Cancel).await.unwrap();
    assert_eq!(altered.changed, 4);
    let counts =
        bench.queue.stats(&StatsQuery::Batches(vec![batch])).await.unwrap().batches[0].counts;
    assert_eq!((counts.cancelled, counts.leased, counts.total()), (3, 1, 4));
    assert_eq!(bench.claim_payloads(9).await, ["other"]);
    assert_eq!(
        bench.settle(running.lease, done()).await,
        Settled::Applied,
        "a finished answer counts"
    );

    let late = {
        let mut new = bench.job("too late");
        new.batch = Some(batch);
        new
    };
    let late = bench.add(late).await;
    assert_eq!(bench.state(late).await, Some(JobState::Cancelled));
    bench.advance(SECOND).await;
    assert!(bench.claim(9).await.is_empty());
    bench.queue.maintain(100).await.unwrap();
    let filter = JobFilter::batch(batch).with_state(JobState::Cancelled);
    assert_eq!(bench.queue.list(&filter, None, 10).await.unwrap().jobs.len(), 4);
    let again = bench.queue.alter(&Select::Batch(batch), Alter::Cancel).await.unwrap();
    assert_eq!(again.changed, 0);
}

#[tokio::test]
async fn pausing_holds_back_a_batch_or_a_queue_only() {
    let bench = bench().await;
    let batch = bench.batch();
    bench.add_many(Some(batch), &["held"]).await;
    bench.add(bench.job("free")).await;
    bench.queue.alter(&Select::Batch(batch), Alter::Pause).await.unwrap();
    assert_eq!(bench.claim_payloads(9).await, ["free"]);
    let before = tokio::time::Instant::now();
    bench.queue.wait(&[name()], SECOND).await.unwrap();
    assert!(before.elapsed() >= SECOND, "held jobs wake nobody");
    bench.queue.alter(&Select::Batch(batch), Alter::Resume).await.unwrap();

    let pause = |paused| {
        let mut new = QueueControl::default();
        new.paused = Some(paused);
        new
    };
    bench.queue.configure(&name(), pause(true)).await.unwrap();
    assert!(bench.claim(9).await.is_empty());
    let stats = bench.queue.stats(&StatsQuery::Queues).await.unwrap();
    assert!(stats.queues[0].paused);
    bench.queue.configure(&name(), pause(false)).await.unwrap();
    assert_eq!(bench.claim_payloads(9).await, ["held"]);
}

#[tokio::test]
async fn dead_jobs_are_kept_and_can_be_replayed_or_deleted() {
    let bench = bench().await;
    let unique = Some(Bytes::from_static(b"key"));
    let id = bench
        .add({
            let mut new = bench.job("a");
            new.unique = unique.clone();
            new
        })
        .await;
    let lease = bench.claim(1).await[0].lease;
    let result = Bytes::from_static(b"unknown");
    bench
        .settle(lease, Outcome::Dead { reason: DeadReason::Attempts, result: result.clone() })
        .await;
    let view = bench.queue.get(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(
        (view.state, view.dead_reason, view.result),
        (JobState::Dead, Some(DeadReason::Attempts), Some(result))
    );

    let jobs = Select::Jobs(vec![id]);
    let twin = bench
        .add({
            let mut new = bench.job("twin");
            new.unique = unique;
            new
        })
        .await;
    assert_eq!(bench.queue.alter(&jobs, Alter::Replay).await.unwrap().refused, 1, "its twin lives");
    bench.queue.alter(&Select::Jobs(vec![twin]), Alter::Cancel).await.unwrap();
    assert_eq!(bench.queue.alter(&jobs, Alter::Replay).await.unwrap().changed, 1);
    let again = bench.claim(1).await.remove(0);
    assert_eq!((again.lease.id, again.attempt), (id, 0));
    assert!(again.lease.fence > lease.fence);
    assert_eq!(bench.queue.alter(&jobs, Alter::Delete).await.unwrap().refused, 1, "it runs");
    bench.settle(again.lease, done()).await;
    assert_eq!(bench.queue.alter(&jobs, Alter::Delete).await.unwrap().changed, 1);
    assert_eq!(bench.state(id).await, None);
}

#[tokio::test]
async fn changes_that_do_not_fit_and_oversized_calls_are_refused() {
    let bench = bench().await;
    let batch = bench.batch();
    for (select, alter) in [
        (Select::Batch(batch), Alter::Delete),
        (Select::Batch(batch), Alter::Deadline(None)),
        (Select::Jobs(vec![]), Alter::Pause),
    ] {
        let error = bench.queue.alter(&select, alter).await.unwrap_err();
        assert_eq!(error.kind(), story_checker_core::ErrorKind::Invalid);
    }
    assert_eq!(bench.queue.alter(&Select::Batch(batch), Alter::Cancel).await.unwrap().refused, 1);
    assert_eq!(bench.queue.alter(&Select::Batch(batch), Alter::Pause).await.unwrap().refused, 1);
    let many = (0..=MAX_ITEMS).map(|_| bench.job("x")).collect();
    assert_eq!(
        bench.queue.enqueue(many).await.unwrap_err().kind(),
        story_checker_core::ErrorKind::Invalid
    );
}

#[tokio::test]
async fn jobs_too_late_are_claimed_as_hopeless_due_or_not() {
    let bench = bench().await;
    let deadline = |secs| Some(Duration::from_secs(secs));
    bench
        .add({
            let mut new = bench.job("delayed");
            new.deadline = deadline(5);
            new.delay = SECOND * 60;
            new
        })
        .await;
    bench
        .add({
            let mut new = bench.job("due");
            new.deadline = deadline(10);
            new
        })
        .await;
    bench.add(bench.job("no deadline")).await;
    let hopeless = |within| {
        let mut request = ClaimRequest::new(vec![(name(), 9)], "w".into(), LEASE);
        request.hopeless_within = Some(within);
        request
    };
    let claim = async |within| bench.queue.claim(&hopeless(within)).await.unwrap().jobs;
    assert!(claim(Duration::ZERO).await.is_empty());
    let jobs = claim(Duration::from_secs(7)).await;
    assert_eq!(jobs[0].payload, "delayed");
    assert!(jobs[0].deadline.is_some());
    assert!(claim(Duration::from_secs(7)).await.is_empty(), "it is leased now");
    assert_eq!(claim(Duration::MAX).await[0].payload, "due");
    assert_eq!(bench.claim_payloads(9).await, ["no deadline"]);
}

#[tokio::test]
async fn retention_drops_ended_jobs_only_and_counts_stay_true() {
    let keep = {
        let mut new = Retention::default();
        new.done = 2;
        new.done_for = SECOND * 60;
        new
    };
    let bench = bench_with(keep).await;
    let batch = bench.batch();
    bench.add_many(Some(batch), &["a", "b", "c", "d"]).await;
    for job in bench.claim(3).await {
        bench.settle(job.lease, done()).await;
    }
    bench.queue.maintain(100).await.unwrap();
    let page = bench.queue.list(&JobFilter::default(), None, 9).await.unwrap();
    assert_eq!(page.jobs.len(), 3, "two done and one waiting");
    bench.advance(SECOND * 60).await;
    assert_eq!(bench.queue.maintain(1).await.unwrap().pruned, 1, "within the budget");
    bench.queue.maintain(100).await.unwrap();
    assert_eq!(bench.queue.list(&JobFilter::default(), None, 9).await.unwrap().jobs.len(), 1);
    let counts =
        bench.queue.stats(&StatsQuery::Batches(vec![batch])).await.unwrap().batches[0].counts;
    assert_eq!((counts.done, counts.ready), (3, 1));
}

#[tokio::test]
async fn listing_pages_without_gaps_or_repeats() {
    let bench = bench().await;
    bench.add_many(None, &["a", "b", "c", "d", "e"]).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = bench.queue.list(&JobFilter::default(), after, 2).await.unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
    let other = {
        let mut new = JobFilter::default();
        new.queue = Some("other".into());
        new
    };
    assert!(bench.queue.list(&other, None, 9).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn a_cancelled_batch_can_be_lifted_and_what_has_not_ended_waits_again() {
    let bench = bench().await;
    let batch = bench.batch();
    bench.add_many(Some(batch), &["a", "b", "c"]).await;
    let select = Select::Batch(batch);
    bench.queue.alter(&select, Alter::Cancel).await.unwrap();
    bench.queue.maintain(1).await.unwrap();
    assert_eq!(bench.queue.alter(&select, Alter::Replay).await.unwrap().changed, 2);
    let counts =
        bench.queue.stats(&StatsQuery::Batches(vec![batch])).await.unwrap().batches[0].counts;
    assert_eq!((counts.cancelled, counts.ready), (1, 2));
    bench.queue.maintain(10).await.unwrap();
    assert_eq!(bench.claim_payloads(9).await, ["b", "c"].map(String::from));
}

#[tokio::test]
async fn a_job_keeps_its_past_in_another_store() {
    let (from, to) = (bench().await, bench().await);
    let mut ids = Vec::new();
    let outcomes = [
        done(),
        Outcome::Dead { reason: DeadReason::Attempts, result: Bytes::from_static(b"why") },
        Outcome::Retry { after: SECOND * 50, note: "again".into() },
        Outcome::Release { after: Duration::ZERO },
    ];
    for (index, outcome) in (0u8..).zip(outcomes) {
        let unique = Some(Bytes::from(vec![index]));
        ids.push(
            from.add({
                let mut new = from.job("x");
                new.unique = unique;
                new
            })
            .await,
        );
        let lease = from.claim(1).await[0].lease;
        from.settle(lease, outcome).await;
    }
    let views: Vec<_> = from.queue.get(&ids).await.unwrap().into_iter().flatten().collect();
    for view in &views {
        let past = Some(Box::new(JobPast::of(view)));
        let job = NewJob::new(view.id, view.queue.clone(), view.payload.clone());
        to.add({
            let mut new = job;
            new.past = past;
            new.unique = view.unique.clone();
            new
        })
        .await;
    }
    let mut there: Vec<_> = to.queue.get(&ids).await.unwrap().into_iter().flatten().collect();
    // It is due here as of now.
    there[3].at = views[3].at;
    assert_eq!(there, views);
}

#[tokio::test]
async fn deadlines_can_be_moved_and_workers_are_known() {
    let bench = bench().await;
    let id = bench
        .add({
            let mut new = bench.job("a");
            new.deadline = Some(SECOND);
            new
        })
        .await;
    let jobs = Select::Jobs(vec![id]);
    let later = Alter::Deadline(Some(SECOND * 60));
    assert_eq!(bench.queue.alter(&jobs, later).await.unwrap().changed, 1);
    bench.advance(SECOND * 2).await;
    let mut request = ClaimRequest::new(vec![(name(), 5)], "w".into(), LEASE);
    request.hopeless_within = Some(Duration::ZERO);
    assert!(bench.queue.claim(&request).await.unwrap().jobs.is_empty());
    assert!(bench.claim(5).await[0].deadline.is_some());

    let workers = bench.queue.stats(&StatsQuery::Workers).await.unwrap().workers;
    assert_eq!((workers.len(), workers[0].leases), (1, 1));
    bench.advance(story_checker_core::queue::WORKERS_KEPT).await;
    bench.queue.maintain(1).await.unwrap();
    assert!(bench.queue.stats(&StatsQuery::Workers).await.unwrap().workers.is_empty());
}
