//! What is kept of one job.

use bytes::Bytes;

use super::table::Slot;
use crate::clock::Timestamp;
use crate::id::{Fence, JobId};
use crate::queue::JobState;
use crate::retry::DeadReason;

#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: JobId,
    /// A copy: the bytes that came in may be a part of a much larger buffer.
    pub(super) payload: Box<[u8]>,
    pub(super) batch: Option<Slot>,
    pub(super) queue: Slot,
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
    pub(super) extra: Option<Box<Extra>>,
}

// Every job that waits takes so much. What only some have is an extra, or stands in an index.
const _: () = assert!(size_of::<Option<Row>>() <= 96);

/// What most rows do not have.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) deadline: Option<Timestamp>,
    pub(super) result: Option<Bytes>,
    pub(super) note: String,
    pub(super) dead_reason: Option<DeadReason>,
    pub(super) unique: Option<Bytes>,
}

impl Row {
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.extra.as_ref()?.deadline
    }

    pub(super) fn unique(&self) -> Option<&Bytes> {
        self.extra.as_ref()?.unique.as_ref()
    }
}
