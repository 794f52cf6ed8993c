//! What a call sees while it runs inside the writer's transaction.

use std::collections::{HashMap, HashSet};

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use story_checker_core::queue::{JobState, QueueName};
use story_checker_core::{BatchId, Timestamp, WorkerId};

use crate::error::{Fail, corrupt};
use crate::tally::Tally;
use crate::time::{Anchor, HostClock, HostTime};

type Result<T> = std::result::Result<T, Fail>;

/// The last known time is noted at most this often.
const TICK: u64 = 1_000;

/// A transaction: the connection, the time, and what was looked up already.
pub(crate) struct Tx<'c> {
    sql: &'c Connection,
    now: Timestamp,
    host: HostTime,
    anchor: Anchor,
    queues: HashMap<QueueName, Queue>,
    batches: HashMap<i64, Batch>,
    batch_ids: HashMap<BatchId, i64>,
    lines: HashSet<(i64, u8, i64)>,
    pub(crate) tally: Tally,
    wake: bool,
}

/// A queue, without its counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(crate) id: i64,
    pub(crate) paused: bool,
    pub(crate) max_len: Option<u64>,
}

/// A batch, without its counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(crate) uid: BatchId,
    pub(crate) paused: bool,
    pub(crate) cancelled: bool,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(sql: &'c Connection, clock: &dyn HostClock) -> Result<Self> {
        let host = clock.read();
        let stored = read_anchor(sql)?;
        let mut anchor = stored.unwrap_or_default();
        // A new file has no anchor: as if the machine had been restarted since.
        let (now, moved) = match stored {
            Some(anchor) => anchor.now(host),
            None => Anchor { boot: !host.boot, ..anchor }.now(host),
        };
        if let Some(moved) = moved {
            anchor = moved;
            write_anchor(sql, &anchor)?;
        } else if now.as_millis() >= anchor.tick + TICK {
            let mut tick = sql.prepare_cached("UPDATE clock SET tick = ?1 WHERE id = 1")?;
            tick.execute([now.as_millis().cast_signed()])?;
            anchor.tick = now.as_millis();
        }
        Ok(Self {
            sql,
            now,
            host,
            anchor,
            queues: HashMap::new(),
            batches: HashMap::new(),
            batch_ids: HashMap::new(),
            lines: HashSet::new(),
            tally: Tally::default(),
            wake: false,
        })
    }

    /// The store's time: one for the whole transaction.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether waiting workers are to be woken after the commit.
    pub(crate) const fn wake(&self) -> bool {
        self.wake
    }

    pub(crate) const fn wake_waiting(&mut self) {
        self.wake = true;
    }

    pub(crate) fn statement(&self, text: &str) -> Result<CachedStatement<'c>> {
        Ok(self.sql.prepare_cached(text)?)
    }

    /// The id of the row that was inserted last.
    pub(crate) fn inserted(&self) -> i64 {
        self.sql.last_insert_rowid()
    }

    /// Lets the store's clock go slowly towards the wall clock, if it is off.
    pub(crate) fn correct_clock(&mut self) -> Result<()> {
        if let Some(anchor) = self.anchor.corrected(self.host) {
            write_anchor(self.sql, &anchor)?;
            self.anchor = anchor;
        }
        Ok(())
    }

    /// Gives free pages at the end of the file back to the file system, a few at a time.
    pub(crate) fn shrink(&self, pages: u32) -> Result<()> {
        let mut shrink = self.statement(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = shrink.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// The queue of this name; made if there is none.
    pub(crate) fn queue(&mut self, name: &QueueName) -> Result<Queue> {
        if let Some(queue) = self.queues.get(name) {
            return Ok(*queue);
        }
        let text = "SELECT id, paused, max_len FROM queue WHERE name = ?1";
        let read = |row: &Row<'_>| {
            let max_len = row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned);
            Ok(Queue { id: row.get(0)?, paused: row.get(1)?, max_len })
        };
        let known = self.statement(text)?.query_row([name.as_str()], read).optional()?;
        let queue = match known {
            Some(queue) => queue,
            None => {
                self.statement("INSERT INTO queue (name) VALUES (?1)")?.execute([name.as_str()])?;
                Queue { id: self.inserted(), paused: false, max_len: None }
            }
        };
        self.queues.insert(name.clone(), queue);
        Ok(queue)
    }

    /// Forgets what is known of queues and batches: their settings have changed.
    pub(crate) fn forget(&mut self) {
        self.queues.clear();
        self.batches.clear();
        self.batch_ids.clear();
        self.lines.clear();
    }

    /// The row of this batch; none if it is unknown.
    pub(crate) fn find_batch(&mut self, uid: BatchId) -> Result<Option<i64>> {
        if let Some(id) = self.batch_ids.get(&uid) {
            return Ok(Some(*id));
        }
        let mut find = self.statement("SELECT id FROM batch WHERE uid = ?1")?;
        let id = find.query_row([uid.as_bytes()], |row| row.get(0)).optional()?;
        if let Some(id) = id {
            self.batch_ids.insert(uid, id);
        }
        Ok(id)
    }

    /// The row of this batch; made if there is none.
    pub(crate) fn make_batch(&mut self, uid: BatchId) -> Result<i64> {
        if let Some(id) = self.find_batch(uid)? {
            return Ok(id);
        }
        let mut make = self.statement("INSERT INTO batch (uid, created_at) VALUES (?1, ?2)")?;
        make.execute(params![uid.as_bytes(), millis(self.now)])?;
        let id = self.inserted();
        self.batch_ids.insert(uid, id);
        Ok(id)
    }

    /// What is known of a batch; 0 is no batch, and neither paused nor cancelled.
    pub(crate) fn batch(&mut self, id: i64) -> Result<Option<Batch>> {
        if id == 0 {
            return Ok(None);
        }
        if let Some(batch) = self.batches.get(&id) {
            return Ok(Some(*batch));
        }
        let mut read = self.statement("SELECT uid, paused, cancelled FROM batch WHERE id = ?1")?;
        let batch = read.query_row([id], |row| {
            let uid = BatchId::from_bytes(row.get(0)?);
            Ok(Batch { uid, paused: row.get(1)?, cancelled: row.get(2)? })
        });
        let Some(batch) = batch.optional()? else {
            return Err(corrupt("read a batch", format!("batch number {id} is missing")));
        };
        self.batches.insert(id, batch);
        Ok(Some(batch))
    }

    /// Whether the batch was cancelled.
    pub(crate) fn batch_cancelled(&mut self, id: i64) -> Result<bool> {
        Ok(self.batch(id)?.is_some_and(|batch| batch.cancelled))
    }

    /// Notes a sign of life; returns the worker's row.
    pub(crate) fn alive(&mut self, worker: &WorkerId) -> Result<i64> {
        let mut note = self.statement(
            "INSERT INTO worker (name, seen_at) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET seen_at = ?2 RETURNING id",
        )?;
        Ok(note.query_row(params![worker.as_str(), millis(self.now)], |row| row.get(0))?)
    }

    /// Sees that a job that becomes ready has a line to stand in.
    pub(crate) fn open_line(&mut self, queue: i64, prio: u8, batch: i64) -> Result<()> {
        self.wake = true;
        if self.lines.contains(&(queue, prio, batch)) {
            return Ok(());
        }
        let open = self.batch(batch)?.is_none_or(|batch| !batch.paused && !batch.cancelled);
        let mut make = self.statement(
            "INSERT INTO line (queue, prio, batch, turn, open) VALUES (?1, ?2, ?3, 1 + coalesce(
                (SELECT max(turn) FROM line WHERE queue = ?1 AND open = 1 AND prio = ?2), 0), ?4)
             ON CONFLICT DO NOTHING",
        )?;
        make.execute(params![queue, prio, batch, open])?;
        self.lines.insert((queue, prio, batch));
        Ok(())
    }

    /// Drops a line in which nobody stands any more.
    pub(crate) fn drop_line(&mut self, queue: i64, prio: u8, batch: i64) -> Result<()> {
        let text = "DELETE FROM line WHERE queue = ?1 AND prio = ?2 AND batch = ?3";
        self.statement(text)?.execute(params![queue, prio, batch])?;
        self.lines.remove(&(queue, prio, batch));
        Ok(())
    }

    /// Changes the count of a job's state by one; waiting jobs of a cancelled batch count as
    /// cancelled.
    pub(crate) fn count(&mut self, queue: i64, batch: i64, state: JobState, by: i64) -> Result<()> {
        let hidden = waits(state) && self.batch_cancelled(batch)?;
        self.tally.count(queue, batch, state, hidden, by);
        Ok(())
    }

    /// Writes what was counted: every call does it before it ends. Returns the batches that have
    /// fewer rows now.
    pub(crate) fn write_tally(&mut self) -> Result<Vec<i64>> {
        let tally = std::mem::take(&mut self.tally);
        Ok(tally.write(self.sql, millis(self.now))?)
    }
}

pub(crate) const fn waits(state: JobState) -> bool {
    matches!(state, JobState::Ready | JobState::Scheduled)
}

/// A time as it is stored.
pub(crate) const fn millis(at: Timestamp) -> i64 {
    at.as_millis().cast_signed()
}

/// A time as it was stored.
pub(crate) const fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(if millis < 0 { 0 } else { millis.cast_unsigned() })
}

/// The store's time for somebody who only reads.
pub(crate) fn read_now(sql: &Connection, clock: &dyn HostClock) -> rusqlite::Result<Timestamp> {
    let host = clock.read();
    Ok(read_anchor(sql)?.map_or(host.wall, |anchor| anchor.now(host).0))
}

fn read_anchor(sql: &Connection) -> rusqlite::Result<Option<Anchor>> {
    let text = "SELECT boot, since_boot, store, slew, tick FROM clock WHERE id = 1";
    let read = |row: &Row<'_>| {
        Ok(Anchor {
            boot: u128::from_be_bytes(row.get(0)?),
            since_boot: row.get::<_, i64>(1)?.cast_unsigned(),
            store: row.get::<_, i64>(2)?.cast_unsigned(),
            slew: row.get(3)?,
            tick: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    };
    sql.prepare_cached(text)?.query_row([], read).optional()
}

fn write_anchor(sql: &Connection, anchor: &Anchor) -> rusqlite::Result<()> {
    let Anchor { boot, since_boot, store, slew, tick } = *anchor;
    sql.prepare_cached("INSERT OR REPLACE INTO clock VALUES (1, ?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            boot.to_be_bytes(),
            since_boot.cast_signed(),
            store.cast_signed(),
            slew,
            tick.cast_signed()
        ])
        .map(drop)
}
