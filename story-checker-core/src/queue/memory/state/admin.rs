//! What an operator does with the queue: change it and look at it.

use bytes::Bytes;

use super::State;
use super::batch::{Batch, Share};
use super::line::Queue;
use super::row::Extra;
use super::table::Slot;
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId, WorkerId};
use crate::queue::{
    Altered, BatchStats, JobCounts, JobFilter, JobState, JobView, Page, QueueControl, QueueName,
    QueueStats, Stats, StatsQuery, WorkerStats,
};

impl State {
    pub(in super::super) fn cancel(&mut self, id: JobId, now: Timestamp) -> bool {
        let Some(row) = self.rows.slot(&id) else { return false };
        match self.state_of(row) {
            JobState::Leased => self.rows[row].cancel = true,
            JobState::Ready | JobState::Scheduled => self.end(row, JobState::Cancelled, now),
            JobState::Cancelled | JobState::Dead | JobState::Done => return false,
        }
        true
    }

    pub(in super::super) fn delete(&mut self, id: JobId, now: Timestamp) -> bool {
        let Some(row) = self.rows.slot(&id) else { return false };
        if !self.state_of(row).is_final() {
            return false;
        }
        if !self.rows[row].state.is_final() {
            // Its batch was cancelled, and maintenance has not come to it yet.
            self.end(row, JobState::Cancelled, now);
        }
        self.drop_row(id, now);
        true
    }

    pub(in super::super) fn replay(&mut self, id: JobId, now: Timestamp) -> bool {
        let Some(row) = self.rows.slot(&id) else { return false };
        let again = &mut self.rows[row];
        let batch_cancelled = again.batch.is_some_and(|batch| self.batches[batch].cancelled);
        if !matches!(again.state, JobState::Dead | JobState::Cancelled) || batch_cancelled {
            return false;
        }
        let unique = again.unique().cloned();
        if let Some(key) = &unique {
            let queue = &mut self.queues[again.queue];
            if queue.unique.contains_key(key) {
                return false;
            }
            queue.unique.insert(key.clone(), row);
        }
        again.attempt = 0;
        again.crashes = 0;
        again.deferrals = 0;
        again.cancel = false;
        again.extra = unique.map(|key| Box::new(Extra { unique: Some(key), ..Extra::default() }));
        self.kept[1] -= 1;
        self.put_in_line(row, now, now);
        true
    }

    pub(in super::super) fn cancel_batch(&mut self, id: BatchId) -> Altered {
        let Some(index) = self.batches.slot(&id) else {
            return Altered { changed: 0, refused: 1 };
        };
        let batch = &mut self.batches[index];
        if std::mem::replace(&mut batch.cancelled, true) {
            return Altered::default();
        }
        let mut changed = 0;
        for Share { queue, counts, hidden } in &mut batch.counts {
            let (ready, scheduled) = (counts.ready, counts.scheduled);
            (hidden.ready, hidden.scheduled) = (ready, scheduled);
            changed += ready + scheduled + counts.leased;
            for counts in [counts, &mut self.queues[*queue].counts] {
                counts.ready -= ready;
                counts.scheduled -= scheduled;
                counts.cancelled += ready + scheduled;
            }
        }
        self.cancelled.push_back(index);
        Altered { changed, refused: 0 }
    }

    /// Lifts the cancellation: what it has not ended yet waits again.
    pub(in super::super) fn replay_batch(&mut self, id: BatchId) -> Altered {
        let Some(index) = self.batches.slot(&id) else {
            return Altered { changed: 0, refused: 1 };
        };
        let batch = &mut self.batches[index];
        batch.cancelled = false;
        let mut changed = 0;
        for Share { queue, counts, hidden } in &mut batch.counts {
            let JobCounts { ready, scheduled, .. } = std::mem::take(hidden);
            changed += ready + scheduled;
            for counts in [counts, &mut self.queues[*queue].counts] {
                counts.ready += ready;
                counts.scheduled += scheduled;
                counts.cancelled -= ready + scheduled;
            }
        }
        Altered { changed, refused: 0 }
    }

    /// Gives a live job another deadline.
    pub(in super::super) fn set_deadline(&mut self, id: JobId, to: Option<Timestamp>) -> bool {
        let Some(row) = self.rows.slot(&id) else { return false };
        let state = self.state_of(row);
        if state.is_final() {
            return false;
        }
        let before = std::mem::replace(&mut self.rows[row].extra().deadline, to);
        let deadlines = &mut self.queues[self.rows[row].queue].deadlines;
        if let Some(before) = before {
            deadlines.remove(&(before, row));
        }
        if let Some(to) = to.filter(|_| state != JobState::Leased) {
            deadlines.insert((to, row));
        }
        true
    }

    pub(in super::super) fn pause_batch(&mut self, id: BatchId, paused: bool) -> Altered {
        let Some(index) = self.batches.slot(&id) else {
            return Altered { changed: 0, refused: 1 };
        };
        self.batches[index].paused = paused;
        Altered { changed: self.batches[index].total().live(), refused: 0 }
    }

    pub(in super::super) fn configure(&mut self, name: &QueueName, control: QueueControl) {
        let index = self.queue(name);
        let queue = &mut self.queues[index];
        queue.paused = control.paused.unwrap_or(queue.paused);
        queue.max_len = control.max_len.unwrap_or(queue.max_len);
    }

    pub(in super::super) fn view(&self, id: JobId) -> Option<JobView> {
        let slot = self.rows.slot(&id)?;
        let row = &self.rows[slot];
        let extra = row.extra.as_deref();
        Some(JobView {
            id,
            queue: self.queues[row.queue].name.clone(),
            batch: row.batch.map(|batch| self.batches[batch].id),
            priority: row.priority,
            state: self.state_of(slot),
            dead_reason: extra.and_then(|extra| extra.dead_reason),
            payload: Bytes::copy_from_slice(&row.payload),
            // An empty result needs no place of its own.
            result: matches!(row.state, JobState::Dead | JobState::Done)
                .then(|| extra.and_then(|extra| extra.result.clone()).unwrap_or_default()),
            note: extra.map(|extra| extra.note.clone()).unwrap_or_default(),
            attempt: row.attempt,
            crashes: row.crashes,
            deferrals: row.deferrals,
            fence: row.fence,
            worker: self.holder(slot).cloned(),
            enqueued_at: row.enqueued_at,
            at: row.at,
            deadline: row.deadline(),
            unique: row.unique().cloned(),
        })
    }

    pub(in super::super) fn list(
        &self,
        filter: &JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Page {
        let JobFilter { batch, queue, state, worker } = filter;
        let matches = |row: Slot| {
            let at = &self.rows[row];
            batch.is_none_or(|id| at.batch.is_some_and(|index| self.batches[index].id == id))
                && queue.as_ref().is_none_or(|name| self.queues[at.queue].name == *name)
                && state.is_none_or(|state| self.state_of(row) == state)
                && (worker.is_none() || self.holder(row) == worker.as_ref())
        };
        let rows = self.rows.after(after);
        let mut found = rows.filter(|(_, row)| matches(*row)).map(|(id, _)| *id);
        let jobs: Vec<_> = found.by_ref().take(limit).filter_map(|id| self.view(id)).collect();
        let next = found.next().and_then(|_| jobs.last().map(|job| job.id));
        Page { jobs, next }
    }

    pub(in super::super) fn stats(&self, query: &StatsQuery) -> Stats {
        let mut stats = Stats::default();
        let batch = |slot: Slot| {
            let batch = &self.batches[slot];
            let Batch { id, cancelled, paused, created_at, changed_at, .. } = *batch;
            BatchStats {
                batch: id,
                counts: batch.total(),
                cancelled,
                paused,
                created_at,
                changed_at,
            }
        };
        match query {
            StatsQuery::Batches(ids) => {
                let known = ids.iter().filter_map(|id| self.batches.slot(id));
                stats.batches = known.map(batch).collect();
            }
            StatsQuery::BatchesAfter { after, limit } => {
                let batches = self.batches.after(*after).take(*limit);
                stats.batches = batches.map(|(_, slot)| batch(slot)).collect();
            }
            StatsQuery::Queues => {
                let of = |Queue { name, counts, paused, max_len, .. }: &Queue| QueueStats {
                    queue: name.clone(),
                    counts: *counts,
                    paused: *paused,
                    max_len: *max_len,
                };
                let queues = self.queues.after(None);
                stats.queues = queues.map(|(_, slot)| of(&self.queues[slot])).collect();
            }
            StatsQuery::Workers => {
                let holds = |worker: &WorkerId| {
                    self.leases.values().filter(|holder| *holder == worker).count() as u64
                };
                let of = |(worker, seen_at): (&WorkerId, &Timestamp)| {
                    WorkerStats::new(worker.clone(), *seen_at, holds(worker))
                };
                stats.workers = self.workers.iter().map(of).collect();
            }
        }
        stats
    }
}
