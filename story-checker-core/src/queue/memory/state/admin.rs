//! What an operator does with the queue: change it and look at it.

use std::ops::Bound;

use super::super::super::{
    Altered, BatchStats, JobFilter, JobState, JobView, Page, QueueControl, QueueName, QueueStats,
    Stats, StatsQuery,
};
use super::{Batch, Extra, Queue, State};
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId};

impl State {
    pub(in super::super) fn cancel(&mut self, id: JobId, now: Timestamp) -> bool {
        let Some(&row) = self.by_id.get(&id) else { return false };
        match self.state_of(row) {
            JobState::Leased => self.rows[row].cancel = true,
            JobState::Ready | JobState::Scheduled => self.end(row, JobState::Cancelled, now),
            JobState::Cancelled | JobState::Dead | JobState::Done => return false,
        }
        true
    }

    pub(in super::super) fn delete(&mut self, id: JobId) -> bool {
        let Some(&row) = self.by_id.get(&id) else { return false };
        let ended = self.rows[row].state.is_final();
        if ended {
            let at = self.rows[row].at;
            self.drop_row(row, at);
        }
        ended
    }

    pub(in super::super) fn replay(&mut self, id: JobId, now: Timestamp) -> bool {
        let Some(&row) = self.by_id.get(&id) else { return false };
        let again = &mut self.rows[row];
        let batch_cancelled = again.batch.is_some_and(|batch| self.batches[batch].cancelled);
        if !matches!(again.state, JobState::Dead | JobState::Cancelled) || batch_cancelled {
            return false;
        }
        if let Some(key) = again.extra.as_ref().and_then(|extra| extra.unique.clone()) {
            let queue = &mut self.queues[again.queue];
            if queue.unique.contains_key(&key) {
                return false;
            }
            queue.unique.insert(key, row);
        }
        again.attempt = 0;
        again.crashes = 0;
        again.deferrals = 0;
        again.cancel = false;
        again.deadline = None;
        if let Some(extra) = &mut again.extra {
            **extra = Extra { unique: extra.unique.take(), ..Extra::default() };
        }
        self.put_in_line(row, now, now);
        true
    }

    pub(in super::super) fn cancel_batch(&mut self, id: BatchId) -> Altered {
        let Some(&index) = self.batch_index.get(&id) else {
            return Altered { changed: 0, refused: 1 };
        };
        let batch = &mut self.batches[index];
        if std::mem::replace(&mut batch.cancelled, true) {
            return Altered::default();
        }
        let mut changed = 0;
        for (queue, counts) in &mut batch.counts {
            let (ready, scheduled) = (counts.ready, counts.scheduled);
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

    pub(in super::super) fn pause_batch(&mut self, id: BatchId, paused: bool) -> Altered {
        let Some(&index) = self.batch_index.get(&id) else {
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
        let &index = self.by_id.get(&id)?;
        let row = &self.rows[index];
        let extra = row.extra.as_deref();
        Some(JobView {
            id,
            queue: self.queues[row.queue].name.clone(),
            batch: row.batch.map(|batch| self.batches[batch].id),
            priority: row.priority,
            state: self.state_of(index),
            dead_reason: extra.and_then(|extra| extra.dead_reason),
            payload: row.payload.clone(),
            // An empty result needs no place of its own.
            result: matches!(row.state, JobState::Dead | JobState::Done)
                .then(|| extra.and_then(|extra| extra.result.clone()).unwrap_or_default()),
            note: extra.map(|extra| extra.note.clone()).unwrap_or_default(),
            attempt: row.attempt,
            crashes: row.crashes,
            deferrals: row.deferrals,
            fence: row.fence,
            worker: row.worker.clone(),
            enqueued_at: row.enqueued_at,
            at: row.at,
            deadline: row.deadline,
        })
    }

    pub(in super::super) fn list(
        &self,
        filter: &JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Page {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let JobFilter { batch, queue, state } = filter;
        let matches = |row: usize| {
            let at = &self.rows[row];
            batch.is_none_or(|id| at.batch.is_some_and(|index| self.batches[index].id == id))
                && queue.as_ref().is_none_or(|name| self.queues[at.queue].name == *name)
                && state.is_none_or(|state| self.state_of(row) == state)
        };
        let range = self.by_id.range((start, Bound::Unbounded));
        let mut found = range.filter(|(_, row)| matches(**row)).map(|(id, _)| *id);
        let jobs: Vec<_> = found.by_ref().take(limit).filter_map(|id| self.view(id)).collect();
        let next = found.next().and_then(|_| jobs.last().map(|job| job.id));
        Page { jobs, next }
    }

    pub(in super::super) fn stats(&self, query: &StatsQuery) -> Stats {
        match query {
            StatsQuery::Batches(ids) => {
                let known = ids.iter().filter_map(|id| self.batch_index.get(id));
                let of = |index: &usize| {
                    let batch = &self.batches[*index];
                    let Batch { id, cancelled, paused, .. } = *batch;
                    BatchStats { batch: id, counts: batch.total(), cancelled, paused }
                };
                Stats { queues: Vec::new(), batches: known.map(of).collect() }
            }
            StatsQuery::Queues => {
                let of = |queue: &Queue| QueueStats {
                    queue: queue.name.clone(),
                    counts: queue.counts,
                    paused: queue.paused,
                };
                let mut queues: Vec<_> = self.queues.iter().map(of).collect();
                queues.sort_by(|a, b| a.queue.cmp(&b.queue));
                Stats { queues, batches: Vec::new() }
            }
        }
    }
}
