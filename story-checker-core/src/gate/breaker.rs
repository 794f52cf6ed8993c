//! One key's circuit breaker: what fails again and again is left alone for a while, and then tried
//! with few requests before the others follow.
//!
//! Plain data and functions of a given time, in microseconds on the gate's own scale. Each change
//! of state begins a new epoch; a result counts only in the epoch in which its request was let
//! through, so that what was on its way before a change cannot undo it.

mod look;
mod policy;
mod window;
mod words;

use std::time::Duration;

pub use self::policy::{BreakerPolicy, Breakers, InvalidBreakerPolicy};
use self::window::Window;
pub use self::words::{BreakerCause, BreakerMode, BreakerState};
use crate::id::mix;

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: BreakerState,
    pub(super) to: BreakerState,
    pub(super) cause: BreakerCause,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Breaker {
    /// The last change; while half-open, when the last probe was let through.
    since: u64,
    /// The end of the open time.
    until: u64,
    epoch: u32,
    window: Window,
    /// Failures since the last success.
    in_a_row: u8,
    /// How often it has opened, less what was forgotten.
    opens: u8,
    /// Probes on their way.
    probes: u8,
    /// Probes that succeeded.
    successes: u8,
    state: BreakerState,
    mode: BreakerMode,
    /// Its open time was ordered, not earned.
    ordered: bool,
}

impl Breaker {
    /// A closed one. Its epochs begin here.
    pub(super) fn new(epoch: u32, now: u64) -> Self {
        Self {
            since: now,
            until: 0,
            epoch,
            window: Window::new(now),
            in_a_row: 0,
            opens: 0,
            probes: 0,
            successes: 0,
            state: BreakerState::Closed,
            mode: BreakerMode::Automatic,
            ordered: false,
        }
    }

    /// Lets one request through, if it may go: in which epoch, and what has changed by it.
    pub(super) fn acquire(
        &mut self,
        policy: &BreakerPolicy,
        now: u64,
    ) -> Option<(u32, Option<Change>)> {
        if self.ready_at(policy, now) > now {
            return None;
        }
        let mut change = None;
        if self.mode == BreakerMode::Automatic && self.state != BreakerState::Closed {
            if self.state == BreakerState::Open {
                change = Some(self.turn(BreakerState::HalfOpen, BreakerCause::Over, now));
            } else if self.probes >= policy.probes {
                // Nothing was heard of the last ones: they count no more, nor does their result.
                self.turn(BreakerState::HalfOpen, BreakerCause::Over, now);
            }
            self.probes += 1;
            self.since = now;
        }
        Some((self.epoch, change))
    }

    /// A request let through in this epoch has no result: it was stopped, or says nothing.
    pub(super) fn ignore(&mut self, epoch: u32) {
        if epoch == self.epoch && self.state == BreakerState::HalfOpen {
            self.probes = self.probes.saturating_sub(1);
        }
    }

    /// A request let through in this epoch has succeeded.
    pub(super) fn succeeded(
        &mut self,
        policy: &BreakerPolicy,
        now: u64,
        epoch: u32,
    ) -> Option<Change> {
        if epoch != self.epoch || self.mode == BreakerMode::Disabled {
            return None;
        }
        self.ignore(epoch);
        match self.state {
            BreakerState::Closed => {
                self.window.count(now, true);
                self.in_a_row = 0;
                None
            }
            BreakerState::HalfOpen => {
                self.successes += 1;
                let enough = self.successes >= policy.successes;
                enough.then(|| self.turn(BreakerState::Closed, BreakerCause::Recovered, now))
            }
            BreakerState::Open => None,
        }
    }

    /// A request let through in this epoch has failed. `seed` is a hash of the key.
    pub(super) fn failed(
        &mut self,
        policy: &BreakerPolicy,
        now: u64,
        epoch: u32,
        seed: u64,
    ) -> Option<Change> {
        if epoch != self.epoch || self.mode == BreakerMode::Disabled {
            return None;
        }
        let cause = match self.state {
            BreakerState::Open => return None,
            BreakerState::HalfOpen => BreakerCause::Probe,
            BreakerState::Closed => {
                self.window.count(now, false);
                self.in_a_row = self.in_a_row.saturating_add(1);
                if self.in_a_row >= policy.in_a_row {
                    BreakerCause::InARow
                } else if self.window.surely_fails(policy, now) {
                    BreakerCause::Share
                } else {
                    return None;
                }
            }
        };
        self.open(policy, now, cause, seed)
    }

    /// Opens it for as long as the policy says, unless it is open or in the operator's hands.
    pub(super) fn open(
        &mut self,
        policy: &BreakerPolicy,
        now: u64,
        cause: BreakerCause,
        seed: u64,
    ) -> Option<Change> {
        if self.mode != BreakerMode::Automatic || self.state == BreakerState::Open {
            return None;
        }
        self.opens = self.opens_at(policy, now);
        let doubled = micros(policy.open).saturating_mul(1 << self.opens.min(40));
        let time = doubled.min(micros(policy.longest));
        self.opens = self.opens.saturating_add(1);
        let change = self.turn(BreakerState::Open, cause, now);
        // From nine tenths to eleven tenths, so that not all keys come back in the same moment.
        let tenth = time / 10;
        let random = mix(seed ^ mix(u64::from(self.epoch))) % (2 * tenth + 1);
        self.until = now.saturating_add(time - tenth + random);
        Some(change)
    }

    /// Lets nothing through before `until`, because it was told so. Never makes an open time
    /// shorter.
    pub(super) fn open_until(&mut self, until: u64, now: u64) -> Option<Change> {
        if self.mode != BreakerMode::Automatic || until <= now {
            return None;
        }
        let from = self.state(now);
        let change = (from != BreakerState::Open)
            .then(|| Change { from, ..self.turn(BreakerState::Open, BreakerCause::Operator, now) });
        self.until = self.until.max(until);
        self.ordered = true;
        change
    }

    /// Takes back what was counted since then, because something else was to blame: also what is
    /// still on its way.
    pub(super) fn void(&mut self, from: u64, now: u64) -> Option<Change> {
        let opened = self.state == BreakerState::Open && !self.ordered && self.since >= from;
        if opened {
            self.opens = self.opens.saturating_sub(1);
            // Before, it had been open too: it still has to prove itself.
            let back = if self.opens > 0 { BreakerState::HalfOpen } else { BreakerState::Closed };
            return Some(self.turn(back, BreakerCause::CommonCause, now));
        }
        if self.state != BreakerState::Open {
            let (state, since) = (self.state, self.since);
            self.turn(state, BreakerCause::CommonCause, now);
            self.since = since;
        }
        None
    }

    /// Hands it to the operator, or back. What was counted is forgotten.
    pub(super) fn set_mode(&mut self, mode: BreakerMode, now: u64) -> Option<Change> {
        let from = self.state(now);
        self.turn(BreakerState::Closed, BreakerCause::Operator, now);
        self.opens = 0;
        self.mode = mode;
        let to = self.state(now);
        (from != to).then_some(Change { from, to, cause: BreakerCause::Operator })
    }

    /// Begins the next epoch, with nothing counted.
    fn turn(&mut self, to: BreakerState, cause: BreakerCause, now: u64) -> Change {
        let from = self.state;
        *self = Self {
            opens: self.opens,
            state: to,
            mode: self.mode,
            ..Self::new(self.epoch.wrapping_add(1), now)
        };
        Change { from, to, cause }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
