//! A batch and its counts.

use super::table::Slot;
use crate::clock::Timestamp;
use crate::id::BatchId;
use crate::queue::{JobCounts, JobState};

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    pub(super) paused: bool,
    pub(super) cancelled: bool,
    /// Counts by queue, so that cancelling takes one step per queue.
    pub(super) counts: Vec<Share>,
    /// Rows that still exist.
    pub(super) rows: usize,
    pub(super) created_at: Timestamp,
    pub(super) changed_at: Timestamp,
}

/// What a batch has in one queue.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) queue: Slot,
    pub(super) counts: JobCounts,
    /// Rows that still wait although the batch is cancelled; they count as cancelled.
    pub(super) hidden: JobCounts,
}

impl Batch {
    pub(super) fn share(&mut self, queue: Slot) -> &mut Share {
        let index = self.counts.iter().position(|share| share.queue == queue);
        let index = index.unwrap_or_else(|| {
            let (counts, hidden) = (JobCounts::default(), JobCounts::default());
            self.counts.push(Share { queue, counts, hidden });
            self.counts.len() - 1
        });
        &mut self.counts[index]
    }

    pub(super) fn total(&self) -> JobCounts {
        let mut total = JobCounts::default();
        for Share { counts, .. } in &self.counts {
            for state in STATES {
                *total.of(state) += *counts.clone().of(state);
            }
        }
        total
    }
}

const STATES: [JobState; 6] = [
    JobState::Cancelled,
    JobState::Dead,
    JobState::Done,
    JobState::Leased,
    JobState::Ready,
    JobState::Scheduled,
];
