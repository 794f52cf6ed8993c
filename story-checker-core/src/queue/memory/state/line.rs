//! A queue and the orders in which its rows wait.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::queue::{JobCounts, QueueName};

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: QueueName,
    pub(super) paused: bool,
    pub(super) max_len: Option<usize>,
    pub(super) counts: JobCounts,
    pub(super) ready: BTreeMap<u8, Level>,
    pub(super) scheduled: BTreeSet<(Timestamp, usize)>,
    /// Waiting rows that have a deadline.
    pub(super) deadlines: BTreeSet<(Timestamp, usize)>,
    pub(super) unique: HashMap<Bytes, usize>,
}

/// The ready rows of one priority: batches take turns.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) turns: VecDeque<Option<usize>>,
    pub(super) rows: BTreeMap<Option<usize>, BTreeSet<(u64, usize)>>,
}

impl Level {
    pub(super) fn insert(&mut self, batch: Option<usize>, sequence: u64, row: usize) {
        let rows = self.rows.entry(batch).or_default();
        if rows.is_empty() {
            self.turns.push_back(batch);
        }
        rows.insert((sequence, row));
    }

    pub(super) fn remove(&mut self, batch: Option<usize>, sequence: u64, row: usize) {
        if let Some(rows) = self.rows.get_mut(&batch) {
            rows.remove(&(sequence, row));
            if rows.is_empty() {
                self.rows.remove(&batch);
                self.turns.retain(|turn| *turn != batch);
            }
        }
    }

    /// Takes the first row of the batch whose turn it is, passing over those that may not.
    pub(super) fn take(&mut self, may: impl Fn(usize) -> bool) -> Option<usize> {
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
