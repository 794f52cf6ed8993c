//! What is kept of one job.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::id::{Fence, JobId, WorkerId};
use crate::queue::JobState;
use crate::retry::DeadReason;

#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: JobId,
    pub(super) payload: Bytes,
    pub(super) batch: Option<usize>,
    pub(super) queue: usize,
    pub(super) state: JobState,
    pub(super) priority: u8,
    pub(super) cancel: bool,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) deferrals: u32,
    pub(super) fence: Fence,
    pub(super) sequence: u64,
    pub(super) enqueued_at: Timestamp,
    pub(super) at: Timestamp,
    pub(super) deadline: Option<Timestamp>,
    /// Who holds it.
    pub(super) worker: Option<WorkerId>,
    /// What most rows do not have.
    pub(super) extra: Option<Box<Extra>>,
}

#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) result: Option<Bytes>,
    pub(super) note: String,
    pub(super) dead_reason: Option<DeadReason>,
    pub(super) unique: Option<Bytes>,
}

impl Row {
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}
