//! Who waits for a key, in order. Only the first of a line looks at the clock; who leaves a line wakes
//! the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::key::Key;

/// A number that grows with every waiter, and how to wake this one.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) woken: Arc<Notify>,
}

/// The lines of all keys; a waiter stands in that of the key it lacks.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: HashMap<Key, VecDeque<Waiter>>,
    numbers: u64,
}

impl Lines {
    /// A waiter that comes after all others.
    pub(super) fn waiter(&mut self) -> Waiter {
        self.numbers += 1;
        Waiter { number: self.numbers, woken: Arc::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many wait for this key.
    pub(super) fn waiting(&self, key: &Key) -> u32 {
        let line = self.lines.get(key).map_or(0, VecDeque::len);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Whether nobody stands before this waiter.
    pub(super) fn is_first(&self, key: &Key, number: u64) -> bool {
        let first = self.lines.get(key).and_then(VecDeque::front);
        first.is_none_or(|first| first.number >= number)
    }

    /// Puts a waiter where its number belongs.
    pub(super) fn join(&mut self, key: &Key, waiter: Waiter) {
        let line = self.lines.entry(key.clone()).or_default();
        let at = line.partition_point(|other| other.number < waiter.number);
        line.insert(at, waiter);
    }

    /// Takes a waiter out and wakes the one that is first then.
    pub(super) fn leave(&mut self, key: &Key, number: u64) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let Ok(at) = line.binary_search_by_key(&number, |waiter| waiter.number) else { return };
        line.remove(at);
        match line.front() {
            None => _ = self.lines.remove(key),
            Some(first) if at == 0 => first.woken.notify_one(),
            Some(_) => {}
        }
    }

    /// Lets the first of the line look again: there may be more room than it knows.
    pub(super) fn wake(&self, key: &Key) {
        if let Some(first) = self.lines.get(key).and_then(VecDeque::front) {
            first.woken.notify_one();
        }
    }

    /// Lets the first of every line look again.
    pub(super) fn wake_all(&self) {
        for first in self.lines.values().filter_map(VecDeque::front) {
            first.woken.notify_one();
        }
    }
}
