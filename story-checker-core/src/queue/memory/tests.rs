//! What is special to the queue in memory; its promises are in the suite.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::clock::{Timestamp, VirtualClock};
use crate::id::{BatchId, IdSource};
use crate::queue::{ClaimedJob, JobLease, JobState, Outcome};
use crate::retry::DeadReason;

const START: Timestamp = Timestamp::from_secs(1_795_251_600);
const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    queue: Arc<dyn JobQueue>,
    ids: IdSource,
}

fn bench() -> Bench {
    let clock = Arc::new(VirtualClock::starting_at(START));
    let queue = InMemoryJobQueue::new(clock);
    Bench { queue: Arc::new(queue), ids: IdSource::new(Some(1)) }
}

fn name() -> QueueName {
    "check/instagram/account".into()
}

fn done() -> Outcome {
    Outcome::Done { result: Bytes::from_static(b"result") }
}

impl Bench {
    fn job(&self, payload: &str) -> NewJob {
        NewJob::new(self.ids.job(START), name(), Bytes::from(payload.to_owned()))
    }

    fn batch(&self) -> BatchId {
        self.ids.batch(START)
    }

    async fn add(&self, job: NewJob) -> JobId {
        let id = job.id;
        assert_eq!(self.queue.enqueue(vec![job]).await.unwrap(), [Enqueued::Inserted]);
        id
    }

    async fn claim(&self, max: usize) -> Vec<ClaimedJob> {
        let request = ClaimRequest::new(vec![(name(), max)], "w".into(), LEASE);
        self.queue.claim(&request).await.unwrap().jobs
    }

    async fn settle(&self, lease: JobLease, outcome: Outcome) -> Settled {
        let settlement = Settlement::new(lease, outcome);
        self.queue.settle(vec![settlement], None).await.unwrap().0[0]
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_a_new_job_a_due_one_or_the_time() {
    let bench = bench();
    let started = tokio::time::Instant::now();
    assert!(!bench.queue.wait(&[name()], SECOND * 9).await.unwrap());
    assert_eq!(started.elapsed(), SECOND * 9);

    let names = [name()];
    let (waited, ()) = tokio::join!(bench.queue.wait(&names, SECOND * 9), async {
        tokio::time::sleep(SECOND).await;
        bench.add(NewJob { delay: SECOND, ..bench.job("a") }).await;
    });
    assert!(waited.unwrap());
    assert_eq!(started.elapsed(), SECOND * 11, "woken when the delayed job became due");
    bench.queue.wait(&[name()], SECOND * 9).await.unwrap();
    assert_eq!(started.elapsed(), SECOND * 11, "a due job ends it at once");
    assert_eq!(bench.queue.to_string(), "queue in memory");
}

#[tokio::test(start_paused = true)]
async fn held_jobs_wake_nobody() {
    let bench = bench();
    let batch = bench.batch();
    bench.add(NewJob { batch: Some(batch), ..bench.job("held") }).await;
    bench.queue.alter(&Select::Batch(batch), Alter::Pause).await.unwrap();
    let before = tokio::time::Instant::now();
    bench.queue.wait(&[name()], SECOND).await.unwrap();
    assert_eq!(before.elapsed(), SECOND);
}

/// Who cuts many payloads out of one large answer must not hold it as long as the jobs wait.
#[tokio::test]
async fn a_queued_job_keeps_nothing_but_its_payload() {
    let bench = bench();
    let answer: Arc<[u8]> = [7; 4_096].into();
    let payload = Bytes::from_owner(Arc::clone(&answer)).slice(..3);
    bench.add(NewJob { payload, ..bench.job("") }).await;
    assert_eq!(Arc::strong_count(&answer), 1);
    assert_eq!(bench.claim(1).await[0].payload.as_ref(), [7; 3]);
}

#[tokio::test]
async fn a_beat_renews_a_lease_for_the_worker_that_holds_it() {
    let bench = bench();
    let id = bench.add(bench.job("x")).await;
    let lease = bench.claim(1).await[0].lease;
    let beat = Beat::new("other".into(), LEASE * 2, vec![lease]);
    assert_eq!(bench.queue.beat(&beat).await.unwrap(), [BeatReply::Held]);
    let view = bench.queue.get(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!((view.worker, view.at), (Some("w".into()), START + LEASE * 2));
}

/// What retention keeps by number are ended jobs, not those that ended once and live again.
#[tokio::test(start_paused = true)]
async fn a_replayed_job_takes_no_place_among_the_kept() {
    let clock = Arc::new(VirtualClock::starting_at(START));
    let keep = Retention { dead: 2, ..Retention::default() };
    let queue = Arc::new(InMemoryJobQueue::with_retention(clock, keep));
    let bench = Bench { queue, ids: IdSource::new(Some(1)) };
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(bench.add(bench.job("x")).await);
        let lease = bench.claim(9).await[0].lease;
        let dead = Outcome::Dead { reason: DeadReason::Attempts, result: Bytes::new() };
        bench.settle(lease, dead).await;
        if number == 1 {
            let select = Select::Jobs(vec![ids[1]]);
            assert_eq!(bench.queue.alter(&select, Alter::Replay).await.unwrap().changed, 1);
            let again = NewJob { delay: SECOND, ..bench.job("again") };
            bench.add(again).await;
            bench.claim(9).await;
        }
    }
    bench.queue.maintain(10).await.unwrap();
    let kept = bench.queue.get(&ids).await.unwrap();
    assert!(kept.iter().all(Option::is_some), "two are dead, one runs");
}

/// Adds up all rows by state, to compare with the counters.
async fn recount(queue: &dyn JobQueue) -> BTreeMap<JobState, u64> {
    let page = queue.list(&JobFilter::default(), None, usize::MAX).await.unwrap();
    let mut counts = BTreeMap::new();
    for job in page.jobs {
        *counts.entry(job.state).or_default() += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random operations: nothing appears or vanishes, the counters equal a full recount, and no
    /// job is ever held twice.
    #[test]
    fn jobs_are_conserved_under_any_sequence(steps in proptest::collection::vec((0u8..12, any::<u8>()), 1..120)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let bench = bench();
            let batches = [bench.batch(), bench.batch()];
            let (mut held, mut enqueued) = (Vec::<JobLease>::new(), 0u64);
            for (step, byte) in steps {
                let batch = batches[usize::from(byte) % 2];
                match step {
                    0..=2 => {
                        let job = NewJob {
                            batch: (byte % 3 > 0).then_some(batch),
                            priority: byte % 4,
                            delay: SECOND * u32::from(byte % 5),
                            deadline: (byte % 7 == 0).then_some(SECOND * 20),
                            ..bench.job("x")
                        };
                        bench.add(job).await;
                        enqueued += 1;
                    }
                    3 | 4 => {
                        let jobs = bench.claim(usize::from(byte % 6)).await;
                        for job in jobs {
                            prop_assert!(!held.contains(&job.lease));
                            held.push(job.lease);
                        }
                    }
                    5 | 6 if !held.is_empty() => {
                        let lease = held.swap_remove(usize::from(byte) % held.len());
                        let outcome = match byte % 5 {
                            0 => done(),
                            1 => Outcome::Retry { after: SECOND, note: String::new() },
                            2 => Outcome::Release { after: Duration::ZERO },
                            3 => Outcome::Dead { reason: DeadReason::Attempts, result: Bytes::new() },
                            _ => Outcome::Cancelled,
                        };
                        let settled = bench.settle(lease, outcome).await;
                        prop_assert!(matches!(settled, Settled::Applied | Settled::Stale), "{:?}", settled);
                    }
                    7 => advance(SECOND * u32::from(byte % 40)).await,
                    8 => _ = bench.queue.maintain(usize::from(byte % 8)).await.unwrap(),
                    9 if byte % 16 == 0 => {
                        bench.queue.alter(&Select::Batch(batch), Alter::Cancel).await.unwrap();
                    }
                    9 => {
                        let alter = if byte % 2 == 0 { Alter::Pause } else { Alter::Resume };
                        bench.queue.alter(&Select::Batch(batch), alter).await.unwrap();
                    }
                    10 => {
                        let page = bench.queue.list(&JobFilter::default(), None, 200).await.unwrap();
                        if let Some(job) = page.jobs.get(usize::from(byte) % page.jobs.len().max(1)) {
                            let alter = if byte % 2 == 0 { Alter::Cancel } else { Alter::Replay };
                            bench.queue.alter(&Select::Jobs(vec![job.id]), alter).await.unwrap();
                        }
                    }
                    _ => {
                        let beat = Beat::new("w".into(), LEASE, held.clone());
                        let replies = bench.queue.beat(&beat).await.unwrap();
                        let mut replies = replies.into_iter();
                        held.retain(|_| replies.next() != Some(BeatReply::Stale));
                    }
                }
                let stats = bench.queue.stats(&StatsQuery::Queues).await.unwrap();
                let mut counts = stats.queues.first().map(|queue| queue.counts).unwrap_or_default();
                prop_assert_eq!(counts.total(), enqueued);
                for (state, count) in recount(&bench.queue).await {
                    prop_assert_eq!(*counts.of(state), count, "{:?}", state);
                }
            }
            Ok(())
        })?;
    }
}
