//! Ending leases: by settlement, by the beat's silence, and dropping what has ended.

use rusqlite::params;
use story_checker_core::Timestamp;
use story_checker_core::queue::{
    Beat, BeatReply, ClaimRequest, Claimed, JobState, Maintained, Outcome, Retention, Settled,
    Settlement, WORKERS_KEPT,
};

use super::claim::{as_limit, claim, collect};
use super::row::{Note, Row, row_columns};
use crate::error::Fail;
use crate::tx::{Tx, millis};

type Result<T> = std::result::Result<T, Fail>;

/// How many free pages one round of maintenance gives back.
const SHRINK: u32 = 64;

pub(super) fn settle(
    tx: &mut Tx<'_>,
    settlements: &[Settlement],
    next: Option<&ClaimRequest>,
    retention: &Retention,
) -> Result<(Vec<Settled>, Claimed)> {
    let settled =
        settlements.iter().map(|settlement| one(tx, settlement)).collect::<Result<Vec<_>>>()?;
    flush(tx, retention)?;
    prune(tx, retention, settled.len() * 2)?;
    flush(tx, retention)?;
    let claimed = next.map_or_else(|| Ok(Claimed::default()), |request| claim(tx, request))?;
    Ok((settled, claimed))
}

/// Writes the counts, and forgets batches that were remembered long enough.
pub(super) fn flush(tx: &mut Tx<'_>, retention: &Retention) -> Result<()> {
    let keep = retention.done_for.max(retention.dead_for);
    for batch in tx.write_tally()? {
        let (stored, changed_at): (i64, i64) = tx
            .statement("SELECT sum(stored), max(changed_at) FROM share WHERE batch = ?1")?
            .query_row([batch], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if stored > 0 || crate::tx::time(changed_at) + keep > tx.now() {
            continue;
        }
        let mut forget = tx.statement("DELETE FROM batch WHERE id = ?1 AND sweep = 0")?;
        if forget.execute([batch])? > 0 {
            tx.statement("DELETE FROM share WHERE batch = ?1")?.execute([batch])?;
            tx.statement("DELETE FROM line WHERE batch = ?1")?.execute([batch])?;
            tx.forget();
        }
    }
    Ok(())
}

fn one(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<Settled> {
    let mut row = match Row::held(tx, settlement.lease)? {
        Ok(row) => row,
        Err(reply) => return Ok(reply),
    };
    let now = tx.now();
    match &settlement.outcome {
        Outcome::Done { result } => {
            Note { result: Some(result), ..Note::default() }.write(tx, row.id)?;
            row.end(tx, JobState::Done, now)?;
        }
        Outcome::Dead { reason, result } => {
            let reason = Some(*reason);
            Note { reason, result: Some(result), ..Note::default() }.write(tx, row.id)?;
            row.end(tx, JobState::Dead, now)?;
        }
        // A cancellation wins over everything that would run the job again.
        Outcome::Cancelled => row.end(tx, JobState::Cancelled, now)?,
        _ if row.is_cancelled(tx)? => row.end(tx, JobState::Cancelled, now)?,
        Outcome::Defer { after, note } => {
            row.deferrals = row.deferrals.saturating_add(1);
            put_off(tx, row, now + *after, note)?;
        }
        Outcome::Retry { after, note } => {
            row.attempt = row.attempt.saturating_add(1);
            put_off(tx, row, now + *after, note)?;
        }
        Outcome::Release { after } => row.put_in_line(tx, now + *after)?,
        other => {
            let what = format!("this version cannot store the outcome {other:?}");
            return Err(crate::error::corrupt("settle jobs", what));
        }
    }
    Ok(Settled::Applied)
}

/// Lets the job wait, with a note why.
fn put_off(tx: &mut Tx<'_>, row: Row, at: Timestamp, note: &str) -> Result<()> {
    tx.statement(
        "INSERT INTO job_note (id, note) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET note = ?2",
    )?
    .execute(params![row.id, note])?;
    row.put_in_line(tx, at)
}

pub(super) fn beat(tx: &mut Tx<'_>, beat: &Beat) -> Result<Vec<BeatReply>> {
    let until = tx.now() + beat.lease;
    tx.alive(&beat.worker)?;
    let mut renew = |lease| {
        let Ok(row) = Row::held(tx, lease)? else { return Ok(BeatReply::Stale) };
        tx.statement("UPDATE job SET at = ?2 WHERE id = ?1")?
            .execute(params![row.id, millis(until)])?;
        Ok(if row.is_cancelled(tx)? { BeatReply::Cancel } else { BeatReply::Held })
    };
    beat.leases.iter().map(|lease| renew(*lease)).collect()
}

/// One step of maintenance; `last` if no other follows even if there is more to do.
pub(super) fn maintain(
    tx: &mut Tx<'_>,
    retention: &Retention,
    budget: usize,
    last: bool,
) -> Result<Maintained> {
    let reaped = reap(tx, budget)?;
    let swept = sweep(tx, budget - reaped)?;
    flush(tx, retention)?;
    let pruned = prune(tx, retention, budget - reaped - swept)?;
    flush(tx, retention)?;
    let mut maintained = Maintained::default();
    (maintained.reaped, maintained.pruned) = (reaped, pruned);
    maintained.more = reaped + swept + pruned >= budget;
    if last || !maintained.more {
        forget_workers(tx)?;
        tx.correct_clock()?;
        tx.shrink(SHRINK)?;
    }
    Ok(maintained)
}

/// Frees jobs whose lease is over.
fn reap(tx: &mut Tx<'_>, budget: usize) -> Result<usize> {
    let text = concat!(
        "SELECT ",
        row_columns!(),
        " FROM job WHERE state = 2 AND at <= ?1 ORDER BY at LIMIT ?2"
    );
    let now = tx.now();
    let over = collect(tx, text, (millis(now), as_limit(budget)))?;
    let reaped = over.len();
    for mut row in over {
        row.crashes = row.crashes.saturating_add(1);
        row.fence = row.fence.next();
        if row.is_cancelled(tx)? {
            row.end(tx, JobState::Cancelled, now)?;
        } else {
            row.put_in_line(tx, now)?;
        }
    }
    Ok(reaped)
}

/// Ends ready jobs of cancelled batches, which were counted as cancelled all along. Scheduled ones
/// follow when they become due.
fn sweep(tx: &mut Tx<'_>, budget: usize) -> Result<usize> {
    let batches: Vec<i64> = {
        let mut read = tx.statement("SELECT id FROM batch WHERE sweep = 1 ORDER BY id LIMIT 64")?;
        let rows = read.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let mut swept = 0;
    for batch in batches {
        for queue in queues_of(tx, batch)? {
            if swept >= budget {
                return Ok(swept);
            }
            let text = concat!(
                "SELECT ",
                row_columns!(),
                " FROM job INDEXED BY job_ready WHERE state = 0 AND queue = ?1 AND batch = ?2
                 LIMIT ?3"
            );
            let rows = collect(tx, text, (queue, batch, as_limit(budget - swept)))?;
            swept += rows.len();
            for row in rows {
                let now = tx.now();
                row.end(tx, JobState::Cancelled, now)?;
            }
        }
        if swept < budget {
            tx.statement("UPDATE batch SET sweep = 0 WHERE id = ?1")?.execute([batch])?;
            tx.statement("DELETE FROM line WHERE batch = ?1")?.execute([batch])?;
            tx.forget();
        }
    }
    Ok(swept)
}

/// The queues in which a batch has or had jobs.
pub(super) fn queues_of(tx: &Tx<'_>, batch: i64) -> Result<Vec<i64>> {
    let mut read = tx.statement("SELECT queue FROM share WHERE batch = ?1 ORDER BY queue")?;
    let rows = read.query_map([batch], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Drops ended jobs as the retention says.
fn prune(tx: &mut Tx<'_>, retention: &Retention, budget: usize) -> Result<usize> {
    let [done, rest]: [i64; 2] = tx
        .statement("SELECT done, rest FROM kept WHERE id = 1")?
        .query_row([], |row| Ok([row.get(0)?, row.get(1)?]))?;
    let Retention { done: keep_done, dead: keep_rest, done_for, dead_for, .. } = *retention;
    let logs = [
        (
            concat!("SELECT ", row_columns!(), " FROM job WHERE state = 3 ORDER BY at LIMIT ?1"),
            done,
            keep_done,
            done_for,
        ),
        (
            concat!("SELECT ", row_columns!(), " FROM job WHERE state >= 4 ORDER BY at LIMIT ?1"),
            rest,
            keep_rest,
            dead_for,
        ),
    ];
    let mut pruned = 0;
    for (text, stored, keep, age) in logs {
        let stored = usize::try_from(stored).unwrap_or_default();
        let mut surplus = stored.saturating_sub(keep);
        // Mostly there is nothing to do, and one look at the oldest shows it.
        let mut look = surplus.max(1);
        while pruned < budget {
            let rows = collect(tx, text, [as_limit(look.min(budget - pruned))])?;
            let found = rows.len();
            let mut dropped = 0;
            for row in rows {
                if surplus == 0 && row.at + age > tx.now() {
                    break;
                }
                surplus = surplus.saturating_sub(1);
                row.drop(tx)?;
                dropped += 1;
            }
            pruned += dropped;
            if dropped < found || found == 0 {
                break;
            }
            look = 128;
        }
    }
    Ok(pruned)
}

/// Forgets workers that gave no sign of life for long; those who hold something, only in sight.
fn forget_workers(tx: &Tx<'_>) -> Result<()> {
    let before = millis(tx.now()).saturating_sub_unsigned(WORKERS_KEPT.as_secs() * 1_000);
    let mut read = tx.statement("SELECT id FROM worker WHERE seen_at <= ?1")?;
    let rows = read.query_map([before], |row| row.get(0))?;
    let silent = rows.collect::<rusqlite::Result<Vec<i64>>>()?;
    if silent.is_empty() {
        return Ok(());
    }
    let mut read = tx.statement("SELECT worker FROM job INDEXED BY job_lease WHERE state = 2")?;
    let rows = read.query_map([], |row| row.get(0))?;
    let holding = rows.collect::<rusqlite::Result<Vec<i64>>>()?;
    for worker in silent {
        let text = if holding.contains(&worker) {
            "UPDATE worker SET seen_at = 0 WHERE id = ?1 AND seen_at <> 0"
        } else {
            "DELETE FROM worker WHERE id = ?1"
        };
        tx.statement(text)?.execute([worker])?;
    }
    Ok(())
}
