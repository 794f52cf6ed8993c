//! One proxy of the pool: what is known of it, and where it stands by that.

use std::sync::Arc;
use std::time::Duration;

use super::{ProxyPolicy, ProxyView, Rotation};
use crate::clock::Timestamp;
use crate::proxy::{Proxy, ProxyState};
use crate::usage::{Faults, Tally};

/// Whether a proxy may be used. What belongs to all but the first stands in [`Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Active,
    /// It rests.
    Cooling,
    Disabled,
    /// Its rest is over, and it is to be seen whether it works: by one check at a time.
    Trial,
    /// The same, by a probe that is wanted or runs.
    Probed,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) proxy: Arc<Proxy>,
    /// Its place in the rotation, the smallest first.
    pub(super) turn: u64,
    /// Of its entry among the times.
    pub(super) stamp: u64,
    pub(super) tally: Tally,
    pub(super) trouble: Option<Box<Trouble>>,
    /// Checks that run through it now.
    pub(super) busy: u32,
    /// Sessions that live here.
    pub(super) homes: u32,
    /// The number of the latest list that it stood in.
    pub(super) list: u32,
    pub(super) condition: Condition,
    /// It is no longer listed.
    pub(super) draining: bool,
    /// Somebody's limit held it up: it is not offered for a moment.
    pub(super) aside: bool,
}

/// What is known of a proxy with which something went wrong.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// The end of the rest.
    pub(super) until: Timestamp,
    pub(super) reason: String,
    /// How long the latest rest was; nothing once something went well.
    pub(super) rest: Duration,
    /// It rests because its breaker is open, and for no other reason.
    pub(super) broken: bool,
    /// Rests that have begun within a day of the first of them.
    pub(super) rests: u32,
    pub(super) counted_from: Timestamp,
    /// Since when it has not been active.
    pub(super) closed_since: Option<Timestamp>,
    pub(super) faults: Faults,
}

/// Where a slot stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) ready: Option<u64>,
    pub(super) room: Option<u64>,
    pub(super) held_up: bool,
}

/// The part of a rank that holds the turn.
const TURN: u64 = (1 << 48) - 1;

impl Slot {
    pub(super) fn new(proxy: Arc<Proxy>, turn: u64, list: u32) -> Self {
        Self {
            proxy,
            turn,
            stamp: 0,
            tally: Tally::default(),
            trouble: None,
            busy: 0,
            homes: 0,
            list,
            condition: Condition::Active,
            draining: false,
            aside: false,
        }
    }

    pub(super) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Whether one more check may go through it now, as far as the pool knows.
    pub(super) fn is_usable(&self, policy: &ProxyPolicy) -> bool {
        self.is_open() && !self.is_full(policy)
    }

    fn is_open(&self) -> bool {
        !self.draining && matches!(self.condition, Condition::Active | Condition::Trial)
    }

    fn is_full(&self, policy: &ProxyPolicy) -> bool {
        let most = match self.condition {
            Condition::Trial => 1,
            _ => policy.max_in_flight.map_or(u32::MAX, std::num::NonZero::get),
        };
        self.busy >= most
    }

    pub(super) fn places(&self, index: u32, policy: &ProxyPolicy) -> Places {
        if self.draining {
            return Places::default();
        }
        let busy = match policy.rotation {
            Rotation::LeastUsed => u64::from(self.busy).min(0xffff),
            _ => 0,
        };
        let rank = (busy << 48) | (self.turn & TURN);
        let has_room = policy.max_sessions.is_none_or(|most| self.homes < most.get());
        // One that is on trial is moved into last.
        let trial = u64::from(self.condition == Condition::Trial);
        let homes = u64::from(self.homes.min(0x7fff_ffff));
        let room = (trial << 63) | (homes << 32) | u64::from(index);
        Places {
            ready: (self.is_usable(policy) && !self.aside).then_some(rank),
            room: (self.is_open() && has_room).then_some(room),
            held_up: match self.condition {
                Condition::Probed => true,
                _ => self.is_open() && self.is_full(policy),
            },
        }
    }

    /// Its state, whether or not it drains.
    pub(super) fn state(&self) -> ProxyState {
        let trouble = self.trouble.as_deref();
        let reason = || trouble.map(|trouble| trouble.reason.clone()).unwrap_or_default();
        match self.condition {
            Condition::Active => ProxyState::Active,
            Condition::Cooling => ProxyState::Cooling {
                until: trouble.map(|trouble| trouble.until).unwrap_or_default(),
                reason: reason(),
            },
            Condition::Disabled => ProxyState::Disabled { reason: reason() },
            Condition::Trial | Condition::Probed => ProxyState::Probing,
        }
    }

    pub(super) fn view(&self) -> ProxyView {
        ProxyView {
            id: self.proxy.id().clone(),
            state: if self.draining { ProxyState::Draining } else { self.state() },
            in_flight: self.busy,
            homes: self.homes,
            usage: self.tally.usage(self.trouble.as_deref().map(|trouble| &trouble.faults)),
        }
    }
}
