//! The limiter's decision: what several keys allow at once, as a function of their states and the time.
//! Another limiter that keeps the states elsewhere has to decide the same.

use std::collections::HashMap;

use super::key::{Key, KeyClass, Need};
use super::limit::Limit;
use super::state::{KeyState, Past, Slot};

/// Fewer keys are not worth a sweep.
const FEW: usize = 1_024;

/// What is known of all keys.
#[derive(Debug, Default)]
pub(super) struct Table {
    states: HashMap<Key, Box<KeyState>>,
    /// Idle keys are swept out when the table has grown to this size.
    sweep_at: usize,
    epochs: u32,
    past: Past,
    /// Limits that hold in place of those of the needs.
    of_keys: HashMap<Key, Limit>,
    of_classes: Vec<(KeyClass, Limit)>,
}

/// Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// When all keys will be ready.
    pub(super) at: u64,
    /// Which of the needs is ready last.
    pub(super) need: usize,
    /// It is not its limit but its breaker.
    pub(super) breaker: bool,
}

impl Table {
    /// The limit that holds.
    fn limit<'a>(&'a self, need: &'a Need) -> Option<&'a Limit> {
        let of_key = if self.of_keys.is_empty() { None } else { self.of_keys.get(&need.key) };
        let of_class = || {
            let mut classes = self.of_classes.iter();
            classes.find(|(class, _)| *class == need.key.class()).map(|(_, limit)| limit)
        };
        of_key.or_else(of_class).or(need.limit.as_ref())
    }

    fn seen(&self, key: &Key) -> &KeyState {
        const NOTHING: &KeyState = &KeyState::new(0);
        self.states.get(key).map_or(NOTHING, |state| state)
    }

    /// How many requests with these needs may go at once, and when the next may go.
    pub(super) fn peek(&self, needs: &[Need], now: u64) -> (u32, u64) {
        let (mut room, mut ready) = (u32::MAX, now);
        for need in needs {
            let (state, limit) = (self.seen(&need.key), self.limit(need));
            ready = ready.max(state.ready_after(limit, 0, now, self.past));
            room = room.min(state.room(limit, now, self.past));
        }
        (room, ready)
    }

    /// Which key is ready last, and when, if as many others go first.
    pub(super) fn decide(
        &self,
        needs: &[Need],
        ahead: impl Fn(&Need) -> u32,
        now: u64,
    ) -> Result<(), Refusal> {
        let mut last = Refusal { at: 0, need: 0, breaker: false };
        let mut waits = false;
        for (index, need) in needs.iter().enumerate() {
            let before = ahead(need);
            waits |= before > 0;
            let state = self.seen(&need.key);
            let at = state.ready_after(self.limit(need), before, now, self.past);
            // Who has others ahead goes after them, even if there is room for all.
            let at = if before > 0 { at.max(now + 1) } else { at };
            if at > last.at {
                last = Refusal { at, need: index, breaker: false };
            }
        }
        if last.at > now || waits { Err(last) } else { Ok(()) }
    }

    /// Takes one unit of every key. That it may, [`Table::decide`] has said.
    pub(super) fn take(&mut self, needs: &[Need], now: u64) -> Box<[Option<Slot>]> {
        needs.iter().map(|need| self.take_one(need, now)).collect()
    }

    fn take_one(&mut self, need: &Need, now: u64) -> Option<Slot> {
        let limit = self.limit(need).cloned();
        if limit.is_none() && !self.states.contains_key(&need.key) {
            return None;
        }
        let past = self.past;
        self.epochs = self.epochs.wrapping_add(1);
        let epoch = self.epochs;
        let state = self.state(&need.key, now);
        if let Some(limit) = &limit {
            state.adopt(limit, now, past, epoch);
        }
        Some(state.take(limit.is_some(), now))
    }

    /// Gives back what is left of a place that was taken.
    pub(super) fn refund(&mut self, needs: &[Need], slots: &[Option<Slot>]) {
        for (need, slot) in needs.iter().zip(slots) {
            let counted = self.limit(need).is_some();
            if let (Some(slot), Some(state)) = (slot, self.states.get_mut(&need.key)) {
                state.refund(*slot, counted);
            }
        }
    }

    /// The state of a key, which is there from now on.
    pub(super) fn state(&mut self, key: &Key, now: u64) -> &mut KeyState {
        if !self.states.contains_key(key) {
            if self.states.len() >= self.sweep_at.max(FEW) {
                self.sweep(now);
            }
            self.epochs = self.epochs.wrapping_add(1);
        }
        let new = || Box::new(KeyState::new(self.epochs));
        self.states.entry(key.clone()).or_insert_with(new)
    }

    /// The state of a key, if there is one.
    pub(super) fn known(&mut self, key: &Key) -> Option<&mut KeyState> {
        self.states.get_mut(key).map(|state| &mut **state)
    }

    /// All keys that something is known of.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &KeyState)> {
        self.states.iter().map(|(key, state)| (key, &**state))
    }

    /// Puts a state in that is known from before; of a key that has one, only the block counts.
    pub(super) fn restore(
        &mut self,
        key: Key,
        blocked_until: u64,
        state: impl FnOnce(u32) -> KeyState,
    ) {
        self.epochs = self.epochs.wrapping_add(1);
        let epoch = self.epochs;
        let state = self.states.entry(key).or_insert_with(|| Box::new(state(epoch)));
        state.blocked_until = state.blocked_until.max(blocked_until);
    }

    /// What is assumed of the time before.
    pub(super) fn assume(&mut self, past: Past) {
        self.past = past;
    }

    /// Puts a limit in place of that of the needs, or takes it away again.
    pub(super) fn set_limit(&mut self, key: Key, limit: Option<Limit>) {
        match limit {
            Some(limit) => _ = self.of_keys.insert(key, limit),
            None => _ = self.of_keys.remove(&key),
        }
    }

    /// The same for all keys of a class.
    pub(super) fn set_class_limit(&mut self, class: KeyClass, limit: Option<Limit>) {
        self.of_classes.retain(|(known, _)| *known != class);
        self.of_classes.extend(limit.map(|limit| (class, limit)));
    }

    /// Forgets keys of which nothing matters any more.
    pub(super) fn sweep(&mut self, now: u64) {
        self.states.retain(|_, state| !state.is_idle(now));
        self.sweep_at = self.states.len() * 2;
        self.states.shrink_to(self.sweep_at);
    }

    /// How many keys have any memory.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }
}
