//! Homes: the one proxy that a session is seen through.

use std::sync::Arc;

use super::{HomePolicy, LOOK, ProxyPool};
use crate::clock::Timestamp;
use crate::id::ProxyId;
use crate::proxy::{Proxy, ProxyState};

/// Where a session can be seen through.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Home {
    /// Not now: its proxy rests or is in use, and to be looked at again then, or (none) waits for
    /// the operator.
    Closed(Option<Timestamp>),
    /// It has no home, or one that is gone or was closed for too long.
    Missing,
    /// Through this proxy.
    Open(Arc<Proxy>),
}

impl ProxyPool {
    /// Where a session with this home can be seen through. Takes nothing.
    pub fn home(&mut self, home: Option<&ProxyId>, now: Timestamp) -> Home {
        self.wake(now);
        let Some(&index) = home.and_then(|id| self.index.get(id)) else { return Home::Missing };
        let slot = &self.slots[index as usize];
        if slot.draining {
            return Home::Missing;
        }
        if slot.is_usable(&self.policy) {
            return Home::Open(Arc::clone(&slot.proxy));
        }
        let leaves_at = self.leaves_at(index);
        if leaves_at.is_some_and(|at| at <= now) {
            return Home::Missing;
        }
        let at = match slot.state() {
            ProxyState::Cooling { until, .. } => Some(until),
            ProxyState::Disabled { .. } => None,
            _ => Some(now + LOOK),
        };
        Home::Closed([at, leaves_at].into_iter().flatten().min())
    }

    /// When sessions that live there look for another home, if they do.
    fn leaves_at(&self, index: u32) -> Option<Timestamp> {
        let HomePolicy::Failover { after } = self.policy.home else { return None };
        let trouble = self.slots[index as usize].trouble.as_ref()?;
        Some(trouble.closed_since? + after)
    }

    /// The home of a session that comes in: its own while that is one, else the usable proxy with
    /// the fewest. None while none has room.
    pub fn settle_in(&mut self, home: Option<&ProxyId>, now: Timestamp) -> Option<ProxyId> {
        self.wake(now);
        let own = home.and_then(|id| self.index.get(id)).copied().filter(|&index| {
            let left = self.leaves_at(index).is_some_and(|at| at <= now);
            !left && !self.slots[index as usize].draining
        });
        let index = match own {
            Some(index) => index,
            None => {
                let key = self.rooms.first()?;
                u32::try_from(key & u64::from(u32::MAX)).ok()?
            }
        };
        self.change(index, |slot| slot.homes += 1);
        Some(self.slots[index as usize].proxy.id().clone())
    }

    /// A session that came in lives here no longer, or never did.
    pub fn move_out(&mut self, id: &ProxyId) {
        if let Some(&index) = self.index.get(id) {
            self.change(index, |slot| slot.homes = slot.homes.saturating_sub(1));
        }
    }

    /// When a session without a home may find one; none if that takes the operator, or another
    /// session's leaving.
    pub fn room_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.wake(now);
        if self.rooms.is_empty() { self.changes_at(now) } else { Some(now) }
    }
}
