//! Changes of counts, added up over one call, so that each counter is written once.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use story_checker_core::queue::JobState;

/// The states in the order of their numbers in the file.
pub(crate) const STATES: [JobState; 6] = [
    JobState::Ready,
    JobState::Scheduled,
    JobState::Leased,
    JobState::Done,
    JobState::Dead,
    JobState::Cancelled,
];

/// The number of a state in the file.
pub(crate) const fn number(state: JobState) -> u8 {
    match state {
        JobState::Ready => 0,
        JobState::Scheduled => 1,
        JobState::Leased => 2,
        JobState::Done => 3,
        JobState::Dead => 4,
        // Cancelled; and what a later core may add ends here rather than runs.
        _ => 5,
    }
}

const CANCELLED: usize = 5;

#[derive(Debug, Default)]
struct Change {
    states: [i64; 6],
    hidden: [i64; 2],
    stored: i64,
    touched: bool,
}

/// Changes of the counts of queues and batches, and of ended rows.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    changes: HashMap<(i64, i64), Change>,
    /// Ended rows: done, and the rest.
    kept: [i64; 2],
}

impl Tally {
    fn change(&mut self, queue: i64, batch: i64) -> &mut Change {
        self.changes.entry((queue, batch)).or_default()
    }

    /// Changes the count of `state` by `by`, or of the cancelled if the job is hidden.
    pub(crate) fn count(&mut self, queue: i64, batch: i64, state: JobState, hidden: bool, by: i64) {
        let change = self.change(queue, batch);
        let number = usize::from(number(state));
        if hidden {
            change.hidden[number] += by;
            change.states[CANCELLED] += by;
        } else {
            change.states[number] += by;
        }
        if state.is_final() {
            self.kept[usize::from(state != JobState::Done)] += by;
        }
    }

    /// A row was added (1) or dropped (-1).
    pub(crate) fn stored(&mut self, queue: i64, batch: i64, by: i64) {
        self.change(queue, batch).stored += by;
    }

    /// An ended row was dropped; it still counts for its queue and batch.
    pub(crate) fn dropped(&mut self, state: JobState) {
        self.kept[usize::from(state != JobState::Done)] -= 1;
    }

    /// A job of the batch was enqueued or has ended.
    pub(crate) fn touch(&mut self, queue: i64, batch: i64) {
        if batch != 0 {
            self.change(queue, batch).touched = true;
        }
    }

    /// Live jobs that were added to a queue.
    pub(crate) fn live(&self, queue: i64) -> i64 {
        let of_queue = self.changes.iter().filter(|((of, _), _)| *of == queue);
        of_queue.map(|(_, change)| change.states[..3].iter().sum::<i64>()).sum()
    }

    /// Writes the changes; returns the batches that have fewer rows now.
    pub(crate) fn write(self, sql: &Connection, now: i64) -> rusqlite::Result<Vec<i64>> {
        let mut queues: HashMap<i64, [i64; 6]> = HashMap::new();
        let mut thinned = Vec::new();
        for ((queue, batch), change) in &self.changes {
            let total = queues.entry(*queue).or_default();
            total.iter_mut().zip(change.states).for_each(|(total, by)| *total += by);
            if *batch == 0 {
                continue;
            }
            if change.stored < 0 {
                thinned.push(*batch);
            }
            let [ready, scheduled, leased, done, dead, cancelled] = change.states;
            let changed_at = if change.touched { now } else { 0 };
            sql.prepare_cached(
                "INSERT INTO share VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT DO UPDATE SET ready = ready + ?3, scheduled = scheduled + ?4,
                 leased = leased + ?5, done = done + ?6, dead = dead + ?7,
                 cancelled = cancelled + ?8, hidden_ready = hidden_ready + ?9,
                 hidden_scheduled = hidden_scheduled + ?10, stored = stored + ?11,
                 changed_at = max(changed_at, ?12)",
            )?
            .execute(params![
                batch,
                queue,
                ready,
                scheduled,
                leased,
                done,
                dead,
                cancelled,
                change.hidden[0],
                change.hidden[1],
                change.stored,
                changed_at
            ])?;
        }
        for (queue, [ready, scheduled, leased, done, dead, cancelled]) in queues {
            sql.prepare_cached(
                "UPDATE queue SET ready = ready + ?2, scheduled = scheduled + ?3,
                 leased = leased + ?4, done = done + ?5, dead = dead + ?6,
                 cancelled = cancelled + ?7 WHERE id = ?1",
            )?
            .execute(params![queue, ready, scheduled, leased, done, dead, cancelled])?;
        }
        if self.kept != [0, 0] {
            let text = "UPDATE kept SET done = done + ?1, rest = rest + ?2 WHERE id = 1";
            sql.prepare_cached(text)?.execute(self.kept)?;
        }
        Ok(thinned)
    }
}
