//! Taking jobs in.

use rusqlite::params;
use story_checker_core::Timestamp;
use story_checker_core::queue::{Enqueued, JobPast, JobState, NewJob};

use super::row::{Note, Row};
use crate::error::Fail;
use crate::tally::number;
use crate::tx::{Tx, millis};

type Result<T> = std::result::Result<T, Fail>;

pub(super) fn enqueue(tx: &mut Tx<'_>, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
    let replies = jobs.iter().map(|job| one(tx, job)).collect::<Result<_>>()?;
    tx.write_tally()?;
    Ok(replies)
}

fn one(tx: &mut Tx<'_>, job: &NewJob) -> Result<Enqueued> {
    let duplicate = Enqueued::Duplicate { existing: job.id };
    let queue = tx.queue(&job.queue)?;
    let past = job.past.as_deref();
    let ended = past.is_some_and(|past| past.state.is_final());
    // Most jobs need no look before: the insert itself finds a twin by id.
    if queue.max_len.is_some() || job.unique.is_some() {
        if Row::find(tx, job.id)?.is_some() {
            return Ok(duplicate);
        }
        let key = job.unique.as_ref().filter(|_| !ended);
        let twin = key.map_or(Ok(None), |key| Row::twin(tx, queue.id, key))?;
        if let Some((twin, existing)) = &twin
            && !twin.shown_state(tx)?.is_final()
        {
            return Ok(Enqueued::Duplicate { existing: *existing });
        }
        if !ended && queue.max_len.is_some_and(|max| live(tx, queue.id).is_ok_and(|n| n >= max)) {
            return Ok(Enqueued::Full);
        }
        if let Some((twin, _)) = twin {
            // Its batch was cancelled: it ends now, for its key is needed.
            let now = tx.now();
            twin.end(tx, JobState::Cancelled, now)?;
        }
    }
    let batch = job.batch.map_or(Ok(0), |batch| tx.make_batch(batch))?;
    let cancelled = tx.batch_cancelled(batch)?;
    let row = placed(tx.now(), job, queue.id, batch, cancelled);
    let id = tx
        .statement(
            "INSERT INTO job (uid, queue, batch, prio, state, at, fence, worker, attempt, crashes,
             deferrals, cancel, enqueued_at, deadline, ukey)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, 0, ?11, ?12, ?13)
             ON CONFLICT (uid) DO NOTHING",
        )?
        .execute(params![
            job.id.as_bytes(),
            row.queue,
            row.batch,
            row.prio,
            number(row.state),
            millis(row.at),
            row.fence.get().cast_signed(),
            row.attempt,
            row.crashes,
            row.deferrals,
            millis(past.map_or(tx.now(), |past| past.enqueued_at)),
            row.deadline.map(millis),
            job.unique.as_ref().map(|key| &key[..]),
        ])
        .map(|inserted| (inserted > 0).then(|| tx.inserted()))?;
    let Some(id) = id else { return Ok(duplicate) };
    let mut body = tx.statement("INSERT INTO job_body (id, payload) VALUES (?1, ?2)")?;
    body.execute(params![id, &job.payload[..]])?;
    if let Some(JobPast { dead_reason, result, note, .. }) = past {
        Note { reason: *dead_reason, result: result.as_ref(), note }.write(tx, id)?;
    }
    tx.tally.touch(queue.id, batch);
    tx.tally.stored(queue.id, batch, 1);
    tx.count(queue.id, batch, row.state, 1)?;
    match row.state {
        JobState::Ready => tx.open_line(queue.id, row.prio, batch)?,
        _ => tx.wake_waiting(),
    }
    Ok(Enqueued::Inserted)
}

/// Where a new job stands, with the past that it had in another store.
fn placed(now: Timestamp, job: &NewJob, queue: i64, batch: i64, cancelled: bool) -> Row {
    let mut row = Row {
        id: 0,
        queue,
        batch,
        prio: job.priority,
        state: JobState::Ready,
        at: now + job.delay,
        fence: Default::default(),
        worker: 0,
        attempt: 0,
        crashes: 0,
        deferrals: 0,
        cancel: false,
        deadline: job.deadline.map(|span| now + span),
    };
    if let Some(past) = job.past.as_deref() {
        row.fence = past.fence;
        row.attempt = past.attempt;
        row.crashes = past.crashes;
        row.deferrals = past.deferrals;
        row.deadline = past.deadline;
        // Nobody holds here what somebody held there.
        row.at = if past.state == JobState::Scheduled { past.at } else { now };
        if past.state.is_final() {
            (row.state, row.at) = (past.state, past.at);
            return row;
        }
    }
    if cancelled {
        (row.state, row.at) = (JobState::Cancelled, now);
    } else if row.at > now {
        row.state = JobState::Scheduled;
    }
    row
}

/// The live jobs of a queue, those that this call took in included.
fn live(tx: &Tx<'_>, queue: i64) -> Result<u64> {
    let mut read = tx.statement("SELECT ready + scheduled + leased FROM queue WHERE id = ?1")?;
    let stored: i64 = read.query_row([queue], |row| row.get(0))?;
    Ok(u64::try_from(stored + tx.tally.live(queue)).unwrap_or_default())
}
