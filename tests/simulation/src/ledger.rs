//! What became of every job: the queue, and beside it a book that no worker can write into.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, InMemoryJobQueue, JobFilter,
    JobQueue, JobView, Maintained, NewJob, Outcome, Page, QueueControl, QueueName, Select, Settled,
    Settlement, Stats, StatsQuery,
};
use story_checker_core::{JobId, Report, Result, Verdict};
use story_checker_sim::Platform;

use crate::case::{PERIOD, PERIODS};
use crate::diary::{Diary, Kind, millis};
use crate::verdict::was_true;

/// How long after its deadline a job may be without an end, for want of a worker that says so.
const LATE: Duration = Duration::from_secs(300);

/// The queue in memory, and what its users did with it.
#[derive(Debug)]
pub(crate) struct Ledger {
    queue: InMemoryJobQueue,
    platform: Arc<Platform>,
    diary: Arc<Diary>,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    jobs: HashMap<JobId, Entry>,
    periods: Vec<Period>,
}

#[derive(Debug)]
struct Entry {
    period: usize,
    /// By this time it must have an end.
    until: u64,
    ended: bool,
}

/// What became of the jobs of one period.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Period {
    /// Jobs that were enqueued.
    pub(crate) asked: u64,
    /// Those with an answer that was true.
    pub(crate) answered: u64,
    /// Those whose end says that there is no answer.
    pub(crate) unknown: u64,
}

impl Ledger {
    pub(crate) fn new(queue: InMemoryJobQueue, platform: Arc<Platform>, diary: Arc<Diary>) -> Self {
        let periods = vec![Period::default(); PERIODS];
        let book = Mutex::new(Book { jobs: HashMap::new(), periods });
        Self { queue, platform, diary, book }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of each period; jobs without an end are lost.
    pub(crate) fn close(&self) -> Vec<Period> {
        let mut open: Vec<_> =
            self.book().jobs.iter().filter(|(_, it)| !it.ended).map(|(id, _)| *id).collect();
        open.sort_unstable();
        for id in open {
            self.diary.find(Kind::Lost, format_args!("job {id} has no end"));
        }
        self.book().periods.clone()
    }

    fn enqueued(&self, id: JobId) {
        let now = self.diary.now();
        let period = usize::try_from(now / millis(PERIOD)).unwrap_or(PERIODS).min(PERIODS - 1);
        let mut book = self.book();
        book.periods[period].asked += 1;
        let until = now + millis(PERIOD) + millis(LATE);
        book.jobs.insert(id, Entry { period, until, ended: false });
    }

    fn settled(&self, settlement: &Settlement) {
        let id = settlement.lease.id;
        let (word, result) = match &settlement.outcome {
            Outcome::Done { result } => ("done", result),
            Outcome::Dead { reason, result } => (reason.as_str(), result),
            Outcome::Retry { after, note } => {
                let after = millis(*after);
                return self.diary.note(format_args!("job {id} again in {after} ms: {note}"));
            }
            Outcome::Defer { after, note } => {
                let after = millis(*after);
                return self.diary.note(format_args!("job {id} put off {after} ms: {note}"));
            }
            Outcome::Release { after } => {
                let after = millis(*after);
                return self.diary.note(format_args!("job {id} given back for {after} ms"));
            }
            other => {
                return self.diary.find(Kind::Lost, format_args!("job {id} ends as {other:?}"));
            }
        };
        let now = self.diary.now();
        let Some((period, late)) = self.end(id, now) else {
            return self.diary.find(Kind::Lost, format_args!("job {id} ends twice, or unasked"));
        };
        let report: Report = match serde_json::from_slice(result) {
            Ok(report) => report,
            Err(error) => {
                return self
                    .diary
                    .find(Kind::Lost, format_args!("job {id} without a report: {error}"));
            }
        };
        let (handle, verdict) = (report.target.handle(), report.verdict.as_str());
        if late {
            self.diary.find(Kind::Lost, format_args!("{handle} was forgotten for minutes: {word}"));
        }
        if let Verdict::Unknown { cause } = &report.verdict {
            self.diary.note(format_args!("{handle} unknown, {word}: {}", cause.message));
            self.book().periods[period].unknown += 1;
            return;
        }
        let items = report.items.len();
        self.diary.note(format_args!("{handle} {verdict} {items}"));
        if was_true(&self.platform, &report) {
            self.book().periods[period].answered += 1;
        } else {
            self.diary.find(Kind::False, format_args!("{handle} {verdict}: {report:?}"));
        }
    }

    /// Ends a job in the book: its period, and whether that comes too late.
    fn end(&self, id: JobId, now: u64) -> Option<(usize, bool)> {
        let mut book = self.book();
        let entry = book.jobs.get_mut(&id).filter(|entry| !entry.ended)?;
        entry.ended = true;
        Some((entry.period, now > entry.until))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}

#[async_trait]
impl JobQueue for Ledger {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let replies = self.queue.enqueue(jobs).await?;
        let taken = ids.into_iter().zip(&replies);
        taken
            .filter(|(_, reply)| **reply == Enqueued::Inserted)
            .for_each(|(id, _)| self.enqueued(id));
        Ok(replies)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        self.queue.claim(request).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        let (replies, claimed) = self.queue.settle(settlements.clone(), next).await?;
        let applied = settlements.iter().zip(&replies);
        applied
            .filter(|(_, reply)| **reply == Settled::Applied)
            .for_each(|(it, _)| self.settled(it));
        Ok((replies, claimed))
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        self.queue.beat(beat).await
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        self.queue.wait(queues, max).await
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        self.queue.maintain(budget).await
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        self.queue.alter(select, alter).await
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        self.queue.configure(queue, control).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        self.queue.get(ids).await
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        self.queue.list(filter, after, limit).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        self.queue.stats(query).await
    }
}
