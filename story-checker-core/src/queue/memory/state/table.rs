//! Things that have a name, and where they lie.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::{Bound, Index, IndexMut};

use slab::Slab;

/// Where an entry of a table lies. A job stands in several orders by its slot, so it is half as wide
/// as an address, and to have none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    fn of(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("memory ends long before four billion entries"))
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Entries, found by key once and by slot from then on.
#[derive(Debug)]
pub(super) struct Table<K, T> {
    entries: Slab<T>,
    slots: BTreeMap<K, Slot>,
}

impl<K: Ord, T> Table<K, T> {
    pub(super) const fn new() -> Self {
        Self { entries: Slab::new(), slots: BTreeMap::new() }
    }

    pub(super) fn slot(&self, key: &K) -> Option<Slot> {
        self.slots.get(key).copied()
    }

    /// The keys with their slots, in order: all, or those after one.
    pub(super) fn after(&self, key: Option<K>) -> impl Iterator<Item = (&K, Slot)> {
        let start = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.slots.range((start, Bound::Unbounded)).map(|(key, slot)| (key, *slot))
    }

    /// Adds an entry. There must be none with this key.
    pub(super) fn insert(&mut self, key: K, entry: T) -> Slot {
        let slot = Slot::of(self.entries.insert(entry));
        self.slots.insert(key, slot);
        slot
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<T> {
        let slot = self.slots.remove(key)?;
        self.entries.try_remove(slot.index())
    }
}

impl<K, T> Index<Slot> for Table<K, T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        &self.entries[slot.index()]
    }
}

impl<K, T> IndexMut<Slot> for Table<K, T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.entries[slot.index()]
    }
}
