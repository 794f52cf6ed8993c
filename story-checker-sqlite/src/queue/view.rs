//! What can be seen: single jobs, lists, counts. Runs on the reading connection.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use story_checker_core::queue::{
    BatchStats, JobCounts, JobState, JobView, QueueName, QueueStats, Stats, StatsQuery, WorkerStats,
};
use story_checker_core::{BatchId, Fence, JobId, Timestamp, WorkerId};

use super::claim::as_limit;
use super::row;
use crate::error::Fail;
use crate::time::HostClock;
use crate::tx::{read_now, time};

type Result<T> = std::result::Result<T, Fail>;

/// A job with all its parts: a `WHERE` clause follows.
macro_rules! view_of_jobs {
    () => {
        "SELECT job.uid, queue.name, batch.uid, job.prio, job.state, job_note.reason, \
         job_body.payload, job_note.result, job_note.note, job.attempt, job.crashes, \
         job.deferrals, job.fence, worker.name, job.enqueued_at, job.at, job.deadline, job.ukey, \
         batch.cancelled, job.id FROM job \
         LEFT JOIN queue ON queue.id = job.queue LEFT JOIN batch ON batch.id = job.batch \
         LEFT JOIN worker ON worker.id = job.worker LEFT JOIN job_body ON job_body.id = job.id \
         LEFT JOIN job_note ON job_note.id = job.id "
    };
}

fn bytes(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Bytes>> {
    let blob = row.get_ref(index)?.as_blob_or_null()?;
    Ok(blob.map(Bytes::copy_from_slice))
}

fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(index)?.unwrap_or_default())
}

fn view(row: &Row<'_>) -> Result<JobView> {
    let id = JobId::from_bytes(row.get(0)?);
    let stored = row::state(row.get(4)?, row.get(19)?)?;
    let hidden = crate::tx::waits(stored) && row.get::<_, Option<bool>>(18)? == Some(true);
    let state = if hidden { JobState::Cancelled } else { stored };
    let queue = QueueName::new(text(row, 1)?);
    let payload = bytes(row, 6)?.unwrap_or_default();
    let mut view = JobView::new(id, queue, payload, state, time(row.get(14)?));
    view.batch = row.get::<_, Option<[u8; 16]>>(2)?.map(BatchId::from_bytes);
    view.priority = row.get(3)?;
    view.dead_reason = row.get::<_, Option<u8>>(5)?.map(row::reason);
    // An empty result takes no place.
    let ended_by_worker = matches!(stored, JobState::Dead | JobState::Done);
    view.result =
        ended_by_worker.then(|| bytes(row, 7)).transpose()?.map(Option::unwrap_or_default);
    view.note = text(row, 8)?;
    view.attempt = row.get(9)?;
    view.crashes = row.get(10)?;
    view.deferrals = row.get(11)?;
    view.fence = Fence::new(row.get::<_, i64>(12)?.cast_unsigned());
    view.worker = row.get::<_, Option<String>>(13)?.map(WorkerId::new);
    view.at = time(row.get(15)?);
    view.deadline = row.get::<_, Option<i64>>(16)?.map(time);
    view.unique = bytes(row, 17)?;
    Ok(view)
}

/// One job.
pub(super) fn get(sql: &Connection, id: JobId) -> Result<Option<JobView>> {
    let mut read = sql.prepare_cached(concat!(view_of_jobs!(), "WHERE job.uid = ?1"))?;
    let mut rows = read.query([id.as_bytes()])?;
    rows.next()?.map(view).transpose()
}

/// One job by the number of its row.
pub(super) fn get_row(sql: &Connection, id: i64) -> Result<Option<JobView>> {
    let mut read = sql.prepare_cached(concat!(view_of_jobs!(), "WHERE job.id = ?1"))?;
    let mut rows = read.query([id])?;
    rows.next()?.map(view).transpose()
}

/// When one of the queues has or may have a due job; none: not before something changes.
pub(super) fn next_due(
    sql: &Connection,
    clock: &dyn HostClock,
    queues: &[QueueName],
) -> Result<(Timestamp, Option<Timestamp>)> {
    let now = read_now(sql, clock)?;
    let mut next = None;
    for name in queues {
        let mut find = sql.prepare_cached("SELECT id FROM queue WHERE name = ?1 AND paused = 0")?;
        let id = find.query_row([name.as_str()], |row| row.get::<_, i64>(0)).optional()?;
        let Some(id) = id else { continue };
        let mut ready = sql.prepare_cached(
            "SELECT 1 FROM line WHERE queue = ?1 AND open = 1 AND EXISTS (
                 SELECT 1 FROM job WHERE state = 0 AND job.queue = ?1 AND job.batch = line.batch
                 AND job.prio = line.prio) LIMIT 1",
        )?;
        if ready.exists([id])? {
            return Ok((now, Some(now)));
        }
        let mut due = sql.prepare_cached(
            "SELECT at FROM job WHERE state = 1 AND queue = ?1 ORDER BY at LIMIT 1",
        )?;
        let at = due.query_row([id], |row| row.get(0)).optional()?.map(time);
        next = [next, at].into_iter().flatten().min();
    }
    Ok((now, next))
}

fn counts(row: &Row<'_>, from: usize) -> rusqlite::Result<JobCounts> {
    let mut counts = JobCounts::default();
    for (index, state) in crate::tally::STATES.into_iter().enumerate() {
        let count = row.get::<_, Option<i64>>(from + index)?.unwrap_or_default();
        *counts.of(state) = u64::try_from(count).unwrap_or_default();
    }
    Ok(counts)
}

fn batch(row: &Row<'_>) -> rusqlite::Result<(i64, BatchStats)> {
    let created_at = time(row.get(4)?);
    let mut stats =
        BatchStats::new(BatchId::from_bytes(row.get(1)?), JobCounts::default(), created_at);
    stats.paused = row.get(2)?;
    stats.cancelled = row.get(3)?;
    Ok((row.get(0)?, stats))
}

fn add_counts(sql: &Connection, (id, mut stats): (i64, BatchStats)) -> Result<BatchStats> {
    let mut sum = sql.prepare_cached(
        "SELECT sum(ready), sum(scheduled), sum(leased), sum(done), sum(dead), sum(cancelled),
         max(changed_at) FROM share WHERE batch = ?1",
    )?;
    let (counts, changed_at) =
        sum.query_row([id], |row| Ok((counts(row, 0)?, row.get::<_, Option<i64>>(6)?.map(time))))?;
    stats.counts = counts;
    stats.changed_at = changed_at.unwrap_or_default().max(stats.created_at);
    Ok(stats)
}

pub(super) fn stats(sql: &Connection, query: &StatsQuery) -> Result<Stats> {
    let mut stats = Stats::default();
    match query {
        StatsQuery::Batches(ids) => {
            let mut read = sql.prepare_cached(
                "SELECT id, uid, paused, cancelled, created_at FROM batch WHERE uid = ?1",
            )?;
            for id in ids {
                if let Some(found) = read.query_row([id.as_bytes()], batch).optional()? {
                    stats.batches.push(add_counts(sql, found)?);
                }
            }
        }
        StatsQuery::BatchesAfter { after, limit } => {
            let mut read = sql.prepare_cached(
                "SELECT id, uid, paused, cancelled, created_at FROM batch WHERE uid > ?1
                 ORDER BY uid LIMIT ?2",
            )?;
            // Shorter than any id: before the first.
            let after = after.as_ref().map_or(&[][..], |after| after.as_bytes());
            let rows = read.query_map(params![after, as_limit(*limit)], batch)?;
            for found in rows {
                stats.batches.push(add_counts(sql, found?)?);
            }
        }
        StatsQuery::Queues => {
            let mut read = sql.prepare_cached(
                "SELECT ready, scheduled, leased, done, dead, cancelled, name, paused, max_len
                 FROM queue WHERE name >= '' ORDER BY name",
            )?;
            let rows = read.query_map([], |row| {
                let name = row.get::<_, String>(6)?;
                let mut stats = QueueStats::new(QueueName::new(name), counts(row, 0)?);
                stats.paused = row.get(7)?;
                let max_len = row.get::<_, Option<i64>>(8)?;
                stats.max_len = max_len.map(|max| usize::try_from(max).unwrap_or_default());
                Ok(stats)
            })?;
            stats.queues = rows.collect::<rusqlite::Result<_>>()?;
        }
        StatsQuery::Workers => {
            let mut held = std::collections::HashMap::<i64, u64>::new();
            let mut read =
                sql.prepare_cached("SELECT worker FROM job INDEXED BY job_lease WHERE state = 2")?;
            let mut rows = read.query([])?;
            while let Some(row) = rows.next()? {
                *held.entry(row.get(0)?).or_default() += 1;
            }
            let mut read = sql.prepare_cached(
                "SELECT id, name, seen_at FROM worker WHERE name >= '' AND seen_at > 0
                 ORDER BY name",
            )?;
            let rows = read.query_map([], |row| {
                let name = WorkerId::new(row.get::<_, String>(1)?);
                let leases = held.get(&row.get(0)?).copied().unwrap_or_default();
                Ok(WorkerStats::new(name, time(row.get(2)?), leases))
            })?;
            stats.workers = rows.collect::<rusqlite::Result<_>>()?;
        }
        // Nothing is known of what a later core may count.
        _ => {}
    }
    Ok(stats)
}
