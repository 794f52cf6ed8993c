//! How jobs end, and how long they are kept then.

use super::State;
use super::line::Level;
use super::row::Row;
use super::table::Slot;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::queue::{JobState, Outcome, Retention, Settled, Settlement};

impl State {
    pub(in super::super) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Settled {
        let row = match self.held(settlement.lease) {
            Ok(row) => row,
            Err(reply) => return reply,
        };
        self.take_out_of_line(row);
        let cancelled = self.is_cancelled(row);
        match settlement.outcome {
            Outcome::Done { result } => {
                if !result.is_empty() {
                    self.rows[row].extra().result = Some(result);
                }
                self.end(row, JobState::Done, now);
            }
            Outcome::Dead { reason, result } => {
                let extra = self.rows[row].extra();
                extra.result = Some(result);
                extra.dead_reason = Some(reason);
                self.end(row, JobState::Dead, now);
            }
            // A cancellation wins over everything that would run the job again.
            Outcome::Cancelled
            | Outcome::Defer { .. }
            | Outcome::Release { .. }
            | Outcome::Retry { .. }
                if cancelled =>
            {
                self.end(row, JobState::Cancelled, now)
            }
            Outcome::Cancelled => self.end(row, JobState::Cancelled, now),
            Outcome::Release { after } => self.put_in_line(row, now + after, now),
            Outcome::Defer { after, note } => {
                self.rows[row].deferrals += 1;
                self.rows[row].extra().note = note;
                self.put_in_line(row, now + after, now);
            }
            Outcome::Retry { after, note } => {
                self.rows[row].attempt += 1;
                self.rows[row].extra().note = note;
                self.put_in_line(row, now + after, now);
            }
        }
        Settled::Applied
    }

    /// Ends a row for good.
    pub(super) fn end(&mut self, row: Slot, state: JobState, now: Timestamp) {
        self.take_out_of_line(row);
        self.set_state(row, state);
        let ended = &mut self.rows[row];
        ended.at = now;
        let (id, queue, batch) = (ended.id, ended.queue, ended.batch);
        if let Some(key) = ended.unique()
            && self.queues[queue].unique.get(key) == Some(&row)
        {
            self.queues[queue].unique.remove(key);
        }
        if let Some(batch) = batch {
            self.batches[batch].changed_at = now;
        }
        let log = if state == JobState::Done { &mut self.done_log } else { &mut self.dead_log };
        log.push_back((now, id));
        self.kept[usize::from(state != JobState::Done)] += 1;
    }

    /// Ends waiting rows of cancelled batches, which were counted as cancelled all along.
    pub(in super::super) fn sweep_cancelled(&mut self, budget: usize, now: Timestamp) -> usize {
        let mut swept = 0;
        while let Some(&batch) = self.cancelled.front() {
            let of_batch = |level: &Level| level.rows.get(&Some(batch))?.values().next().copied();
            let of = &self.batches[batch];
            let queues = of.counts.iter().map(|share| &self.queues[share.queue]);
            let next = queues.flat_map(|queue| queue.ready.values()).find_map(of_batch);
            match next.filter(|_| of.cancelled) {
                Some(_) if swept >= budget => break,
                Some(row) => {
                    self.end(row, JobState::Cancelled, now);
                    swept += 1;
                }
                // Scheduled rows follow when they become due.
                None => {
                    self.cancelled.pop_front();
                }
            }
        }
        swept
    }

    pub(in super::super) fn prune(&mut self, budget: usize, now: Timestamp) -> usize {
        let Retention { done, dead, done_for, dead_for } = self.retention;
        let mut pruned = 0;
        for (state_is_done, keep, age) in [(true, done, done_for), (false, dead, dead_for)] {
            while pruned < budget {
                let log = if state_is_done { &mut self.done_log } else { &mut self.dead_log };
                let Some(&(at, id)) = log.front() else { break };
                let kept = self.kept[usize::from(!state_is_done)];
                if kept <= keep && at + age > now {
                    break;
                }
                log.pop_front();
                if let Some(row) = self.rows.slot(&id) {
                    let Row { state, at: ended_at, .. } = self.rows[row];
                    if state.is_final() && ended_at == at {
                        self.drop_row(id, now);
                        pruned += 1;
                    }
                }
            }
        }
        pruned
    }

    /// Drops a row that has ended.
    pub(super) fn drop_row(&mut self, id: JobId, now: Timestamp) {
        let Some(row) = self.rows.remove(&id) else { return };
        self.kept[usize::from(row.state != JobState::Done)] -= 1;
        if let Some(index) = row.batch {
            let batch = &mut self.batches[index];
            batch.rows -= 1;
            // A batch is remembered as long as its jobs would be; a large one outlives their count.
            let old =
                batch.changed_at + self.retention.done_for.max(self.retention.dead_for) <= now;
            if batch.rows == 0 && old && !self.cancelled.contains(&index) {
                let id = batch.id;
                self.batches.remove(&id);
            }
        }
    }
}
