//! What can be seen of a breaker without changing it.

use super::policy::BreakerPolicy;
use super::words::{BreakerMode, BreakerState};
use super::{Breaker, micros};

/// When to look again for what is being probed: nobody knows when an answer comes.
const LOOK: u64 = 1_000_000;

impl Breaker {
    pub(in crate::gate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(in crate::gate) const fn mode(&self) -> BreakerMode {
        self.mode
    }

    /// Where it stands at this time.
    pub(in crate::gate) fn state(&self, now: u64) -> BreakerState {
        match (self.mode, self.state) {
            (BreakerMode::ForcedOpen, _) => BreakerState::Open,
            (BreakerMode::Disabled | BreakerMode::MetricsOnly, _) => BreakerState::Closed,
            (_, BreakerState::Open) if self.until <= now => BreakerState::HalfOpen,
            (_, state) => state,
        }
    }

    /// When it may let the next request through; `u64::MAX` if that takes the operator. While
    /// probes are on their way that is only when to look again.
    pub(in crate::gate) fn ready_at(&self, policy: &BreakerPolicy, now: u64) -> u64 {
        match self.mode {
            BreakerMode::ForcedOpen => u64::MAX,
            BreakerMode::Disabled | BreakerMode::MetricsOnly => 0,
            BreakerMode::Automatic => match self.state {
                BreakerState::Closed => 0,
                BreakerState::Open => self.until,
                BreakerState::HalfOpen if self.probes < policy.probes => 0,
                BreakerState::HalfOpen => self.given_up_at(policy).min(now + LOOK),
            },
        }
    }

    /// How many requests it would let through now.
    pub(in crate::gate) fn permits(&self, policy: &BreakerPolicy, now: u64) -> u32 {
        if self.ready_at(policy, now) > now {
            return 0;
        }
        match self.state(now) {
            BreakerState::Closed => u32::MAX,
            _ if self.state == BreakerState::HalfOpen && self.probes < policy.probes => {
                u32::from(policy.probes - self.probes)
            }
            _ => u32::from(policy.probes),
        }
    }

    /// Whether it is half-open and nobody has probed for so long that hardly anybody wants to.
    pub(in crate::gate) fn is_unwanted(&self, policy: &BreakerPolicy, now: u64) -> bool {
        let idle_at = match self.state {
            BreakerState::Open => self.until.saturating_add(2 * micros(policy.attempt)),
            _ => self.given_up_at(policy),
        };
        self.state(now) == BreakerState::HalfOpen && idle_at <= now
    }

    fn given_up_at(&self, policy: &BreakerPolicy) -> u64 {
        self.since.saturating_add(2 * micros(policy.attempt))
    }

    /// Whether forgetting it changes nothing.
    pub(in crate::gate) fn is_idle(&self, policy: &BreakerPolicy, now: u64) -> bool {
        let last = self.window.last().max(self.since);
        self.mode == BreakerMode::Automatic
            && self.state == BreakerState::Closed
            && now.saturating_sub(last) >= micros(policy.quiet)
            && self.opens_at(policy, now) == 0
    }

    /// Failures and results of the last minute, as far as they are kept.
    pub(in crate::gate) fn counts(&self, now: u64) -> (u32, u32) {
        self.window.counts(now)
    }

    /// Failures since the last success.
    pub(in crate::gate) const fn in_a_row(&self) -> u8 {
        self.in_a_row
    }

    /// The end of its open time, while it is open.
    pub(in crate::gate) fn open_until_at(&self, now: u64) -> Option<u64> {
        (self.state == BreakerState::Open && self.until > now).then_some(self.until)
    }

    pub(super) fn opens_at(&self, policy: &BreakerPolicy, now: u64) -> u8 {
        match self.state {
            BreakerState::Closed => {
                let forgotten = now.saturating_sub(self.since) / micros(policy.quiet).max(1);
                self.opens.saturating_sub(u8::try_from(forgotten).unwrap_or(u8::MAX))
            }
            BreakerState::HalfOpen | BreakerState::Open => self.opens,
        }
    }
}
