//! The queue as plain data: every method is one atomic step at a given time.
//!
//! Rows lie in a table. Each waiting row stands in exactly one of its queue's orders (`ready` or
//! `scheduled`), each leased one in `leases`, each ended one in one of the two logs.

mod admin;
mod batch;
mod end;
mod enqueue;
mod lease;
mod line;
mod row;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use self::batch::Batch;
use self::line::Queue;
use self::row::Row;
use self::table::{Slot, Table};
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId, WorkerId};
use crate::queue::{JobCounts, JobState, QueueName, Retention, WORKERS_KEPT};

#[derive(Debug)]
pub(super) struct State {
    retention: Retention,
    rows: Table<JobId, Row>,
    queues: Table<QueueName, Queue>,
    batches: Table<BatchId, Batch>,
    /// Batches that were cancelled while rows of theirs still waited.
    cancelled: VecDeque<Slot>,
    /// Who holds which row, and until when.
    leases: BTreeMap<(Timestamp, Slot), WorkerId>,
    /// Ended rows in the order of their ending, with the time; entries of rows that live again or
    /// are gone are skipped.
    done_log: VecDeque<(Timestamp, JobId)>,
    dead_log: VecDeque<(Timestamp, JobId)>,
    /// Ended rows, apart from entries that are skipped: done ones, and the others.
    kept: [usize; 2],
    /// The last sign of life of each worker.
    workers: BTreeMap<WorkerId, Timestamp>,
    sequence: u64,
}

impl State {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            rows: Table::new(),
            queues: Table::new(),
            batches: Table::new(),
            cancelled: VecDeque::new(),
            leases: BTreeMap::new(),
            done_log: VecDeque::new(),
            dead_log: VecDeque::new(),
            kept: [0; 2],
            workers: BTreeMap::new(),
            sequence: 0,
        }
    }

    fn queue(&mut self, name: &QueueName) -> Slot {
        if let Some(queue) = self.queues.slot(name) {
            return queue;
        }
        let queue = Queue {
            name: name.clone(),
            paused: false,
            max_len: None,
            counts: JobCounts::default(),
            ready: BTreeMap::new(),
            scheduled: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            unique: HashMap::new(),
        };
        self.queues.insert(name.clone(), queue)
    }

    fn batch(&mut self, id: BatchId, now: Timestamp) -> Slot {
        if let Some(batch) = self.batches.slot(&id) {
            return batch;
        }
        let batch = Batch {
            id,
            paused: false,
            cancelled: false,
            counts: Vec::new(),
            rows: 0,
            created_at: now,
            changed_at: now,
        };
        self.batches.insert(id, batch)
    }

    /// Changes the counters of a row's state by one.
    fn count(&mut self, row: Slot, state: JobState, by: i64) {
        let Row { queue, batch, .. } = self.rows[row];
        let change = |count: &mut u64| *count = count.saturating_add_signed(by);
        change(self.queues[queue].counts.of(state));
        if let Some(batch) = batch {
            change(self.batches[batch].share(queue).counts.of(state));
        }
    }

    fn set_state(&mut self, row: Slot, state: JobState) {
        // A waiting row of a cancelled batch has been counted as cancelled already.
        self.count(row, self.state_of(row), -1);
        self.hide(row, -1);
        self.rows[row].state = state;
        self.hide(row, 1);
        self.count(row, self.state_of(row), 1);
    }

    /// Changes the count of waiting rows of a cancelled batch by one, if the row is one.
    fn hide(&mut self, row: Slot, by: i64) {
        let Row { queue, batch, state, .. } = self.rows[row];
        let waits = matches!(state, JobState::Ready | JobState::Scheduled);
        if let Some(batch) = batch.filter(|batch| waits && self.batches[*batch].cancelled) {
            let hidden = self.batches[batch].share(queue).hidden.of(state);
            *hidden = hidden.saturating_add_signed(by);
        }
    }

    /// Where a row really stands: waiting rows of a cancelled batch are cancelled.
    fn state_of(&self, row: Slot) -> JobState {
        let Row { state, batch, .. } = self.rows[row];
        let waits = matches!(state, JobState::Ready | JobState::Scheduled);
        if waits && batch.is_some_and(|batch| self.batches[batch].cancelled) {
            return JobState::Cancelled;
        }
        state
    }

    fn is_cancelled(&self, row: Slot) -> bool {
        let Row { cancel, batch, .. } = self.rows[row];
        cancel || batch.is_some_and(|batch| self.batches[batch].cancelled)
    }

    /// Lets a row wait until `at`. It must stand in no order.
    fn put_in_line(&mut self, row: Slot, at: Timestamp, now: Timestamp) {
        let state = if at <= now { JobState::Ready } else { JobState::Scheduled };
        self.set_state(row, state);
        let waiting = &mut self.rows[row];
        waiting.at = at;
        let Row { queue, batch, priority, sequence, .. } = *waiting;
        let deadline = waiting.deadline();
        let queue = &mut self.queues[queue];
        if state == JobState::Ready {
            queue.ready.entry(priority).or_default().insert(batch, sequence, row);
        } else {
            queue.scheduled.insert((at, row));
        }
        if let Some(deadline) = deadline {
            queue.deadlines.insert((deadline, row));
        }
    }

    /// Takes a row out of whatever order it stands in.
    fn take_out_of_line(&mut self, row: Slot) {
        let leaving = &self.rows[row];
        let Row { queue, batch, priority, sequence, at, state, .. } = *leaving;
        let deadline = leaving.deadline();
        let queue = &mut self.queues[queue];
        match state {
            JobState::Ready => {
                if let Some(level) = queue.ready.get_mut(&priority) {
                    level.remove(batch, sequence);
                    if level.rows.is_empty() {
                        queue.ready.remove(&priority);
                    }
                }
            }
            JobState::Scheduled => {
                queue.scheduled.remove(&(at, row));
            }
            JobState::Leased => {
                self.leases.remove(&(at, row));
            }
            JobState::Cancelled | JobState::Dead | JobState::Done => {}
        }
        if let Some(deadline) = deadline {
            queue.deadlines.remove(&(deadline, row));
        }
    }

    /// Notes a sign of life.
    pub(super) fn alive(&mut self, worker: &WorkerId, now: Timestamp) {
        match self.workers.get_mut(worker) {
            Some(seen) => *seen = now,
            None => _ = self.workers.insert(worker.clone(), now),
        }
    }

    /// Forgets workers that gave no sign of life for long.
    pub(super) fn forget_workers(&mut self, now: Timestamp) {
        self.workers.retain(|_, seen| *seen + WORKERS_KEPT > now);
    }
}
