//! Which targets were met before, in little memory.

use std::hash::{BuildHasher, Hash, RandomState};

const SHARDS: usize = 256;

/// A set of 128-bit hashes, 20 to 25 bytes each: at a million entries the chance that two different
/// ones are taken for the same is below 1e-26.
///
/// `HashSet<u128>` takes up to twice as much, and three times that while it grows.
#[derive(Debug)]
pub(crate) struct Seen {
    hashers: [RandomState; 2],
    /// Open addressing; 0 is a free place. In shards, so that growing never copies the whole set.
    shards: Vec<Shard>,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    slots: Box<[u128]>,
    used: usize,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { hashers: Default::default(), shards: vec![Shard::default(); SHARDS] }
    }

    /// Adds a value; false if it was there before.
    pub(crate) fn insert(&mut self, value: &impl Hash) -> bool {
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one(value));
        let hash = (u128::from(high) << 64 | u128::from(low)).max(1);
        let shard = usize::from(high.to_be_bytes()[0]);
        self.shards.get_mut(shard).is_none_or(|shard| shard.insert(hash))
    }
}

impl Shard {
    fn insert(&mut self, hash: u128) -> bool {
        // Five slots for four entries; a quarter more at a time.
        if (self.used + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let slot = self.place(hash);
        if self.slots[slot] == hash {
            return false;
        }
        self.slots[slot] = hash;
        self.used += 1;
        true
    }

    /// Where a hash stands or would stand. There is always a free slot, so the search ends.
    fn place(&self, hash: u128) -> usize {
        let spread = (hash & u128::from(u64::MAX)) * self.slots.len() as u128;
        let mut slot = usize::try_from(spread >> 64).unwrap_or_default();
        while self.slots[slot] != 0 && self.slots[slot] != hash {
            slot = (slot + 1) % self.slots.len();
        }
        slot
    }

    fn grow(&mut self) {
        let bigger = (self.slots.len() * 5 / 4).max(16);
        let old = std::mem::replace(&mut self.slots, vec![0; bigger].into());
        for hash in old.into_iter().filter(|&hash| hash != 0) {
            let slot = self.place(hash);
            self.slots[slot] = hash;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_entries_are_told_apart_in_less_than_30_megabytes() {
        let mut seen = Seen::new();
        assert!((0..1_000_000u32).all(|number| seen.insert(&number)));
        assert!((0..1_000_000u32).step_by(997).all(|number| !seen.insert(&number)));
        let bytes: usize = seen.shards.iter().map(|shard| shard.slots.len() * 16).sum();
        assert!(bytes < 30_000_000, "{bytes}");
    }
}
