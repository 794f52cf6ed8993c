//! How jobs come in.

use super::State;
use super::line::Queue;
use super::row::{Extra, Row};
use super::table::Slot;
use crate::clock::Timestamp;
use crate::id::Fence;
use crate::queue::{Enqueued, JobPast, JobState, NewJob};

impl State {
    pub(in super::super) fn enqueue(&mut self, job: NewJob, now: Timestamp) -> Enqueued {
        if self.rows.slot(&job.id).is_some() {
            return Enqueued::Duplicate { existing: job.id };
        }
        let queue = self.queue(&job.queue);
        let past = job.past.as_deref();
        let ended = past.is_some_and(|past| past.state.is_final());
        let twin = job.unique.as_ref().and_then(|key| self.queues[queue].unique.get(key)).copied();
        if let Some(twin) = twin.filter(|_| !ended)
            && !self.state_of(twin).is_final()
        {
            return Enqueued::Duplicate { existing: self.rows[twin].id };
        }
        let Queue { max_len, counts, .. } = &self.queues[queue];
        if !ended && max_len.is_some_and(|max| counts.live() >= max as u64) {
            return Enqueued::Full;
        }
        if let Some(twin) = twin.filter(|_| !ended) {
            // Its batch was cancelled: it ends now, for its key is needed.
            self.end(twin, JobState::Cancelled, now);
        }
        let batch = job.batch.map(|id| self.batch(id, now));
        if let Some(batch) = batch {
            let batch = &mut self.batches[batch];
            batch.changed_at = batch.changed_at.max(now);
        }
        self.sequence += 1;
        let deadline =
            past.map_or_else(|| job.deadline.map(|span| now + span), |past| past.deadline);
        let extra = (deadline.is_some() || job.unique.is_some())
            .then(|| Box::new(Extra { deadline, unique: job.unique.clone(), ..Extra::default() }));
        let row = Row {
            id: job.id,
            payload: job.payload.as_ref().into(),
            batch,
            queue,
            // Counted below; from here it goes in line, or has ended.
            state: JobState::Cancelled,
            priority: job.priority,
            cancel: false,
            attempt: 0,
            crashes: 0,
            deferrals: 0,
            fence: Fence::default(),
            sequence: self.sequence,
            enqueued_at: now,
            at: now + job.delay,
            extra,
        };
        let row = self.rows.insert(job.id, row);
        if let Some(key) = job.unique.filter(|_| !ended) {
            self.queues[queue].unique.insert(key, row);
        }
        if let Some(batch) = batch {
            self.batches[batch].rows += 1;
        }
        self.count(row, JobState::Cancelled, 1);
        match job.past {
            Some(past) => self.restore(row, *past, now),
            None if self.is_cancelled(row) => self.end(row, JobState::Cancelled, now),
            None => self.put_in_line(row, now + job.delay, now),
        }
        Enqueued::Inserted
    }

    /// Gives a new row the past that it had in another store.
    fn restore(&mut self, row: Slot, past: JobPast, now: Timestamp) {
        let cancelled = self.is_cancelled(row);
        let at = &mut self.rows[row];
        at.attempt = past.attempt;
        at.crashes = past.crashes;
        at.deferrals = past.deferrals;
        at.fence = past.fence;
        at.enqueued_at = past.enqueued_at;
        if !past.note.is_empty() || past.dead_reason.is_some() || past.result.is_some() {
            let extra = at.extra();
            extra.note = past.note;
            extra.dead_reason = past.dead_reason;
            extra.result = past.result.filter(|result| !result.is_empty());
        }
        match past.state {
            state if state.is_final() => self.end(row, state, past.at),
            _ if cancelled => self.end(row, JobState::Cancelled, now),
            JobState::Scheduled => self.put_in_line(row, past.at, now),
            // Nobody holds here what somebody held there.
            _ => self.put_in_line(row, now, now),
        }
    }
}
