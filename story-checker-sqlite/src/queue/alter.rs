//! What an operator changes.

use rusqlite::params;
use story_checker_core::queue::{
    Alter, Altered, JobState, QueueControl, QueueName, Retention, Select,
};
use story_checker_core::{BatchId, Error, JobId};

use super::row::Row;
use super::settle::flush;
use crate::error::Fail;
use crate::tx::Tx;

type Result<T> = std::result::Result<T, Fail>;

pub(super) fn alter(
    tx: &mut Tx<'_>,
    select: &Select,
    alter: Alter,
    retention: &Retention,
) -> Result<Altered> {
    let altered = match (select, alter) {
        (Select::Batch(batch), Alter::Cancel) => cancel_batch(tx, *batch)?,
        (Select::Batch(batch), Alter::Pause) => pause_batch(tx, *batch, true)?,
        (Select::Batch(batch), Alter::Resume) => pause_batch(tx, *batch, false)?,
        (Select::Batch(batch), Alter::Replay) => replay_batch(tx, *batch)?,
        (Select::Jobs(ids), Alter::Cancel | Alter::Deadline(_) | Alter::Delete | Alter::Replay) => {
            let mut altered = Altered::default();
            for id in ids {
                let done = one(tx, *id, alter)?;
                altered.changed += u64::from(done);
                altered.refused += u64::from(!done);
            }
            flush(tx, retention)?;
            altered
        }
        (select, alter) => {
            let what = match select {
                Select::Batch(_) => "a batch",
                _ => "single jobs",
            };
            let what = format!("{alter:?} is not for {what}");
            return Err(Fail::Port(Error::invalid("alter jobs", what)));
        }
    };
    tx.wake_waiting();
    Ok(altered)
}

fn one(tx: &mut Tx<'_>, id: JobId, alter: Alter) -> Result<bool> {
    let Some(row) = Row::find(tx, id)? else { return Ok(false) };
    match alter {
        Alter::Cancel => cancel(tx, row),
        Alter::Deadline(span) => {
            if row.shown_state(tx)?.is_final() {
                return Ok(false);
            }
            let deadline = span.map(|span| tx.now() + span);
            Row { deadline, ..row }.write(tx, row.state)?;
            Ok(true)
        }
        Alter::Delete => delete(tx, row, id),
        _ => replay(tx, row),
    }
}

fn cancel(tx: &mut Tx<'_>, row: Row) -> Result<bool> {
    match row.shown_state(tx)? {
        JobState::Leased => Row { cancel: true, ..row }.write(tx, row.state)?,
        JobState::Ready | JobState::Scheduled => {
            let now = tx.now();
            row.end(tx, JobState::Cancelled, now)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn delete(tx: &mut Tx<'_>, mut row: Row, id: JobId) -> Result<bool> {
    if !row.shown_state(tx)?.is_final() {
        return Ok(false);
    }
    if !row.state.is_final() {
        // Its batch was cancelled, and maintenance has not come to it yet.
        let now = tx.now();
        row.end(tx, JobState::Cancelled, now)?;
        let Some(ended) = Row::find(tx, id)? else { return Ok(false) };
        row = ended;
    }
    row.drop(tx)?;
    Ok(true)
}

fn replay(tx: &mut Tx<'_>, mut row: Row) -> Result<bool> {
    let ended = matches!(row.state, JobState::Dead | JobState::Cancelled);
    if !ended || tx.batch_cancelled(row.batch)? {
        return Ok(false);
    }
    if let Some(key) = row.key(tx)?
        && Row::twin(tx, row.queue, &key)?.is_some()
    {
        return Ok(false);
    }
    (row.attempt, row.crashes, row.deferrals) = (0, 0, 0);
    (row.cancel, row.deadline) = (false, None);
    tx.statement("DELETE FROM job_note WHERE id = ?1")?.execute([row.id])?;
    let now = tx.now();
    row.put_in_line(tx, now)?;
    Ok(true)
}

/// The answer for a batch that nobody knows.
fn unknown() -> Altered {
    let mut altered = Altered::default();
    altered.refused = 1;
    altered
}

/// A flag and a few counters: the jobs themselves follow in maintenance.
fn cancel_batch(tx: &mut Tx<'_>, uid: BatchId) -> Result<Altered> {
    let Some(batch) = tx.find_batch(uid)? else { return Ok(unknown()) };
    let flag = "UPDATE batch SET cancelled = 1, sweep = 1 WHERE id = ?1 AND cancelled = 0";
    if tx.statement(flag)?.execute([batch])? == 0 {
        return Ok(Altered::default());
    }
    let live: i64 = tx
        .statement("SELECT ifnull(sum(ready + scheduled + leased), 0) FROM share WHERE batch = ?1")?
        .query_row([batch], |row| row.get(0))?;
    for text in [
        "UPDATE queue SET cancelled = queue.cancelled + share.ready + share.scheduled,
         ready = queue.ready - share.ready, scheduled = queue.scheduled - share.scheduled
         FROM share WHERE share.batch = ?1 AND queue.id = share.queue",
        "UPDATE share SET hidden_ready = ready, hidden_scheduled = scheduled,
         cancelled = cancelled + ready + scheduled, ready = 0, scheduled = 0 WHERE batch = ?1",
        "UPDATE line SET open = 0 WHERE batch = ?1",
    ] {
        tx.statement(text)?.execute([batch])?;
    }
    tx.forget();
    Ok(changed(live))
}

fn changed(jobs: i64) -> Altered {
    let mut altered = Altered::default();
    altered.changed = u64::try_from(jobs).unwrap_or_default();
    altered
}

/// Lifts the cancellation: what it has not ended yet waits again.
fn replay_batch(tx: &mut Tx<'_>, uid: BatchId) -> Result<Altered> {
    let Some(batch) = tx.find_batch(uid)? else { return Ok(unknown()) };
    let hidden: i64 = tx
        .statement(
            "SELECT ifnull(sum(hidden_ready + hidden_scheduled), 0) FROM share WHERE batch = ?1",
        )?
        .query_row([batch], |row| row.get(0))?;
    for text in [
        "UPDATE queue SET ready = queue.ready + share.hidden_ready,
         scheduled = queue.scheduled + share.hidden_scheduled,
         cancelled = queue.cancelled - share.hidden_ready - share.hidden_scheduled
         FROM share WHERE share.batch = ?1 AND queue.id = share.queue",
        "UPDATE share SET ready = ready + hidden_ready, scheduled = scheduled + hidden_scheduled,
         cancelled = cancelled - hidden_ready - hidden_scheduled,
         hidden_ready = 0, hidden_scheduled = 0 WHERE batch = ?1",
        "UPDATE batch SET cancelled = 0, sweep = 0 WHERE id = ?1",
        "UPDATE line SET open = (SELECT paused = 0 FROM batch WHERE id = ?1) WHERE batch = ?1",
    ] {
        tx.statement(text)?.execute([batch])?;
    }
    tx.forget();
    Ok(changed(hidden))
}

fn pause_batch(tx: &mut Tx<'_>, uid: BatchId, paused: bool) -> Result<Altered> {
    let Some(batch) = tx.find_batch(uid)? else { return Ok(unknown()) };
    let flag = "UPDATE batch SET paused = ?2 WHERE id = ?1";
    tx.statement(flag)?.execute(params![batch, paused])?;
    tx.statement(
        "UPDATE line SET open = (SELECT paused = 0 AND cancelled = 0 FROM batch WHERE id = ?1)
         WHERE batch = ?1",
    )?
    .execute([batch])?;
    let live: i64 = tx
        .statement("SELECT ifnull(sum(ready + scheduled + leased), 0) FROM share WHERE batch = ?1")?
        .query_row([batch], |row| row.get(0))?;
    tx.forget();
    Ok(changed(live))
}

pub(super) fn configure(tx: &mut Tx<'_>, name: &QueueName, control: QueueControl) -> Result<()> {
    let queue = tx.queue(name)?;
    if let Some(paused) = control.paused {
        let text = "UPDATE queue SET paused = ?2 WHERE id = ?1";
        tx.statement(text)?.execute(params![queue.id, paused])?;
    }
    if let Some(max_len) = control.max_len {
        let max_len = max_len.map(super::claim::as_limit);
        let text = "UPDATE queue SET max_len = ?2 WHERE id = ?1";
        tx.statement(text)?.execute(params![queue.id, max_len])?;
    }
    tx.forget();
    tx.wake_waiting();
    Ok(())
}
