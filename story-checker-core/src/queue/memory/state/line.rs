//! A queue and the orders in which its rows wait.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use super::table::Slot;
use crate::clock::Timestamp;
use crate::queue::{JobCounts, QueueName};

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: QueueName,
    pub(super) paused: bool,
    pub(super) max_len: Option<usize>,
    pub(super) counts: JobCounts,
    pub(super) ready: BTreeMap<u8, Level>,
    pub(super) scheduled: BTreeSet<(Timestamp, Slot)>,
    /// Waiting rows that have a deadline.
    pub(super) deadlines: BTreeSet<(Timestamp, Slot)>,
    pub(super) unique: HashMap<Bytes, Slot>,
}

/// The ready rows of one priority: batches take turns.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) turns: VecDeque<Option<Slot>>,
    /// By batch, and of each in the order of their enqueuing.
    pub(super) rows: BTreeMap<Option<Slot>, BTreeMap<u64, Slot>>,
}

impl Level {
    pub(super) fn insert(&mut self, batch: Option<Slot>, sequence: u64, row: Slot) {
        let rows = self.rows.entry(batch).or_default();
        if rows.is_empty() {
            self.turns.push_back(batch);
        }
        rows.insert(sequence, row);
    }

    pub(super) fn remove(&mut self, batch: Option<Slot>, sequence: u64) {
        if let Some(rows) = self.rows.get_mut(&batch) {
            rows.remove(&sequence);
            if rows.is_empty() {
                self.rows.remove(&batch);
                self.turns.retain(|turn| *turn != batch);
            }
        }
    }

    /// Takes the first row of the batch whose turn it is, passing over those that may not.
    pub(super) fn take(&mut self, may: impl Fn(Slot) -> bool) -> Option<Slot> {
        for _ in 0..self.turns.len() {
            let batch = self.turns.pop_front()?;
            if !batch.is_none_or(&may) {
                self.turns.push_back(batch);
                continue;
            }
            let rows = self.rows.get_mut(&batch)?;
            let (_, row) = rows.pop_first()?;
            if rows.is_empty() {
                self.rows.remove(&batch);
            } else {
                self.turns.push_back(batch);
            }
            return Some(row);
        }
        None
    }
}
