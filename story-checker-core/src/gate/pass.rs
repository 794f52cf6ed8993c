//! The permission to send one request.

use std::sync::Arc;
use std::time::Duration;

use super::key::{KeyClass, Need};
use super::limiter::{Gate, NotReady};
use super::state::Slot;
use crate::charge::charge;
use crate::clock::Timestamp;
use crate::fault::{Class, Fault, Scope};

/// From this part of a budget on, in percent, requests are paced.
const PACED_FROM: f64 = 75.0;
/// A budget whose window nobody knows. Also how long a word on a budget counts.
const HOUR: u64 = 3_600_000_000;

/// The permission to send one request. Dropped before [`Pass::mark_sent`], it gives back what it
/// took. Dropped after that without [`Pass::settle`], the request has no result: the breakers of its
/// keys learn nothing from it.
#[derive(Debug)]
#[must_use = "a pass that is dropped gives its place back"]
pub struct Pass {
    gate: Arc<Gate>,
    needs: Box<[Need]>,
    slots: Box<[Option<Slot>]>,
    sent: bool,
    settled: bool,
}

impl Pass {
    /// What was taken for these needs.
    pub(super) fn new(gate: &Arc<Gate>, needs: Box<[Need]>, slots: Box<[Option<Slot>]>) -> Self {
        Self { gate: Arc::clone(gate), needs, slots, sent: false, settled: false }
    }

    /// The request is on its way: what was taken is spent, whatever happens now.
    pub fn mark_sent(&mut self) {
        self.sent = true;
    }

    fn need(&self, class: KeyClass) -> Option<(&Need, Option<Slot>)> {
        let mut all = self.needs.iter().zip(&self.slots);
        let (need, slot) = all.find(|(need, _)| need.key.class() == class)?;
        Some((need, *slot))
    }

    /// The platform wants the key of this class left alone until then, whatever became of the
    /// request: a budget that is used up, a window without anything left.
    pub fn hold(&self, class: KeyClass, until: Timestamp) {
        if let Some((need, _)) = self.need(class) {
            self.gate.block_until(&need.key, until);
        }
    }

    /// The platform says how much of a budget is used, in percent. From 75 % on the key of this class
    /// slows down, to nothing at 100 %: its own rate times what is left of the last quarter. A key
    /// without a limit waits `(percent - 74)²` seconds from one request to the next, so that a small
    /// budget is never used up.
    pub fn usage(&self, class: KeyClass, percent: f64) {
        let Some((need, _)) = self.need(class) else { return };
        let now = self.gate.elapsed();
        let mut inner = self.gate.lock();
        if percent.is_nan() || percent < PACED_FROM {
            if let Some(state) = inner.table.known(&need.key) {
                state.pace(0, now, now);
            }
            inner.lines.wake(&need.key);
            return;
        }
        let state = inner.table.state(&need.key, now);
        let own = state.own_interval();
        if percent >= 100.0 {
            drop(inner);
            let window = Duration::from_micros(own.map_or(HOUR, |(_, span)| span));
            self.gate.block_until(&need.key, self.gate.now() + window);
            return;
        }
        let interval = match own {
            Some((interval, _)) => {
                let left = (100.0 - percent) / (100.0 - PACED_FROM);
                Duration::from_micros(interval).div_f64(left.max(1e-3))
            }
            None => Duration::from_secs_f64((percent - PACED_FROM + 1.0).powi(2)),
        };
        let interval = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        state.pace(interval, now + HOUR.max(interval), now);
    }

    /// The platform says how many requests are left until its window begins anew. The key of this
    /// class spreads them over that time, if its own limit does not already; with none left it
    /// rests.
    pub fn remaining(&self, class: KeyClass, remaining: u32, reset_at: Timestamp) {
        let Some((need, _)) = self.need(class) else { return };
        if remaining == 0 {
            return self.hold(class, reset_at);
        }
        let now = self.gate.elapsed();
        let reset = self.gate.own_time(now, reset_at);
        let interval = reset.saturating_sub(now).div_ceil(u64::from(remaining));
        let mut inner = self.gate.lock();
        let state = inner.table.state(&need.key, now);
        let own = state.own_interval().map_or(0, |(interval, _)| interval);
        state.pace(if interval > own { interval } else { 0 }, reset, now);
    }

    /// The request has ended, with an answer or a fault. The breakers of its endpoint and its proxy
    /// count it as the [charges table](mod@crate::charge) says. A fault that blocks blocks the key of
    /// its scope until its hint, or for `otherwise` if it has none. A throttle of a key whose limit
    /// has to be found out lowers it, and blocks only by a hint.
    pub fn settle(mut self, fault: Option<&Fault>, otherwise: Duration) {
        (self.sent, self.settled) = (true, true);
        self.gate.settle(&self.needs, fault);
        let Some(fault) = fault else { return };
        let learns = fault.class == Class::RateLimited && self.throttled(fault.scope);
        if !charge(fault.class, fault.scope).block {
            return;
        }
        let class = match fault.scope {
            Scope::Endpoint => KeyClass::Endpoint,
            _ => KeyClass::App,
        };
        let rest = || (!learns).then(|| self.gate.now() + otherwise);
        if let Some(until) = fault.until.or_else(rest) {
            self.hold(class, until);
        }
    }

    /// True if the limit of the key is found out by this.
    fn throttled(&self, scope: Scope) -> bool {
        let class = match scope {
            Scope::App => KeyClass::App,
            Scope::Endpoint => KeyClass::Endpoint,
            Scope::Proxy => KeyClass::Proxy,
            Scope::Session => KeyClass::Session,
            Scope::Ours | Scope::Target => return false,
        };
        let Some((need, Some(slot))) = self.need(class) else { return false };
        let now = self.gate.elapsed();
        let mut inner = self.gate.lock();
        inner.table.known(&need.key).is_some_and(|state| state.throttle(slot, now))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.sent {
            self.gate.give_back(&self.needs, &self.slots);
        }
        if !self.settled {
            self.gate.health().give_back(&self.needs);
        }
    }
}

impl Gate {
    /// Takes one unit of every key, or nothing. Those who [wait](Gate::pass) for one of them go
    /// first.
    ///
    /// # Errors
    /// [`NotReady`] with the exact time at which all keys will be ready.
    pub fn try_pass(self: &Arc<Self>, mut needs: Box<[Need]>) -> Result<Pass, NotReady> {
        let slots = self.take(&mut needs)?;
        Ok(Pass::new(self, needs, slots))
    }
}
