//! Any sequence of calls, against the queue in memory as the model.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::QueueFixture;
use super::bench::{Bench, LEASE, MINUTE, dead, done, name, retry, waiting};
use crate::clock::Clock;
use crate::id::{BatchId, JobId};
use crate::queue::{
    Alter, Beat, ClaimRequest, ClaimedJob, InMemoryJobQueue, JobFilter, JobLease, JobQueue,
    JobState, JobView, NewJob, Outcome, QueueControl, Retention, Select, Settlement, StatsQuery,
};
use crate::testing::{ManualClock, near};

/// What happens next; numbers name what they can among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Advance { minutes: u8 },
    AlterBatch { batch: u8, how: u8 },
    AlterJob { job: u8, how: u8 },
    Beat,
    Claim { most: u8, reply_is_lost: bool },
    ClaimHopeless { minutes: u8 },
    Enqueue { batch: u8, priority: u8, minutes: u8, key: u8 },
    Pause { paused: bool },
    Reopen,
    Settle { lease: u8, how: u8, sent_twice: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..32, 0u8..64, 0u8..64, 0u8..64).prop_map(|(kind, a, b, c)| match kind {
        0..=9 => Step::Enqueue { batch: a % 4, priority: b % 3, minutes: c, key: b / 4 },
        10..=15 => Step::Claim { most: a % 8, reply_is_lost: b % 8 == 7 },
        16..=23 => Step::Settle { lease: a, how: b % 8, sent_twice: c % 4 == 3 },
        24 | 25 => Step::Advance { minutes: a % 8 },
        26 => Step::Beat,
        27 => Step::AlterBatch { batch: a % 3, how: b % 6 },
        28 | 29 => Step::AlterJob { job: a, how: b % 8 },
        30 => Step::ClaimHopeless { minutes: a % 16 },
        _ if a < 16 => Step::Reopen,
        _ => Step::Pause { paused: a % 2 == 0 },
    });
    proptest::collection::vec(step, 1..60)
}

/// Whatever is called in whatever order, also twice and over restarts, the queue answers, shows and
/// counts what the model does. What the port leaves free, such as the order of batches in a claim,
/// the model follows.
#[expect(clippy::future_not_send, reason = "a case runs on one thread; proptest's trees need it")]
pub async fn any_sequence_agrees_with_the_model(fixture: &dyn QueueFixture) {
    let mut runner = TestRunner::default();
    for _ in 0..fixture.model_cases() {
        let mut tree = steps().new_tree(&mut runner).unwrap();
        let Some(mut failure) = failure(fixture, &tree.current()).await else { continue };
        let mut shortest = tree.current();
        // Shorter sequences that fail as well say more.
        for _ in 0..200 {
            if !tree.simplify() {
                break;
            }
            match self::failure(fixture, &tree.current()).await {
                Some(again) => (failure, shortest) = (again, tree.current()),
                None if tree.complicate() => {}
                None => break,
            }
        }
        panic!("the queue does not do what the model does: {failure}\nafter {shortest:#?}");
    }
}

async fn failure(fixture: &dyn QueueFixture, steps: &[Step]) -> Option<String> {
    let run = async {
        let mut pair = Pair::new(fixture).await;
        for step in steps {
            pair.take(*step).await;
            pair.compare().await;
        }
    };
    let panic = AssertUnwindSafe(run).catch_unwind().await.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

/// The queue and its model.
struct Pair<'a> {
    bench: Bench<'a>,
    model: InMemoryJobQueue,
    clock: Arc<ManualClock>,
    batches: [BatchId; 3],
    /// In the order of their enqueuing.
    jobs: Vec<JobId>,
    /// Each grant by the queue and by the model, and whether its worker knows of it.
    grants: Vec<(JobLease, JobLease, bool)>,
}

impl<'a> Pair<'a> {
    async fn new(fixture: &'a dyn QueueFixture) -> Self {
        let clock = Arc::new(ManualClock::default());
        let bench = Bench::new(fixture).await;
        let batches = [bench.batch(), bench.batch(), bench.batch()];
        let of_model: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let model = InMemoryJobQueue::with_retention(of_model, Retention::default());
        Self { bench, model, clock, batches, jobs: Vec::new(), grants: Vec::new() }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Advance { minutes } => {
                let span = MINUTE * u32::from(minutes);
                self.bench.advance(span).await;
                self.clock.advance(span);
                let mut reaped = 0;
                loop {
                    let round = self.model.maintain(500).await.unwrap();
                    reaped += round.reaped;
                    if !round.more {
                        break;
                    }
                }
                assert_eq!(self.bench.maintain().await.0, reaped, "leases that were over");
            }
            Step::AlterBatch { batch, how } => self.alter_batch(batch, how).await,
            Step::AlterJob { job, how } => {
                let Some(id) = pick(&self.jobs, job) else { return };
                let alter = match how {
                    0..=2 => Alter::Cancel,
                    3 | 4 => Alter::Replay,
                    5 => Alter::Delete,
                    6 => Alter::Deadline(Some(MINUTE * 5)),
                    _ => Alter::Deadline(None),
                };
                let select = Select::Jobs(vec![id]);
                let expected = self.model.alter(&select, alter).await.unwrap();
                let altered = self.bench.queue.alter(&select, alter).await.unwrap();
                assert_eq!(altered, expected, "{alter:?}");
            }
            Step::Beat => {
                let known = self.grants.iter().filter(|grant| grant.2);
                let (mine, models) = known.map(|grant| (grant.0, grant.1)).unzip();
                let beat = |leases| Beat::new("w".into(), LEASE, leases);
                let expected = self.model.beat(&beat(models)).await.unwrap();
                assert_eq!(self.bench.queue.beat(&beat(mine)).await.unwrap(), expected);
            }
            Step::Claim { most, reply_is_lost } => self.claim(most.into(), reply_is_lost).await,
            Step::ClaimHopeless { minutes } => {
                let within = MINUTE * u32::from(minutes);
                let request =
                    ClaimRequest { hopeless_within: Some(within), ..self.bench.request(500) };
                let claimed = self.bench.claim_with(&request).await.jobs;
                let model = self.model.claim(&request).await.unwrap().jobs;
                let by_id = |jobs: &[ClaimedJob]| -> BTreeMap<_, _> {
                    jobs.iter().map(|job| (job.lease.id, job.lease)).collect()
                };
                let (mine, models) = (by_id(&claimed), by_id(&model));
                assert!(mine.keys().eq(models.keys()), "hopeless: {mine:?}, model: {models:?}");
                self.grants.extend(mine.into_values().zip(models.into_values()).map(known));
            }
            Step::Enqueue { batch, priority, minutes, key } => {
                let job = NewJob {
                    batch: self.batches.get(usize::from(batch)).copied(),
                    priority,
                    delay: MINUTE * u32::from((minutes % 8).saturating_sub(4)),
                    deadline: (minutes >= 32).then_some(MINUTE * u32::from(minutes % 16 + 1)),
                    unique: (key < 3).then(|| Bytes::from(vec![key])),
                    ..self.bench.job("x")
                };
                self.jobs.push(job.id);
                let sent = if minutes % 16 == 15 { vec![job.clone(), job] } else { vec![job] };
                let expected = self.model.enqueue(sent.clone()).await.unwrap();
                assert_eq!(self.bench.enqueue(sent).await, expected);
            }
            Step::Pause { paused } => {
                let control = QueueControl { paused: Some(paused), ..QueueControl::default() };
                self.model.configure(&name(), control).await.unwrap();
                self.bench.queue.configure(&name(), control).await.unwrap();
            }
            Step::Reopen => {
                if let Some(queue) = self.bench.fixture.reopen().await {
                    self.bench.queue = queue;
                }
            }
            Step::Settle { lease, how, sent_twice } => {
                let Some((mine, model, _)) = pick(&self.grants, lease) else { return };
                let outcome = match how {
                    0 | 1 => done(),
                    2 => dead(),
                    3 => retry(MINUTE * 2),
                    4 => Outcome::Defer { after: MINUTE, note: "rest".into() },
                    5 => Outcome::Release { after: Duration::ZERO },
                    6 => Outcome::Done { result: Bytes::new() },
                    _ => Outcome::Cancelled,
                };
                for _ in 0..=u8::from(sent_twice) {
                    let end = vec![Settlement::new(model, outcome.clone())];
                    let expected = self.model.settle(end, None).await.unwrap().0;
                    assert_eq!([self.bench.settle(mine, outcome.clone()).await], expected[..]);
                }
            }
        }
    }

    async fn alter_batch(&self, batch: u8, how: u8) {
        let select = Select::Batch(self.batches[usize::from(batch)]);
        // A batch is lifted only right after it was cancelled: how much of it maintenance would
        // have ended meanwhile is free.
        let is_cancelled = async || {
            let query = StatsQuery::Batches(vec![self.batches[usize::from(batch)]]);
            let known = self.model.stats(&query).await.unwrap().batches;
            known.first().is_none_or(|stats| stats.cancelled)
        };
        let alters: &[Alter] = match how {
            0 => &[Alter::Cancel],
            1 | 2 if !is_cancelled().await => &[Alter::Cancel, Alter::Replay],
            3 | 4 => &[Alter::Resume],
            _ => &[Alter::Pause],
        };
        for alter in alters {
            let expected = self.model.alter(&select, *alter).await.unwrap();
            let altered = self.bench.queue.alter(&select, *alter).await.unwrap();
            assert_eq!(altered.refused, expected.refused, "{alter:?}");
            if matches!(alter, Alter::Cancel | Alter::Replay) {
                assert_eq!(altered.changed, expected.changed, "{alter:?}");
            }
        }
    }

    /// Claims, checks that the choice is one that the port allows, and lets the model choose the
    /// same.
    async fn claim(&mut self, most: usize, reply_is_lost: bool) {
        let due = self.due().await;
        let worker = if reply_is_lost { "lost" } else { "w" };
        let request = ClaimRequest::new(vec![(name(), most)], worker.into(), LEASE);
        let held = JobFilter { worker: Some("lost".into()), ..JobFilter::default() };
        let before: Vec<_> = self.bench.list(&held).await.iter().map(|job| job.id).collect();
        let mut leases: Vec<_> =
            self.bench.claim_with(&request).await.jobs.iter().map(|job| job.lease).collect();
        if reply_is_lost {
            // Nobody has seen it, but the store knows who holds what.
            let mut now = self.bench.list(&held).await;
            now.retain(|job| !before.contains(&job.id));
            now.sort_by_key(|job| (job.priority, self.jobs.iter().position(|id| *id == job.id)));
            leases = now.iter().map(|job| JobLease::new(job.id, job.fence)).collect();
        }
        let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
        check_choice(&due, &ids, most);
        let models = self.model.grant_these(&ids, &request);
        let grant = |(mine, model)| (mine, model, !reply_is_lost);
        self.grants.extend(leases.into_iter().zip(models).map(grant));
    }

    /// What may be claimed, in the order of enqueuing.
    async fn due(&self) -> Vec<JobView> {
        let queues = self.model.stats(&StatsQuery::Queues).await.unwrap().queues;
        if queues.iter().any(|queue| queue.paused) {
            return Vec::new();
        }
        let batches = StatsQuery::Batches(self.batches.to_vec());
        let batches = self.model.stats(&batches).await.unwrap().batches;
        let paused: Vec<_> =
            batches.iter().filter(|batch| batch.paused).map(|batch| Some(batch.batch)).collect();
        let views = self.model.get(&self.jobs).await.unwrap().into_iter().flatten();
        let waits = |job: &JobView| matches!(job.state, JobState::Ready | JobState::Scheduled);
        let now = self.clock.now();
        let due = |job: &JobView| waits(job) && job.at <= now && !paused.contains(&job.batch);
        views.filter(due).collect()
    }

    /// Compares everything that can be seen.
    async fn compare(&self) {
        for ids in self.jobs.chunks(500) {
            let expected = self.model.get(ids).await.unwrap();
            for (view, model) in self.bench.queue.get(ids).await.unwrap().into_iter().zip(expected)
            {
                let (Some(view), Some(model)) = (&view, &model) else {
                    assert_eq!(view, model, "one of them does not exist");
                    continue;
                };
                assert_eq!(comparable(view, model), comparable(model, model));
                let since = |job: &JobView, at: crate::Timestamp| {
                    model.enqueued_at + at.since(job.enqueued_at)
                };
                let same = near(since(view, view.at), since(model, model.at));
                assert!(same || model.state == JobState::Cancelled, "{view:?}, model: {model:?}");
                let end = |job: &JobView| job.deadline.map(|at| since(job, at));
                let same = end(view).zip(end(model)).is_none_or(|(a, b)| near(a, b));
                assert!(same && view.deadline.is_some() == model.deadline.is_some(), "{view:?}");
            }
        }
        let queues = self.model.stats(&StatsQuery::Queues).await.unwrap().queues;
        let counts = queues.first().map(|queue| queue.counts).unwrap_or_default();
        assert_eq!(waiting(self.bench.counts().await), waiting(counts), "counts of the queue");
        let query = StatsQuery::Batches(self.batches.to_vec());
        let expected = self.model.stats(&query).await.unwrap().batches;
        let stats = self.bench.queue.stats(&query).await.unwrap().batches;
        assert_eq!(stats.len(), expected.len(), "batches that are known");
        for (stats, model) in stats.iter().zip(expected) {
            assert_eq!(waiting(stats.counts), waiting(model.counts), "counts of a batch");
            let flags = (stats.batch, stats.cancelled, stats.paused);
            assert_eq!(flags, (model.batch, model.cancelled, model.paused));
        }
    }
}

fn known((mine, model): (JobLease, JobLease)) -> (JobLease, JobLease, bool) {
    (mine, model, true)
}

fn pick<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number) % all.len().max(1)).copied()
}

/// A view without what may differ: fences, times, and whether a due job was noticed as such.
fn comparable(view: &JobView, model: &JobView) -> JobView {
    let state = if view.state == JobState::Scheduled { JobState::Ready } else { view.state };
    let JobView { fence, enqueued_at, at, deadline, .. } = *model;
    JobView { state, fence, enqueued_at, at, deadline, ..view.clone() }
}

/// Panics if a claim may not bring these of the due jobs.
fn check_choice(due: &[JobView], chosen: &[JobId], most: usize) {
    let job = |id: &JobId| due.iter().find(|job| job.id == *id).expect("a claimed job is due");
    let chosen: Vec<_> = chosen.iter().map(job).collect();
    assert_eq!(chosen.len(), most.min(due.len()), "jobs in a claim of {most}");
    assert!(chosen.is_sorted_by_key(|job| job.priority), "by priority: {chosen:?}");
    let Some(last) = chosen.last().map(|job| job.priority) else { return };
    let mut shares = BTreeMap::<_, (Vec<JobId>, Vec<JobId>)>::new();
    for job in due {
        let is_chosen = chosen.iter().any(|other| other.id == job.id);
        assert!(is_chosen || job.priority >= last, "{job:?} should have come before");
        if job.priority == last {
            shares.entry(job.batch).or_default().0.push(job.id);
        }
    }
    for job in chosen.iter().filter(|job| job.priority == last) {
        shares.entry(job.batch).or_default().1.push(job.id);
    }
    let most_of_one = shares.values().map(|(_, taken)| taken.len()).max().unwrap_or(0);
    for (batch, (all, taken)) in &shares {
        assert_eq!(taken[..], all[..taken.len()], "first in, first out in {batch:?}");
        let fair = taken.len() == all.len() || taken.len() + 1 >= most_of_one;
        assert!(fair, "{} of {batch:?}, {most_of_one} of another", taken.len());
    }
}
