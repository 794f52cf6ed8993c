//! The jobs.

mod alter;
mod claim;
mod enqueue;
mod list;
mod row;
mod settle;
mod view;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use story_checker_core::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, JobFilter, JobQueue, JobView,
    Maintained, NewJob, Page, QueueControl, QueueName, Retention, Select, Settled, Settlement,
    Stats, StatsQuery, check_len,
};
use story_checker_core::{JobId, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::reader::Reader;
use crate::time::HostClock;
use crate::tx::Tx;
use crate::writer::Writer;

/// Jobs in a file: see [`SqliteStore::queue`](crate::SqliteStore::queue).
#[derive(Clone, Debug)]
pub struct SqliteJobQueue {
    name: Arc<str>,
    writer: Writer,
    /// Answers questions about jobs.
    reader: Reader,
    /// Looks for work; long answers of the other do not hold it up.
    watcher: Reader,
    clock: Arc<dyn HostClock>,
    changed: Arc<Notify>,
    retention: Retention,
}

impl SqliteJobQueue {
    pub(crate) fn new(
        name: Arc<str>,
        writer: Writer,
        [reader, watcher]: [Reader; 2],
        clock: Arc<dyn HostClock>,
        changed: Arc<Notify>,
        retention: Retention,
    ) -> Self {
        Self { name, writer, reader, watcher, clock, changed, retention }
    }
}

impl fmt::Display for SqliteJobQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue in {}", self.name)
    }
}

/// How many jobs maintenance handles in one transaction: claims wait no longer than that takes.
const STEP: usize = 64;

/// How soon a worker that waits looks whether another process has written: first, and at last.
const LOOK: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(16)];

#[async_trait]
impl JobQueue for SqliteJobQueue {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        check_len("enqueue jobs", jobs.len())?;
        self.writer.call("enqueue jobs", move |tx| enqueue::enqueue(tx, &jobs)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        let request = request.clone();
        self.writer.call("claim jobs", move |tx| claim::claim(tx, &request)).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        check_len("settle jobs", settlements.len())?;
        let (next, retention) = (next.cloned(), self.retention);
        let settle =
            move |tx: &mut Tx<'_>| settle::settle(tx, &settlements, next.as_ref(), &retention);
        self.writer.call("settle jobs", settle).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        let beat = beat.clone();
        self.writer.call("renew leases", move |tx| settle::beat(tx, &beat)).await
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        let give_up = Instant::now() + max;
        let mut pause = LOOK[0];
        let mut seen = None;
        let mut wake_at = None;
        loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (clock, queues) = (Arc::clone(&self.clock), queues.to_vec());
            let look = move |sql: &Connection| {
                let version = data_version(sql)?;
                if seen == Some(version) {
                    return Ok((version, None));
                }
                Ok((version, Some(view::next_due(sql, &*clock, &queues)?)))
            };
            let (version, due) = self.watcher.ask("wait for jobs", look).await?;
            seen = Some(version);
            if let Some((now, due)) = due {
                if due.is_some_and(|due| due <= now) {
                    return Ok(true);
                }
                wake_at = due.map(|due| Instant::now() + due.since(now));
            }
            if Instant::now() >= give_up {
                return Ok(false);
            }
            let until = wake_at.unwrap_or(give_up).min(give_up);
            let next_look = Instant::now() + pause;
            tokio::select! {
                () = &mut changed => seen = None,
                () = tokio::time::sleep_until(until.min(next_look)) => {
                    if until <= next_look {
                        // By the time that was known, something is due.
                        seen = None;
                    }
                    pause = (pause * 2).min(LOOK[1]);
                }
            }
        }
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        let (retention, mut left) = (self.retention, budget);
        let mut all = Maintained::default();
        loop {
            let step = left.min(STEP);
            left -= step;
            let last = left == 0;
            let maintain = move |tx: &mut Tx<'_>| settle::maintain(tx, &retention, step, last);
            let did = self.writer.call("maintain the queue", maintain).await?;
            all.reaped += did.reaped;
            all.pruned += did.pruned;
            all.more = did.more;
            if last || !did.more {
                return Ok(all);
            }
        }
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        if let Select::Jobs(ids) = select {
            check_len("alter jobs", ids.len())?;
        }
        let (select, retention) = (select.clone(), self.retention);
        let change = move |tx: &mut Tx<'_>| alter::alter(tx, &select, alter, &retention);
        self.writer.call("alter jobs", change).await
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        let queue = queue.clone();
        let configure = move |tx: &mut Tx<'_>| alter::configure(tx, &queue, control);
        self.writer.call("configure a queue", configure).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        let ids = ids.to_vec();
        let get = move |sql: &Connection| ids.iter().map(|id| view::get(sql, *id)).collect();
        self.reader.ask("look at jobs", get).await
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        let filter = filter.clone();
        let list = move |sql: &Connection| list::list(sql, &filter, after, limit);
        self.reader.ask("list jobs", list).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        let query = query.clone();
        self.reader.ask("count jobs", move |sql| view::stats(sql, &query)).await
    }
}

/// Changes whenever somebody else has written to the file.
fn data_version(sql: &Connection) -> rusqlite::Result<i64> {
    sql.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
