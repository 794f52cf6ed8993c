//! Rotation: what may be used now, which comes next, and when something may.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::slot::{Condition, Slot};
use super::{LOOK, ProxyPool, Rotation};
use crate::clock::Timestamp;
use crate::id::ProxyId;
use crate::proxy::Proxy;

/// How far the turn of a proxy of weight 1 moves on with each use.
const STRIDE: u64 = 1 << 12;

impl ProxyPool {
    /// Takes the next usable proxy that `may` lets through. One that it does not, with the time when
    /// it may, is looked at again at that time or in a moment, whichever is first: so that each is
    /// asked about once in a while, and not all of them at every call.
    pub fn select(
        &mut self,
        now: Timestamp,
        mut may: impl FnMut(&Proxy) -> Result<(), Timestamp>,
    ) -> Option<Arc<Proxy>> {
        self.wake(now);
        while let Some(&(_, index)) = self.ready.first() {
            let proxy = Arc::clone(&self.slots[index as usize].proxy);
            let Err(at) = may(&proxy) else {
                self.begin(index, true);
                return Some(proxy);
            };
            let at = at.clamp(now + Duration::from_millis(1), now + LOOK);
            self.change(index, |slot| slot.aside = true);
            self.note_time(index, at);
        }
        None
    }

    /// Takes a certain proxy, as the [home](Self::home) of a session.
    pub fn take(&mut self, id: &ProxyId) {
        if let Some(&index) = self.index.get(id) {
            self.begin(index, false);
        }
    }

    fn begin(&mut self, index: u32, selected: bool) {
        self.turns += 1;
        let next = self.turns;
        let rotation = self.policy.rotation;
        self.change(index, |slot| {
            slot.busy += 1;
            match rotation {
                Rotation::LeastUsed => slot.turn = next,
                Rotation::RoundRobin if selected => slot.turn = next,
                Rotation::Weighted if selected => slot.advance(),
                Rotation::RoundRobin | Rotation::Sticky | Rotation::Weighted => {}
            }
        });
    }

    /// A check through it has ended.
    pub fn give_back(&mut self, id: &ProxyId) {
        if let Some(&index) = self.index.get(id) {
            self.change(index, |slot| slot.busy = slot.busy.saturating_sub(1));
            self.drop_if_drained(index);
        }
    }

    /// When the first proxy may be used: now, later, or not without the operator. One that is in
    /// use or probed may be free at any time.
    pub fn open_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.wake(now);
        if self.ready.is_empty() { self.changes_at(now) } else { Some(now) }
    }

    /// When something changes by itself.
    pub(super) fn changes_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let soon = (self.held_up > 0).then(|| now + LOOK);
        [self.next_time(), soon].into_iter().flatten().min()
    }

    /// The turn of whoever comes next by weight: who joins neither makes up for lost time nor waits.
    pub(super) fn pass(&self) -> u64 {
        let next = self.ready.first().and_then(|(_, index)| self.slots.get(*index as usize));
        next.map_or(0, |slot| slot.turn)
    }

    /// Lets those on that have waited long enough.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some(at) = self.next_time()
            && at <= now
            && let Some(Reverse((_, _, index))) = self.times.pop()
        {
            self.slots[index as usize].stamp = 0;
            if self.slots[index as usize].condition == Condition::Cooling {
                self.begin_trial(index);
            } else {
                self.change(index, |slot| slot.aside = false);
            }
        }
    }

    /// The first time that somebody waits for.
    pub(super) fn next_time(&mut self) -> Option<Timestamp> {
        while let Some(&Reverse((at, stamp, index))) = self.times.peek() {
            if self.slots.get(index as usize).is_some_and(|slot| slot.stamp == stamp) {
                return Some(at);
            }
            self.times.pop();
        }
        None
    }

    /// Wakes a slot at a time, instead of any that it waited for.
    pub(super) fn note_time(&mut self, index: u32, at: Timestamp) {
        if self.times.len() > 2 * self.slots.len() + 64 {
            let slots = &self.slots;
            self.times.retain(|Reverse((_, stamp, index))| {
                slots.get(*index as usize).is_some_and(|slot| slot.stamp == *stamp)
            });
        }
        self.stamps += 1;
        self.slots[index as usize].stamp = self.stamps;
        self.times.push(Reverse((at, self.stamps, index)));
    }
}

impl Slot {
    fn advance(&mut self) {
        self.turn += STRIDE / u64::from(self.proxy.weight().get());
    }
}
