//! The pool of proxies: which there are, which may be used, which comes next.
//!
//! Plain data without a lock, a clock or I/O. Every proxy is one slot. What may be used stands in
//! one ordered set, what has room for a session in another, and what waits for a time in a heap, so
//! that no call looks at all proxies but those that take a list over or show one. An entry of the
//! heap counts only while the slot still bears its stamp.

mod health;
mod homes;
#[cfg(test)]
mod model;
mod policy;
mod rotation;
mod slot;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

pub use self::health::Rest;
pub use self::homes::Home;
pub use self::policy::{HomePolicy, ProxyPolicy, Rotation};
use self::slot::{Condition, Places, Slot};
use super::{Proxy, ProxyState};
use crate::clock::Timestamp;
use crate::id::ProxyId;
use crate::usage::Usage;

/// When to look again at a proxy that is in use, or that somebody's limit held up.
const LOOK: Duration = Duration::from_millis(250);

/// Which proxies there are, which may be used, and which comes next.
///
/// # Examples
/// ```
/// use story_checker_core::Timestamp;
/// use story_checker_core::proxy::{ProxyPolicy, ProxyPool, read_list};
///
/// let now = Timestamp::from_secs(1_000);
/// let mut pool = ProxyPool::new(ProxyPolicy::default(), false);
/// pool.replace(read_list("a.example:1\nb.example:1\n")?, vec![], now);
/// let first = pool.select(now, |_| Ok(())).expect("two are usable");
/// let second = pool.select(now, |_| Ok(())).expect("one is unused");
/// assert_ne!(first.id(), second.id());
/// pool.give_back(first.id());
/// # Ok::<(), story_checker_core::proxy::InvalidProxyList>(())
/// ```
#[derive(Debug)]
pub struct ProxyPool {
    policy: ProxyPolicy,
    /// A rest ends with a probe, not with the next check.
    probes: bool,
    slots: Slab<Slot>,
    index: HashMap<ProxyId, u32>,
    /// What may be used now, in the order of the rotation.
    ready: BTreeSet<(u64, u32)>,
    /// What a session may move into, the emptiest first.
    rooms: BTreeSet<u64>,
    /// What waits for a time: the end of a rest, or a second look.
    times: BinaryHeap<Reverse<(Timestamp, u64, u32)>>,
    to_probe: VecDeque<(u64, u32)>,
    /// States that are not stored yet.
    unsaved: BTreeSet<u32>,
    /// How many are held up by something that ends by itself at no known time.
    held_up: usize,
    turns: u64,
    stamps: u64,
    lists: u32,
}

/// One proxy as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProxyView {
    /// The proxy.
    pub id: ProxyId,
    /// Whether it may be used, and why not.
    pub state: ProxyState,
    /// Checks that run through it now.
    pub in_flight: u32,
    /// Sessions of this worker that live there.
    pub homes: u32,
    /// What it was used for.
    pub usage: Usage,
}

impl ProxyPool {
    /// A pool without proxies. `probes`: a rest ends with a [probe](Self::next_probes); else the
    /// first check after it goes alone.
    #[must_use]
    pub fn new(policy: ProxyPolicy, probes: bool) -> Self {
        Self {
            policy,
            probes,
            slots: Slab::new(),
            index: HashMap::new(),
            ready: BTreeSet::new(),
            rooms: BTreeSet::new(),
            times: BinaryHeap::new(),
            to_probe: VecDeque::new(),
            unsaved: BTreeSet::new(),
            held_up: 0,
            turns: 0,
            stamps: 0,
            lists: 0,
        }
    }

    /// Takes a new list over, with what is stored of it; of several with one id the first counts.
    /// What is known of proxies that stay is kept. Those that are gone drain: what runs through them
    /// ends, and nothing new begins.
    pub fn replace(
        &mut self,
        listed: Vec<Proxy>,
        states: Vec<(ProxyId, ProxyState)>,
        now: Timestamp,
    ) {
        self.lists = self.lists.wrapping_add(1);
        let list = self.lists;
        let more = listed.len().saturating_sub(self.slots.len());
        self.slots.reserve_exact(more);
        self.index.reserve(more);
        let mut fresh = BTreeSet::new();
        for proxy in listed {
            let Some(&index) = self.index.get(proxy.id()) else {
                fresh.extend(self.insert(proxy));
                continue;
            };
            if self.slots[index as usize].list == list {
                continue;
            }
            self.change(index, |slot| {
                (slot.list, slot.draining) = (list, false);
                if *slot.proxy != proxy {
                    slot.proxy = Arc::new(proxy);
                }
            });
        }
        let gone = self.slots.iter().filter(|(_, slot)| slot.list != list);
        let gone: Vec<u32> = gone.filter_map(|(index, _)| u32::try_from(index).ok()).collect();
        for index in gone {
            self.change(index, |slot| slot.draining = true);
            self.drop_if_drained(index);
        }
        for (id, state) in states {
            if let Some(&index) = self.index.get(&id) {
                self.take_over(index, state, fresh.contains(&index), now);
            }
        }
        if self.policy.validate && self.probes {
            for index in fresh {
                if self.slots[index as usize].condition == Condition::Active {
                    self.begin_trial(index);
                }
            }
        }
    }

    /// Learns what is stored by now: what other workers have seen, and what the operator wants.
    pub fn learn(&mut self, states: Vec<(ProxyId, ProxyState)>, now: Timestamp) {
        for (id, state) in states {
            if let Some(&index) = self.index.get(&id) {
                self.take_over(index, state, false, now);
            }
        }
    }

    fn insert(&mut self, proxy: Proxy) -> Option<u32> {
        // More than four thousand million proxies are not taken.
        let index = u32::try_from(self.slots.vacant_key()).ok()?;
        self.turns += 1;
        let turn = match self.policy.rotation {
            Rotation::Weighted => self.pass(),
            _ => self.turns,
        };
        self.index.insert(proxy.id().clone(), index);
        let slot = Slot::new(Arc::new(proxy), turn, self.lists);
        let places = slot.places(index, &self.policy);
        self.slots.insert(slot);
        self.move_slot(index, &Places::default(), &places);
        Some(index)
    }

    /// Changes a slot, and with it the places where it stands.
    fn change<R>(&mut self, index: u32, change: impl FnOnce(&mut Slot) -> R) -> R {
        let slot = &mut self.slots[index as usize];
        let before = slot.places(index, &self.policy);
        let result = change(slot);
        let after = slot.places(index, &self.policy);
        self.move_slot(index, &before, &after);
        result
    }

    fn move_slot(&mut self, index: u32, before: &Places, after: &Places) {
        if before.ready != after.ready {
            before.ready.map(|key| self.ready.remove(&(key, index)));
            after.ready.map(|key| self.ready.insert((key, index)));
        }
        if before.room != after.room {
            before.room.map(|key| self.rooms.remove(&key));
            after.room.map(|key| self.rooms.insert(key));
        }
        self.held_up += usize::from(after.held_up);
        self.held_up -= usize::from(before.held_up);
    }

    fn drop_if_drained(&mut self, index: u32) {
        let slot = &self.slots[index as usize];
        if slot.draining && slot.busy == 0 {
            let places = slot.places(index, &self.policy);
            self.move_slot(index, &places, &Places::default());
            self.unsaved.remove(&index);
            let slot = self.slots.remove(index as usize);
            self.index.remove(slot.proxy.id());
        }
    }

    /// How many there are, those that drain among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All proxies as they stand, in the order in which they came.
    #[must_use]
    pub fn views(&self) -> Vec<ProxyView> {
        self.slots.iter().map(|(_, slot)| slot.view()).collect()
    }

    /// States that are not [saved](Self::saved) yet.
    #[must_use]
    pub fn unsaved(&self) -> Vec<(ProxyId, ProxyState)> {
        let slots = self.unsaved.iter().map(|index| &self.slots[*index as usize]);
        slots.map(|slot| (slot.proxy.id().clone(), slot.state())).collect()
    }

    /// These states are stored now.
    pub fn saved(&mut self, states: &[(ProxyId, ProxyState)]) {
        for (id, state) in states {
            if let Some(index) = self.index.get(id)
                && self.slots[*index as usize].state() == *state
            {
                self.unsaved.remove(index);
            }
        }
    }
}
