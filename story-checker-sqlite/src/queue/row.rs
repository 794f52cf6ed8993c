//! One job's row, and how it goes from state to state.

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use story_checker_core::queue::{JobLease, JobState, Settled};
use story_checker_core::retry::DeadReason;
use story_checker_core::{Fence, JobId, Timestamp};

use crate::error::{Fail, corrupt};
use crate::tally::{STATES, number};
use crate::tx::{Tx, millis, time};

type Result<T> = std::result::Result<T, Fail>;

/// The hot part of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) queue: i64,
    pub(crate) batch: i64,
    pub(crate) prio: u8,
    pub(crate) state: JobState,
    pub(crate) at: Timestamp,
    pub(crate) fence: Fence,
    pub(crate) worker: i64,
    pub(crate) attempt: u32,
    pub(crate) crashes: u32,
    pub(crate) deferrals: u32,
    pub(crate) cancel: bool,
    pub(crate) deadline: Option<Timestamp>,
}

/// The columns that [`Row::read`] reads, in this order.
macro_rules! row_columns {
    () => {
        "job.id, job.queue, job.batch, job.prio, job.state, job.at, job.fence, job.worker, \
         job.attempt, job.crashes, job.deferrals, job.cancel, job.deadline"
    };
}
pub(crate) use row_columns;

/// The state with this number.
pub(crate) fn state(number: u8, id: i64) -> Result<JobState> {
    let state = STATES.get(usize::from(number)).copied();
    state.ok_or_else(|| corrupt("read a job", format!("row {id} has the unknown state {number}")))
}

/// The number of a reason in the file.
pub(crate) const fn reason_number(reason: DeadReason) -> u8 {
    match reason {
        DeadReason::Attempts => 0,
        DeadReason::BadPayload => 1,
        DeadReason::Crashed => 2,
        DeadReason::Deadline => 3,
        DeadReason::Deferrals => 4,
        // Permanent; and what a later core may add.
        _ => 5,
    }
}

/// The reason with this number.
pub(crate) const fn reason(number: u8) -> DeadReason {
    match number {
        0 => DeadReason::Attempts,
        1 => DeadReason::BadPayload,
        2 => DeadReason::Crashed,
        3 => DeadReason::Deadline,
        4 => DeadReason::Deferrals,
        _ => DeadReason::Permanent,
    }
}

impl Row {
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> Result<Self> {
        let id = row.get(0)?;
        Ok(Self {
            id,
            queue: row.get(1)?,
            batch: row.get(2)?,
            prio: row.get(3)?,
            state: state(row.get(4)?, id)?,
            at: time(row.get(5)?),
            fence: Fence::new(row.get::<_, i64>(6)?.cast_unsigned()),
            worker: row.get(7)?,
            attempt: row.get(8)?,
            crashes: row.get(9)?,
            deferrals: row.get(10)?,
            cancel: row.get(11)?,
            deadline: row.get::<_, Option<i64>>(12)?.map(time),
        })
    }

    /// The row of this job.
    pub(crate) fn find(tx: &Tx<'_>, id: JobId) -> Result<Option<Self>> {
        let mut find =
            tx.statement(concat!("SELECT ", row_columns!(), " FROM job WHERE uid = ?1"))?;
        let mut rows = find.query([id.as_bytes()])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// The row of a lease that holds, or why it does not.
    pub(crate) fn held(tx: &Tx<'_>, lease: JobLease) -> Result<std::result::Result<Self, Settled>> {
        Ok(match Self::find(tx, lease.id)? {
            None => Err(Settled::Gone),
            Some(row) if row.fence != lease.fence => Err(Settled::Stale),
            Some(row) if row.state == JobState::Leased => Ok(row),
            // Reaping raises the fence, so only a settlement can have ended this lease.
            Some(_) => Err(Settled::AlreadyDone),
        })
    }

    /// Where the job really stands: waiting jobs of a cancelled batch are cancelled.
    pub(crate) fn shown_state(&self, tx: &mut Tx<'_>) -> Result<JobState> {
        let hidden = crate::tx::waits(self.state) && tx.batch_cancelled(self.batch)?;
        Ok(if hidden { JobState::Cancelled } else { self.state })
    }

    /// Whether the job or its batch was cancelled.
    pub(crate) fn is_cancelled(&self, tx: &mut Tx<'_>) -> Result<bool> {
        Ok(self.cancel || tx.batch_cancelled(self.batch)?)
    }

    /// Lets the job wait until `at`.
    pub(crate) fn put_in_line(mut self, tx: &mut Tx<'_>, at: Timestamp) -> Result<()> {
        let state = if at <= tx.now() { JobState::Ready } else { JobState::Scheduled };
        let before = std::mem::replace(&mut self.state, state);
        self.at = at;
        self.worker = 0;
        self.write(tx, before)?;
        if state == JobState::Ready {
            tx.open_line(self.queue, self.prio, self.batch)?;
        } else {
            tx.wake_waiting();
        }
        Ok(())
    }

    /// Ends the job for good.
    pub(crate) fn end(mut self, tx: &mut Tx<'_>, state: JobState, at: Timestamp) -> Result<()> {
        let before = std::mem::replace(&mut self.state, state);
        self.at = at;
        self.worker = 0;
        tx.tally.touch(self.queue, self.batch);
        self.write(tx, before)
    }

    /// Writes all that can change.
    pub(crate) fn write(&self, tx: &mut Tx<'_>, before: JobState) -> Result<()> {
        if before != self.state {
            tx.count(self.queue, self.batch, before, -1)?;
            tx.count(self.queue, self.batch, self.state, 1)?;
        }
        tx.statement(
            "UPDATE job SET state = ?2, at = ?3, fence = ?4, worker = ?5, attempt = ?6,
             crashes = ?7, deferrals = ?8, cancel = ?9, deadline = ?10 WHERE id = ?1",
        )?
        .execute(params![
            self.id,
            number(self.state),
            millis(self.at),
            self.fence.get().cast_signed(),
            self.worker,
            self.attempt,
            self.crashes,
            self.deferrals,
            self.cancel,
            self.deadline.map(millis),
        ])?;
        Ok(())
    }

    /// Drops the row.
    pub(crate) fn drop(self, tx: &mut Tx<'_>) -> Result<()> {
        for text in [
            "DELETE FROM job WHERE id = ?1",
            "DELETE FROM job_body WHERE id = ?1",
            "DELETE FROM job_note WHERE id = ?1",
        ] {
            tx.statement(text)?.execute([self.id])?;
        }
        tx.tally.stored(self.queue, self.batch, -1);
        tx.tally.dropped(self.state);
        Ok(())
    }

    /// Another live job with this key, as the index sees it.
    pub(crate) fn twin(tx: &Tx<'_>, queue: i64, key: &[u8]) -> Result<Option<(Self, JobId)>> {
        let mut find = tx.statement(concat!(
            "SELECT ",
            row_columns!(),
            ", job.uid FROM job WHERE queue = ?1 AND ukey = ?2 AND ukey IS NOT NULL AND state < 3"
        ))?;
        let mut rows = find.query(params![queue, key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some((Self::read(row)?, JobId::from_bytes(row.get(13)?))))
    }

    /// The key that this job is unique by.
    pub(crate) fn key(&self, tx: &Tx<'_>) -> Result<Option<Vec<u8>>> {
        let mut read = tx.statement("SELECT ukey FROM job WHERE id = ?1")?;
        Ok(read.query_row([self.id], |row| row.get(0)).optional()?.flatten())
    }
}

/// What most jobs do not have: a result, a note, a reason.
#[derive(Debug, Default)]
pub(crate) struct Note<'a> {
    pub(crate) reason: Option<DeadReason>,
    pub(crate) result: Option<&'a Bytes>,
    pub(crate) note: &'a str,
}

impl Note<'_> {
    /// Keeps it with the job. What is empty takes no place.
    pub(crate) fn write(&self, tx: &Tx<'_>, id: i64) -> Result<()> {
        let result = self.result.filter(|result| !result.is_empty());
        if self.reason.is_none() && result.is_none() && self.note.is_empty() {
            return Ok(());
        }
        // An ending keeps the note of the failure before it.
        tx.statement(
            "INSERT INTO job_note (id, reason, result, note) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET reason = ?2, result = ?3, note = ifnull(?5, note)",
        )?
        .execute(params![
            id,
            self.reason.map(reason_number),
            result.map(|result| &result[..]),
            self.note,
            (!self.note.is_empty()).then_some(self.note),
        ])?;
        Ok(())
    }
}
