//! The controller: starts store and workers, does to them what the plan says, and audits.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use story_checker_core::queue::{
    Alter, JobFilter, JobQueue, JobState, JobView, MAX_ITEMS, NewJob, Select, StatsQuery,
};
use story_checker_core::{Report, Target};
use tokio::task::JoinHandle;

use crate::audit::{Audit, Case, Finding, Last, Rule, audit};
use crate::crew::{Crew, Orders};
use crate::dice::Dice;
use crate::jobs::{Batches, Kind, make, read_mark};
use crate::ledger::{Book, Entry, Ledger, Sent, micros};
use crate::place::{Place, Sort};
use crate::plan::{Amounts, Plan, Step};
use crate::spot::Spot;
use crate::store;
use crate::trap::Trap;
use crate::watched::Watched;
use crate::worker::{MAX_CRASHES, SLOTS};

/// How long leases hold.
const LEASE: Duration = Duration::from_secs(2);
/// How often the controller looks.
const TICK: Duration = Duration::from_millis(20);
/// How long jobs may take to end once nothing more is done to them.
const PATIENCE: Duration = Duration::from_secs(60);
/// How late a worker may be to stop a check whose lease is over, though it means to be early: all
/// processes share the machine.
const SLACK: Duration = Duration::from_secs(1);

/// What was done, and what the audit says.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) audit: Audit,
    pub(crate) jobs: usize,
    pub(crate) workers: usize,
    pub(crate) kills: usize,
    pub(crate) time: Duration,
}

/// Makes one run; everything that it leaves lies in `folder`.
pub(crate) async fn run(
    sort: Sort,
    amounts: &Amounts,
    seed: u64,
    folder: &Path,
) -> Result<Outcome> {
    let begun = Instant::now();
    let mut dice = Dice::new(seed);
    let plan = Plan::new(amounts, LEASE, &mut dice);
    let batches = Batches::new();
    let jobs = make(amounts.jobs, &batches, &mut dice);
    let place = Place::start(sort, folder)?;
    let ledger = Arc::new(Ledger::create(folder, "controller")?);
    let inner = store::open_patiently(&place.address()).await?;
    let queue = Watched::new(Arc::clone(&inner), Arc::clone(&ledger), Arc::new(Trap::default()));
    let queue: Arc<dyn JobQueue> = Arc::new(queue);
    let orders = Orders {
        folder: folder.to_owned(),
        store: place.address(),
        lease: LEASE,
        pace: plan.pace(amounts.jobs, amounts.workers * SLOTS.get()),
    };
    // The first jobs are there before the first worker.
    let mut jobs = VecDeque::from(jobs);
    let first = jobs.drain(..jobs.len() / 2).collect();
    enqueue(&queue, first).await?;
    let crew = Crew::start(orders, amounts.workers, Arc::clone(&ledger))?;
    let rest = tokio::spawn(enqueue_slowly(Arc::clone(&queue), jobs, plan.time / 2));
    let mut scene = Scene { queue, batches, ledger, place, crew, dice, outage: None, kills: 0 };
    scene.play(&plan).await?;
    rest.await??;
    scene.wait_for_the_end().await?;
    scene.crew.dismiss().await?;
    let last = listing(&*inner).await?;
    let stats = inner.stats(&StatsQuery::Queues).await?;
    let counts = stats.queues.iter().map(|queue| queue.counts);
    let counted = counts.fold((0, 0), |sum, it| (sum.0 + it.live(), sum.1 + it.ended()));
    let case = Case {
        books: books(folder)?,
        last,
        counted,
        max_crashes: MAX_CRASHES,
        guard: micros(SLACK),
    };
    let mut audit = audit(&case);
    let strays = std::mem::take(&mut scene.crew.strays);
    audit.findings.extend(strays.into_iter().map(|text| Finding { rule: Rule::Stray, text }));
    Ok(Outcome {
        audit,
        jobs: case.last.len(),
        workers: scene.crew.lives(),
        kills: scene.kills,
        time: begun.elapsed(),
    })
}

/// Everything that the plan acts on.
#[derive(Debug)]
struct Scene {
    queue: Arc<dyn JobQueue>,
    batches: Batches,
    ledger: Arc<Ledger>,
    place: Place,
    crew: Crew,
    dice: Dice,
    /// The store is away until then.
    outage: Option<Instant>,
    kills: usize,
}

impl Scene {
    async fn play(&mut self, plan: &Plan) -> Result<()> {
        let begun = Instant::now();
        let mut cancelling: Option<JoinHandle<Result<()>>> = None;
        let mut due = VecDeque::from(plan.steps.clone());
        loop {
            self.tend()?;
            while let Some((at, step)) = due.front().copied() {
                if begun.elapsed() < at || !self.act(step, &mut cancelling)? {
                    break;
                }
                due.pop_front();
            }
            if due.is_empty() && self.is_calm() && begun.elapsed() >= plan.time {
                break;
            }
            if begun.elapsed() > plan.time + PATIENCE {
                bail!("the plan was not done in time: left {due:?}");
            }
            tokio::time::sleep(TICK).await;
        }
        match cancelling {
            Some(cancelling) => cancelling.await?,
            None => Ok(()),
        }
    }

    fn tend(&mut self) -> Result<()> {
        if self.outage.is_some_and(|until| until <= Instant::now()) {
            self.outage = None;
            self.place.give_back()?;
        }
        self.crew.tend()
    }

    fn is_calm(&self) -> bool {
        self.outage.is_none() && self.crew.is_calm()
    }

    /// Does one step; false if it cannot be done yet.
    fn act(&mut self, step: Step, cancelling: &mut Option<JoinHandle<Result<()>>>) -> Result<bool> {
        match step {
            Step::Cancel => {
                let (queue, batch) = (Arc::clone(&self.queue), self.batches.doomed);
                *cancelling = Some(tokio::spawn(async move {
                    let select = Select::Batch(batch);
                    patiently(|| queue.alter(&select, Alter::Cancel)).await.map(drop)
                }));
                Ok(true)
            }
            Step::Freeze => self.crew.freeze(LEASE * 2, &mut self.dice),
            Step::Kill(spot) => {
                let done = self.crew.kill(spot, &mut self.dice)?;
                self.kills += usize::from(done);
                Ok(done)
            }
            Step::Outage(time) => {
                if self.outage.is_some() {
                    return Ok(false);
                }
                // A file has no server: a worker dies in a commit instead.
                if matches!(self.place, Place::Sqlite { .. })
                    && !self.crew.kill(Some(Spot::IN_COMMIT), &mut self.dice)?
                {
                    return Ok(false);
                }
                self.ledger.write(&Entry::Outage);
                self.place.take_away()?;
                self.outage = Some(Instant::now() + time);
                Ok(true)
            }
        }
    }

    /// Waits until every job has ended, or does not any more.
    async fn wait_for_the_end(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for _ in 0..10 {
                self.tend()?;
                tokio::time::sleep(TICK).await;
            }
            let stats = patiently(|| self.queue.stats(&StatsQuery::Queues)).await?;
            if stats.queues.iter().all(|queue| queue.counts.live() == 0) {
                break;
            }
        }
        Ok(())
    }
}

/// Calls the store until it answers: it is away for a while, now and then.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = story_checker_core::Result<T>>,
{
    let begun = Instant::now();
    loop {
        match call().await {
            Err(error) if begun.elapsed() < PATIENCE => {
                tracing::debug!(%error, "the store does not answer");
                tokio::time::sleep(TICK * 5).await;
            }
            answer => return answer.context("the store does not answer"),
        }
    }
}

async fn enqueue(queue: &Arc<dyn JobQueue>, mut jobs: Vec<NewJob>) -> Result<()> {
    while !jobs.is_empty() {
        let rest = jobs.split_off(jobs.len().min(MAX_ITEMS));
        let chunk = std::mem::replace(&mut jobs, rest);
        patiently(|| queue.enqueue(chunk.clone())).await?;
    }
    Ok(())
}

async fn enqueue_slowly(
    queue: Arc<dyn JobQueue>,
    mut jobs: VecDeque<NewJob>,
    time: Duration,
) -> Result<()> {
    const PARTS: u32 = 100;
    let part = jobs.len().div_ceil(PARTS as usize);
    while !jobs.is_empty() {
        let chunk = jobs.drain(..part.min(jobs.len())).collect();
        enqueue(&queue, chunk).await?;
        tokio::time::sleep(time / PARTS).await;
    }
    Ok(())
}

async fn listing(queue: &dyn JobQueue) -> Result<Vec<Last>> {
    let (mut last, mut after) = (Vec::new(), None);
    loop {
        let page = queue.list(&JobFilter::default(), after, MAX_ITEMS).await?;
        for view in &page.jobs {
            last.push(look(view)?);
        }
        after = page.next;
        if after.is_none() {
            return Ok(last);
        }
    }
}

fn look(view: &JobView) -> Result<Last> {
    let kind =
        Kind::of(&view.payload).with_context(|| format!("{} has a strange payload", view.id))?;
    let end = match (view.state, view.dead_reason) {
        (JobState::Cancelled, _) => Some(Sent::Cancelled),
        (JobState::Dead, Some(reason)) => Some(Sent::Dead(reason)),
        (JobState::Dead, None) => bail!("{} is dead for no reason", view.id),
        (JobState::Done, _) => Some(Sent::Done),
        _ => None,
    };
    let reported = view.result.as_ref().filter(|result| !result.is_empty()).map(|result| {
        let report: Report = serde_json::from_slice(result)?;
        let (_, (_, fence)) = read_mark(Target::handle(&report.target))?;
        anyhow::Ok(fence)
    });
    let (id, crashes, fence) = (view.id, view.crashes, view.fence);
    Ok(Last { id, kind, end, crashes, fence, reported: reported.transpose()? })
}

fn books(folder: &Path) -> Result<Vec<Book>> {
    let mut books = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == Ledger::SUFFIX) {
            books.push(Book::read(&path)?);
        }
    }
    Ok(books)
}

#[cfg(test)]
mod tests {
    use story_checker_core::VirtualClock;
    use story_checker_core::queue::InMemoryJobQueue;

    use super::*;
    use crate::worker::engine;

    /// One worker in this process, and a queue that nothing happens to.
    #[tokio::test(start_paused = true)]
    async fn the_ledger_of_a_quiet_run_has_every_job_and_no_finding() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(VirtualClock::starting_at(story_checker_core::Timestamp::default()));
        let inner: Arc<dyn JobQueue> = Arc::new(InMemoryJobQueue::new(clock));
        let jobs = make(400, &Batches::new(), &mut Dice::new(7));
        let harmless =
            jobs.into_iter().filter(|job| Kind::of(&job.payload) != Some(Kind::Poison)).collect();
        let watched = |name: &str| {
            let ledger = Arc::new(Ledger::create(folder.path(), name).unwrap());
            let queue = Watched::new(Arc::clone(&inner), Arc::clone(&ledger), Arc::default());
            (Arc::new(queue) as Arc<dyn JobQueue>, ledger)
        };
        enqueue(&watched("controller").0, harmless).await.unwrap();
        let (queue, ledger) = watched("w0.1");
        let worker = engine("w0.1", queue, &ledger, &Arc::default(), (LEASE, TICK)).await.unwrap();
        let live = async || {
            let stats = inner.stats(&StatsQuery::Queues).await.unwrap();
            stats.queues[0].counts.live()
        };
        while live().await > 0 {
            tokio::time::sleep(TICK).await;
        }
        worker.shutdown(LEASE).await;
        let last = listing(&*inner).await.unwrap();
        let case = Case {
            counted: (0, last.len() as u64),
            last,
            books: books(folder.path()).unwrap(),
            max_crashes: MAX_CRASHES,
            guard: 0,
        };
        let audit = audit(&case);
        assert_eq!(audit.findings, []);
        let counts = audit.counts;
        assert_eq!(counts.ends.values().sum::<usize>(), 398);
        assert!(counts.executions > 398, "some fail and are tried again: {counts:?}");
        assert!(counts.already > 0, "some answers are lost: {counts:?}");
        assert_eq!((counts.stale, counts.reaped), (0, 0));
    }
}
