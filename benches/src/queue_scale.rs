//! Whether a queue stays as quick as a small one, whatever lies in it: a million jobs ready, or ended
//! and kept, many due at once, leases that are over, ended jobs to drop; and changes of a whole batch
//! of a million.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use story_checker_benches::Figure;
use story_checker_core::queue::{
    Alter, BatchStats, JobCounts, JobFilter, JobQueue, JobState, MAX_ITEMS, Outcome, Retention,
    Select, StatsQuery,
};
use story_checker_core::retry::DeadReason;
use story_checker_core::{BatchId, JobId};

use crate::jobs;
use crate::process::{BoxError, p99};
use crate::store::{Opened, Store};

/// The first argument of a process that runs one case only.
pub(crate) const PROFILE_ROLE: &str = "--profile-scale";

const NAME: &str = "queue_scale";
const PAYLOAD: usize = 200;
const MILLION: usize = 1_000_000;
/// Jobs in the queue that the large one is compared with.
const SMALL: usize = 1_000;
const DUE: usize = 100_000;
const EXPIRED: usize = 10_000;
const PRUNED: usize = 20_000;
const SUBMITTED: usize = 10_000;
const DEAD: usize = 10_000;
/// Claims of either queue, in turn.
const SAMPLES: usize = 1_000;
const STEP: usize = 10;
/// What maintenance finds to prune: `PRUNED` for itself, and what the settlements of the claims that
/// are measured meanwhile prune on their way, two for each.
const SURPLUS: usize = PRUNED + (SAMPLES + 100) * STEP * 2;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for store in Store::DURABLE {
        runtime.block_on(async { Case::new(store, print).await?.run().await })?;
    }
    Ok(())
}

/// One store and one case, `due` or `prune`: while something is tuned, and for `perf` and its like.
pub(crate) fn profile(arguments: &[String]) -> Result<(), BoxError> {
    let usage = "say which store, and `due` or `prune`";
    let [store, case] = arguments else { return Err(usage.into()) };
    let store = Store::named(store)?;
    let mut print = |figure: Figure| {
        // Whoever has closed standard error wants to see nothing.
        let _ = writeln!(std::io::stderr(), "{figure}");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut cases = Case::new(store, &mut print).await?;
        match case.as_str() {
            "due" => cases.due_at_once().await,
            "prune" => cases.ended().await,
            _ => Err(usage.into()),
        }
    })
}

/// One store under measurement.
struct Case<'a> {
    store: Store,
    keep: Retention,
    small: Opened,
    large: Opened,
    print: &'a mut dyn FnMut(Figure),
}

impl<'a> Case<'a> {
    async fn new(store: Store, print: &'a mut dyn FnMut(Figure)) -> Result<Self, BoxError> {
        let mut keep = Retention::default();
        // Everything: what is to be pruned must be there when that is measured.
        (keep.done, keep.dead) = (2 * MILLION, 2 * MILLION);
        let (small, large) = (store.open(keep).await?, store.open(keep).await?);
        jobs::fill(&small.queue, jobs::new_batch(), SMALL, PAYLOAD, |_| {}).await?;
        Ok(Self { store, keep, small, large, print })
    }

    async fn run(mut self) -> Result<(), BoxError> {
        self.due_at_once().await?;
        let batch = jobs::new_batch();
        jobs::fill(&self.large.queue, batch, MILLION, PAYLOAD, |_| {}).await?;
        self.compare("ready").await?;
        self.batch(batch).await?;
        self.expired().await?;
        self.ended().await
    }

    fn took(&mut self, what: &str, begun: Instant) {
        let figure = format!("{}_{what}", self.store.name());
        let seconds = begun.elapsed().as_secs_f64();
        (self.print)(Figure::at_most(NAME, &figure, seconds, "s", 1.0));
    }

    fn tell(&mut self, what: &str, value: f64, unit: &str) {
        let figure = format!("{}_{what}", self.store.name());
        (self.print)(Figure::info(NAME, &figure, value, unit));
    }

    /// How long a claim takes in both queues, in turn: whatever else the machine does, it does to
    /// both.
    async fn compare(&mut self, what: &str) -> Result<(), BoxError> {
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for sample in 0..SAMPLES {
            if sample % 2 == 0 {
                small.push(claim_and_release(&self.small.queue).await?);
                large.push(claim_and_release(&self.large.queue).await?);
            } else {
                large.push(claim_and_release(&self.large.queue).await?);
                small.push(claim_and_release(&self.small.queue).await?);
            }
        }
        self.ratio(what, small, large);
        Ok(())
    }

    fn ratio(&mut self, what: &str, small: Vec<f64>, large: Vec<f64>) {
        let (small, large) = (p99(small), p99(large));
        self.tell(&format!("{what}_claim_p99"), large * 1e3, "ms");
        self.tell(&format!("{what}_small_claim_p99"), small * 1e3, "ms");
        let figure = format!("{}_{what}_claim_p99_ratio", self.store.name());
        (self.print)(Figure::at_most(NAME, &figure, large / small, "of small", 2.0));
    }

    /// All of them become due in the same moment, long after they were enqueued.
    async fn due_at_once(&mut self) -> Result<(), BoxError> {
        let due = Instant::now() + Duration::from_secs(20);
        let delay = |job: &mut story_checker_core::queue::NewJob| {
            job.delay = due.saturating_duration_since(Instant::now());
        };
        jobs::fill(&self.large.queue, jobs::new_batch(), DUE, PAYLOAD, delay).await?;
        tokio::time::sleep_until((due + Duration::from_millis(100)).into()).await;
        self.compare("due_at_once").await?;
        let done = Outcome::Done { result: Bytes::new() };
        let drained = jobs::drain(&self.large.queue, DUE * 2, 500, &done).await?;
        if drained == DUE { Ok(()) } else { Err(format!("{drained} of {DUE} were due").into()) }
    }

    /// What is done to the whole batch.
    async fn batch(&mut self, batch: BatchId) -> Result<(), BoxError> {
        let queue = Arc::clone(&self.large.queue);
        let begun = Instant::now();
        jobs::fill(&queue, batch, SUBMITTED, PAYLOAD, |_| {}).await?;
        self.took("submit_10k", begun);

        let begun = Instant::now();
        let all = progress(&queue, batch).await?.counts.total();
        self.took("progress", begun);

        let begun = Instant::now();
        let changed = queue.alter(&Select::Batch(batch), Alter::Cancel).await?.changed;
        self.took("cancel", begun);
        if changed != all || progress(&queue, batch).await?.counts.cancelled != all {
            return Err(format!("{changed} of {all} jobs were cancelled").into());
        }
        let begun = Instant::now();
        queue.alter(&Select::Batch(batch), Alter::Replay).await?;
        self.took("replay_lift", begun);
        let waiting = progress(&queue, batch).await?.counts.live();
        if waiting != all {
            return Err(format!("{waiting} of {all} jobs wait again").into());
        }

        let result = Bytes::from_static(b"{}");
        let dead = Outcome::Dead { reason: DeadReason::Permanent, result };
        jobs::drain(&queue, DEAD, 500, &dead).await?;
        let ids = dead_of(&queue, batch).await?;
        let begun = Instant::now();
        let mut changed = 0;
        for chunk in ids.chunks(MAX_ITEMS) {
            let select = Select::Jobs(chunk.to_vec());
            changed += queue.alter(&select, Alter::Replay).await?.changed;
        }
        self.took("replay_10k_dead", begun);
        if changed == DEAD as u64 {
            Ok(())
        } else {
            Err(format!("{changed} of {DEAD} dead jobs were replayed").into())
        }
    }

    /// Leases of a worker that has died.
    async fn expired(&mut self) -> Result<(), BoxError> {
        let lease = Duration::from_secs(2);
        let mut claimed = 0;
        while claimed < EXPIRED {
            let request = jobs::request((EXPIRED - claimed).min(MAX_ITEMS), lease);
            claimed += self.large.queue.claim(&request).await?.jobs.len();
        }
        tokio::time::sleep(lease + Duration::from_millis(100)).await;
        self.compare("expired_leases").await?;
        let (mut reaped, mut times) = (0, Vec::new());
        loop {
            let begun = Instant::now();
            let maintained = self.large.queue.maintain(MAX_ITEMS).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            reaped += maintained.reaped;
            if !maintained.more {
                break;
            }
        }
        self.tell("reap_512_p99", p99(times), "ms");
        // Claims may reap as well, or the first ones be reaped while the last are claimed.
        self.tell("reaped", reaped as f64, "jobs");
        Ok(())
    }

    /// A million ended and kept, and more that must go.
    async fn ended(&mut self) -> Result<(), BoxError> {
        let queue = Arc::clone(&self.large.queue);
        let done = Outcome::Done { result: Bytes::from_static(&[b'r'; 100]) };
        let counts = counts(&queue).await?;
        let (kept, waiting) = (usize::try_from(counts.done)?, usize::try_from(counts.live())?);
        let more = (MILLION + SURPLUS).saturating_sub(kept + waiting);
        jobs::fill(&queue, jobs::new_batch(), more, PAYLOAD, |_| {}).await?;
        let begun = Instant::now();
        let drained = jobs::drain(&queue, waiting + more, MAX_ITEMS, &done).await?;
        self.tell("end_a_million", drained as f64 / begun.elapsed().as_secs_f64(), "jobs/s");
        jobs::fill(&queue, jobs::new_batch(), SMALL, PAYLOAD, |_| {}).await?;
        drop(queue);
        let mut keep = self.keep;
        keep.done = (kept + drained).saturating_sub(SURPLUS);
        self.large.reopen(self.store, keep).await?;
        self.pruning().await?;
        self.compare("ended").await
    }

    /// Claims before, while and after maintenance prunes, round after round, evenly spread. The small
    /// queue is never measured meanwhile: it would be slowed down as well.
    async fn pruning(&mut self) -> Result<(), BoxError> {
        const ROUNDS: usize = PRUNED.div_ceil(MAX_ITEMS);
        let (mut small, mut large) = (Vec::new(), Vec::new());
        let (mut pruned, mut times) = (0, Vec::new());
        for round in 1..=ROUNDS {
            let over = Cell::new(false);
            let maintain = async {
                let begun = Instant::now();
                let maintained = self.large.queue.maintain(MAX_ITEMS).await?;
                over.set(true);
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                Ok::<_, BoxError>(maintained.pruned)
            };
            let claim = async {
                while !over.get() {
                    large.push(claim_and_release(&self.large.queue).await?);
                }
                Ok(())
            };
            pruned += tokio::try_join!(maintain, claim)?.0;
            while small.len() < SAMPLES * round / ROUNDS {
                small.push(claim_and_release(&self.small.queue).await?);
                if large.len() < SAMPLES * round / ROUNDS {
                    large.push(claim_and_release(&self.large.queue).await?);
                }
            }
        }
        self.ratio("to_prune", small, large);
        self.tell("prune_512_p99", p99(times), "ms");
        let figure = format!("{}_pruned_meanwhile", self.store.name());
        (self.print)(Figure::at_least(NAME, &figure, pruned as f64, "jobs", PRUNED as f64));
        Ok(())
    }
}

/// The time of the claim alone, in seconds.
async fn claim_and_release(queue: &Arc<dyn JobQueue>) -> Result<f64, BoxError> {
    let request = jobs::request(STEP, MINUTE);
    let begun = Instant::now();
    let claimed = queue.claim(&request).await?.jobs;
    let took = begun.elapsed().as_secs_f64();
    if claimed.len() != STEP {
        return Err(format!("{} of {STEP} jobs were claimed", claimed.len()).into());
    }
    let release = Outcome::Release { after: Duration::ZERO };
    let (replies, _) = queue.settle(jobs::settlements(&claimed, &release), None).await?;
    jobs::all_applied(&replies)?;
    Ok(took)
}

/// The counts of the only queue.
async fn counts(queue: &Arc<dyn JobQueue>) -> Result<JobCounts, BoxError> {
    let stats = queue.stats(&StatsQuery::Queues).await?;
    Ok(stats.queues.into_iter().next().map(|stats| stats.counts).unwrap_or_default())
}

async fn progress(queue: &Arc<dyn JobQueue>, batch: BatchId) -> Result<BatchStats, BoxError> {
    let stats = queue.stats(&StatsQuery::Batches(vec![batch])).await?;
    stats.batches.into_iter().next().ok_or_else(|| "the batch is unknown".into())
}

async fn dead_of(queue: &Arc<dyn JobQueue>, batch: BatchId) -> Result<Vec<JobId>, BoxError> {
    let filter = JobFilter::batch(batch).with_state(JobState::Dead);
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = queue.list(&filter, after, MAX_ITEMS).await?;
        ids.extend(page.jobs.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            return Ok(ids);
        }
    }
}
