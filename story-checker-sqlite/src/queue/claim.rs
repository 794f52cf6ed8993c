//! Leasing jobs: by priority, the batches in turn, first in first out within a batch.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use story_checker_core::queue::{
    ClaimRequest, Claimed, ClaimedJob, JobLease, JobState, MAX_ITEMS, QueueName,
};
use story_checker_core::{Fence, JobId, Timestamp};

use super::row::{Row, row_columns};
use crate::error::Fail;
use crate::tx::{Tx, millis, time};

type Result<T> = std::result::Result<T, Fail>;

/// How many due rows become ready in one claim beyond what it wants: enough to be ahead of any worker,
/// and few enough that a claim takes no longer for it.
const PROMOTE: usize = 64;

/// How many rows of cancelled batches a claim of the hopeless may put out of its way.
const ASIDE: usize = 512;

/// What a claim grants with.
struct Grant<'a> {
    queue: i64,
    name: &'a QueueName,
    worker: i64,
    until: Timestamp,
}

pub(super) fn claim(tx: &mut Tx<'_>, request: &ClaimRequest) -> Result<Claimed> {
    let mut claimed = Claimed::default();
    let worker = tx.alive(&request.worker)?;
    let until = tx.now() + request.lease;
    for (name, want) in &request.wants {
        let queue = tx.queue(name)?;
        let want = (*want).min(MAX_ITEMS - claimed.jobs.len());
        let grant = Grant { queue: queue.id, name, worker, until };
        if let Some(within) = request.hopeless_within {
            claim_hopeless(tx, &grant, want, within, &mut claimed.jobs)?;
        } else if !queue.paused {
            promote(tx, queue.id, want + PROMOTE)?;
            claim_ready(tx, &grant, want, &mut claimed.jobs)?;
        }
        let next = next_due(tx, queue.id)?.filter(|at| *at > tx.now());
        claimed.next_at = [claimed.next_at, next].into_iter().flatten().min();
    }
    tx.write_tally()?;
    Ok(claimed)
}

/// When the next scheduled job of a queue is due.
fn next_due(tx: &Tx<'_>, queue: i64) -> Result<Option<Timestamp>> {
    let text = "SELECT at FROM job WHERE state = 1 AND queue = ?1 ORDER BY at LIMIT 1";
    let at = tx.statement(text)?.query_row([queue], |row| row.get(0)).optional()?;
    Ok(at.map(time))
}

/// Makes due jobs ready, at most so many, all in one statement.
fn promote(tx: &mut Tx<'_>, queue: i64, most: usize) -> Result<()> {
    let mut promote = tx.statement(
        "UPDATE job SET state = 0 WHERE id IN (
             SELECT id FROM job INDEXED BY job_due WHERE state = 1 AND queue = ?1 AND at <= ?2
             ORDER BY at LIMIT ?3)
         RETURNING id, batch, prio, cancel",
    )?;
    let bound = params![queue, millis(tx.now()), as_limit(most)];
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    };
    let promoted: Vec<_> = promote.query_map(bound, read)?.collect::<rusqlite::Result<_>>()?;
    for (id, batch, prio, cancel) in promoted {
        tx.count(queue, batch, JobState::Scheduled, -1)?;
        tx.count(queue, batch, JobState::Ready, 1)?;
        if cancel || tx.batch_cancelled(batch)? {
            let text = concat!("SELECT ", row_columns!(), " FROM job WHERE id = ?1");
            for row in collect(tx, text, [id])? {
                let now = tx.now();
                row.end(tx, JobState::Cancelled, now)?;
            }
        } else {
            tx.open_line(queue, prio, batch)?;
        }
    }
    Ok(())
}

/// The rows that a statement finds.
pub(super) fn collect(tx: &Tx<'_>, text: &str, bound: impl rusqlite::Params) -> Result<Vec<Row>> {
    let mut statement = tx.statement(text)?;
    let mut rows = statement.query(bound)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Row::read(row)?);
    }
    Ok(found)
}

pub(super) fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A line, and those at its head that were read already.
struct Line {
    prio: u8,
    batch: i64,
    head: VecDeque<Candidate>,
    last: i64,
    /// There is nobody behind those in `head`.
    ends: bool,
    taken: bool,
}

/// A ready job, as much of it as a claim needs.
struct Candidate {
    id: i64,
    job: ClaimedJob,
}

fn claim_ready(
    tx: &mut Tx<'_>,
    grant: &Grant<'_>,
    want: usize,
    claimed: &mut Vec<ClaimedJob>,
) -> Result<()> {
    let mut left = want;
    while left > 0 {
        // A second one tells whether the first is alone.
        let mut lines = first_lines(tx, grant.queue, left.max(2))?;
        if lines.is_empty() {
            break;
        }
        let alone = lines.len() == 1;
        // There may be more lines than were read: then nobody gets a second job before they are.
        let once = lines.len() >= left;
        let (mut over, mut served) = (Vec::new(), Vec::new());
        while left > 0
            && let Some(mut line) = lines.pop_front()
        {
            if line.head.is_empty() && !line.ends {
                let share = left.div_ceil(lines.len() + 1);
                read_head(tx, grant, &mut line, share)?;
            }
            match line.head.pop_front() {
                Some(candidate) => {
                    claimed.push(take(tx, grant, candidate, line.batch)?);
                    line.taken = true;
                    left -= 1;
                    if once { served.push(line) } else { lines.push_back(line) }
                }
                None => over.push(line),
            }
        }
        let ended = |line: &Line| line.ends && line.head.is_empty();
        let (ended, lines): (Vec<_>, Vec<_>) = lines.into_iter().chain(served).partition(ended);
        for line in over.into_iter().chain(ended) {
            tx.drop_line(grant.queue, line.prio, line.batch)?;
        }
        if !alone {
            to_the_back(tx, grant.queue, lines.iter().filter(|line| line.taken))?;
        }
    }
    Ok(())
}

/// The open lines of the first priority that has any, those whose turn it is first.
fn first_lines(tx: &Tx<'_>, queue: i64, most: usize) -> Result<VecDeque<Line>> {
    let mut read = tx.statement(
        "SELECT prio, batch FROM line WHERE queue = ?1 AND open = 1 ORDER BY prio, turn LIMIT ?2",
    )?;
    let mut rows = read.query(params![queue, as_limit(most)])?;
    let mut lines = VecDeque::<Line>::new();
    while let Some(row) = rows.next()? {
        let (prio, batch) = (row.get(0)?, row.get(1)?);
        if lines.front().is_some_and(|first| first.prio != prio) {
            break;
        }
        let head = VecDeque::new();
        lines.push_back(Line { prio, batch, head, last: 0, ends: false, taken: false });
    }
    Ok(lines)
}

/// Lets those who had their turn stand behind all others.
fn to_the_back<'a>(tx: &Tx<'_>, queue: i64, lines: impl Iterator<Item = &'a Line>) -> Result<()> {
    for line in lines {
        tx.statement(
            "UPDATE line SET turn = 1 + (SELECT max(turn) FROM line WHERE queue = ?1 AND open = 1
             AND prio = ?2) WHERE queue = ?1 AND prio = ?2 AND batch = ?3",
        )?
        .execute(params![queue, line.prio, line.batch])?;
    }
    Ok(())
}

fn read_head(tx: &Tx<'_>, grant: &Grant<'_>, line: &mut Line, most: usize) -> Result<()> {
    let mut read = tx.statement(
        "SELECT job.id, job.uid, job.fence, job.attempt, job.crashes, job.deferrals,
         job.enqueued_at, job.deadline, job_body.payload
         FROM job INDEXED BY job_ready LEFT JOIN job_body ON job_body.id = job.id
         WHERE job.state = 0 AND job.queue = ?1 AND job.batch = ?2 AND job.prio = ?3
         AND job.id > ?4 ORDER BY job.id LIMIT ?5",
    )?;
    let bound = params![grant.queue, line.batch, line.prio, line.last, as_limit(most)];
    let mut rows = read.query(bound)?;
    while let Some(row) = rows.next()? {
        let candidate = candidate(row, grant.name)?;
        line.last = candidate.id;
        line.head.push_back(candidate);
    }
    line.ends = line.head.len() < most;
    Ok(())
}

/// Reads a job that may be granted: nine columns.
fn candidate(row: &rusqlite::Row<'_>, name: &QueueName) -> Result<Candidate> {
    let lease = JobLease::new(
        JobId::from_bytes(row.get(1)?),
        Fence::new(row.get::<_, i64>(2)?.cast_unsigned()),
    );
    // A job without its body is claimed like any other: the claimer finds it unreadable.
    let payload = row.get_ref(8)?.as_blob_or_null().ok().flatten().map(Bytes::copy_from_slice);
    let mut job =
        ClaimedJob::new(lease, name.clone(), payload.unwrap_or_default(), time(row.get(6)?));
    job.attempt = row.get(3)?;
    job.crashes = row.get(4)?;
    job.deferrals = row.get(5)?;
    job.deadline = row.get::<_, Option<i64>>(7)?.map(time);
    Ok(Candidate { id: row.get(0)?, job })
}

/// Leases a ready job.
fn take(
    tx: &mut Tx<'_>,
    grant: &Grant<'_>,
    candidate: Candidate,
    batch: i64,
) -> Result<ClaimedJob> {
    let Candidate { id, job } = candidate;
    tx.count(grant.queue, batch, JobState::Ready, -1)?;
    lease(tx, grant, id, job, batch)
}

fn lease(
    tx: &mut Tx<'_>,
    grant: &Grant<'_>,
    id: i64,
    mut job: ClaimedJob,
    batch: i64,
) -> Result<ClaimedJob> {
    let fence = job.lease.fence.next();
    tx.statement("UPDATE job SET state = 2, at = ?2, fence = ?3, worker = ?4 WHERE id = ?1")?
        .execute(params![id, millis(grant.until), fence.get().cast_signed(), grant.worker])?;
    tx.count(grant.queue, batch, JobState::Leased, 1)?;
    job.lease.fence = fence;
    job.batch = tx.batch(batch)?.map(|batch| batch.uid);
    Ok(job)
}

fn claim_hopeless(
    tx: &mut Tx<'_>,
    grant: &Grant<'_>,
    want: usize,
    within: Duration,
    claimed: &mut Vec<ClaimedJob>,
) -> Result<()> {
    let most = want + ASIDE;
    let text = concat!(
        "SELECT ",
        row_columns!(),
        " FROM job INDEXED BY job_deadline WHERE deadline IS NOT NULL AND state < 2 AND queue = ?1
         AND deadline <= ?2 ORDER BY deadline LIMIT ?3"
    );
    let until = tx.now() + within;
    let found = collect(tx, text, (grant.queue, millis(until), as_limit(most)))?;
    let all = found.len() < most;
    let (mut aside, mut left) = (Vec::new(), want);
    for row in found {
        if left == 0 {
            break;
        }
        if row.shown_state(tx)? == JobState::Cancelled {
            aside.push(row);
            continue;
        }
        left -= 1;
        let mut read = tx.statement(
            "SELECT job.id, job.uid, job.fence, job.attempt, job.crashes, job.deferrals,
             job.enqueued_at, job.deadline, job_body.payload
             FROM job LEFT JOIN job_body ON job_body.id = job.id WHERE job.id = ?1",
        )?;
        let mut rows = read.query([row.id])?;
        let Some(read) = rows.next()? else { continue };
        let Candidate { id, job } = candidate(read, grant.name)?;
        tx.count(grant.queue, row.batch, row.state, -1)?;
        claimed.push(lease(tx, grant, id, job, row.batch)?);
    }
    if left > 0 && !all {
        // Nothing but cancelled ones in front: they end now, so that the next claim sees further.
        for row in aside {
            let now = tx.now();
            row.end(tx, JobState::Cancelled, now)?;
        }
    }
    Ok(())
}
