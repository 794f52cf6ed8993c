//! Which proxies may be used: states, homes, and the choice among them. Plain data under the pool's
//! lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::ProxyId;
use crate::proxy::{Proxy, ProxyState};

#[derive(Debug, Default)]
pub(super) struct Proxies {
    slots: BTreeMap<ProxyId, Slot>,
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    proxy: Arc<Proxy>,
    state: ProxyState,
    /// It rests because its breaker is open, and for no other reason.
    broken: bool,
    /// Sessions that live here.
    homes: usize,
    /// Checks that run through it now.
    busy: usize,
    last_use: u64,
}

/// Where a session can be seen through.
#[derive(Debug)]
pub(super) enum Home {
    /// Its proxy rests until then, or (none) waits for the operator.
    Closed(Option<Timestamp>),
    /// There are no proxies at all: directly.
    Direct,
    /// It has no home, or one that is gone.
    Missing,
    /// Through this proxy.
    Open(Arc<Proxy>),
}

impl Slot {
    /// When it may be used: now, later, or not without the operator.
    fn open_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        match &self.state {
            ProxyState::Active => Some(now),
            ProxyState::Cooling { until, .. } if *until <= now => {
                self.state = ProxyState::Active;
                Some(now)
            }
            ProxyState::Cooling { until, .. } => Some(*until),
            ProxyState::Disabled { .. } => None,
        }
    }
}

impl Proxies {
    /// Takes a new list over; what is known of proxies that stay is kept.
    pub(super) fn replace(&mut self, listed: Vec<Proxy>, states: Vec<(ProxyId, ProxyState)>) {
        let mut old = std::mem::take(&mut self.slots);
        let mut states: BTreeMap<_, _> = states.into_iter().collect();
        for proxy in listed {
            let id = proxy.id().clone();
            let state = states.remove(&id).unwrap_or_default();
            let slot = match old.remove(&id) {
                Some(slot) if *slot.proxy == proxy => Slot { state, ..slot },
                Some(slot) => Slot { proxy: Arc::new(proxy), state, ..slot },
                None => Slot {
                    proxy: Arc::new(proxy),
                    state,
                    broken: false,
                    homes: 0,
                    busy: 0,
                    last_use: 0,
                },
            };
            self.slots.insert(id, slot);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the first proxy may be used.
    pub(super) fn open_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.slots.values_mut().filter_map(|slot| slot.open_at(now)).min()
    }

    pub(super) fn home(&mut self, home: Option<&ProxyId>, now: Timestamp) -> Home {
        let Some(slot) = home.and_then(|id| self.slots.get_mut(id)) else { return Home::Missing };
        match slot.open_at(now) {
            Some(at) if at <= now => Home::Open(Arc::clone(&slot.proxy)),
            closed => Home::Closed(closed),
        }
    }

    /// The home of a session that comes in: its own if that still exists, else the usable proxy with
    /// the fewest. None while no proxy may be used.
    pub(super) fn settle_in(&mut self, home: Option<&ProxyId>, now: Timestamp) -> Option<ProxyId> {
        if let Some(slot) = home.and_then(|id| self.slots.get_mut(id)) {
            slot.homes += 1;
            return home.cloned();
        }
        let usable = |slot: &mut Slot| slot.open_at(now).is_some_and(|at| at <= now);
        let open =
            self.slots.iter_mut().filter_map(|(id, slot)| usable(slot).then_some((id, slot)));
        let (id, slot) = open.min_by_key(|(_, slot)| slot.homes)?;
        slot.homes += 1;
        Some(id.clone())
    }

    /// A session that came in lives here no longer, or never did.
    pub(super) fn move_out(&mut self, id: &ProxyId) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.homes = slot.homes.saturating_sub(1);
        }
    }

    pub(super) fn take(&mut self, id: &ProxyId) {
        self.uses += 1;
        if let Some(slot) = self.slots.get_mut(id) {
            slot.busy += 1;
            slot.last_use = self.uses;
        }
    }

    pub(super) fn give_back(&mut self, id: &ProxyId) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.busy = slot.busy.saturating_sub(1);
        }
    }

    /// The usable proxy with the least to do, the longest unused first.
    pub(super) fn take_least_used(
        &mut self,
        now: Timestamp,
        may: impl Fn(&Proxy) -> bool,
    ) -> Option<Arc<Proxy>> {
        let open = self.slots.values_mut().filter_map(|slot| {
            let open = slot.open_at(now).is_some_and(|at| at <= now) && may(&slot.proxy);
            open.then_some((slot.busy, slot.last_use, &slot.proxy))
        });
        let (_, _, proxy) = open.min_by_key(|(busy, last_use, _)| (*busy, *last_use))?;
        let proxy = Arc::clone(proxy);
        self.take(proxy.id());
        Some(proxy)
    }

    /// Lets a proxy rest; the new state, unless it rests longer or is disabled already.
    pub(super) fn rest(
        &mut self,
        id: &ProxyId,
        until: Timestamp,
        reason: String,
    ) -> Option<ProxyState> {
        let slot = self.slots.get_mut(id)?;
        match &slot.state {
            ProxyState::Disabled { .. } => return None,
            ProxyState::Cooling { until: known, .. } if *known >= until => return None,
            ProxyState::Cooling { .. } | ProxyState::Active => {}
        }
        slot.state = ProxyState::Cooling { until, reason };
        slot.broken = false;
        Some(slot.state.clone())
    }

    /// Its breaker is open until then; the new state as with a rest.
    pub(super) fn broken(
        &mut self,
        id: &ProxyId,
        until: Timestamp,
        reason: String,
    ) -> Option<ProxyState> {
        let state = self.rest(id, until, reason)?;
        self.slots.get_mut(id)?.broken = true;
        Some(state)
    }

    /// Its breaker opened by the fault of another; the new state if it rests for nothing else.
    pub(super) fn absolved(&mut self, id: &ProxyId) -> Option<ProxyState> {
        let slot = self.slots.get_mut(id)?;
        let rests = matches!(slot.state, ProxyState::Cooling { .. });
        (rests && slot.broken).then(|| {
            slot.state = ProxyState::Active;
            ProxyState::Active
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn proxies(hosts: &[&str]) -> Proxies {
        let mut proxies = Proxies::default();
        let listed = hosts.iter().map(|host| Proxy::new(format!("{host}:1").parse().unwrap()));
        proxies.replace(listed.collect(), vec![]);
        proxies
    }

    fn id(host: &str) -> ProxyId {
        ProxyId::new(format!("http://{host}:1"))
    }

    #[test]
    fn sessions_spread_over_the_proxies_and_keep_their_home() {
        let mut proxies = proxies(&["a", "b"]);
        let homes: Vec<_> = (0..4).filter_map(|_| proxies.settle_in(None, NOW)).collect();
        assert_eq!(homes, [id("a"), id("b"), id("a"), id("b")]);
        assert_eq!(proxies.settle_in(Some(&id("a")), NOW), Some(id("a")));
        assert_eq!(proxies.settle_in(Some(&id("gone")), NOW), Some(id("b")));
    }

    #[test]
    fn a_broken_proxy_rests_and_time_or_another_s_guilt_brings_it_back() {
        let mut proxies = proxies(&["a"]);
        let until = NOW + Duration::from_secs(60);
        let state = proxies.broken(&id("a"), until, "resets".into());
        assert!(matches!(state, Some(ProxyState::Cooling { .. })));
        assert!(matches!(proxies.home(Some(&id("a")), NOW), Home::Closed(Some(at)) if at == until));
        assert_eq!(proxies.open_at(NOW), Some(until));
        assert!(matches!(proxies.home(Some(&id("a")), until), Home::Open(_)));

        proxies.broken(&id("a"), until, "resets".into());
        assert_eq!(proxies.absolved(&id("a")), Some(ProxyState::Active));
        assert_eq!(proxies.open_at(NOW), Some(NOW));
        proxies.rest(&id("a"), until, "the platform wants it so".into());
        assert_eq!(proxies.absolved(&id("a")), None);
    }

    #[test]
    fn a_rest_is_never_shortened_and_a_disabled_proxy_stays_disabled() {
        let mut proxies = proxies(&["a", "b"]);
        let long = NOW + Duration::from_secs(600);
        assert!(proxies.rest(&id("a"), long, "407".into()).is_some());
        assert_eq!(proxies.rest(&id("a"), NOW + Duration::from_secs(1), "x".into()), None);

        let disabled = ProxyState::Disabled { reason: "operator".into() };
        let listed = vec![Proxy::new("b:1".parse().unwrap())];
        proxies.replace(listed, vec![(id("b"), disabled)]);
        assert_eq!(proxies.rest(&id("b"), long, "x".into()), None);
        assert_eq!(proxies.open_at(NOW), None);
        assert!(matches!(proxies.home(Some(&id("a")), NOW), Home::Missing), "no longer listed");
        assert!(proxies.settle_in(None, NOW).is_none());
    }

    #[test]
    fn the_least_used_proxy_is_taken_first() {
        let mut proxies = proxies(&["a", "b", "c"]);
        let mut take = || proxies.take_least_used(NOW, |_| true).map(|proxy| proxy.id().clone());
        assert_eq!(
            [take(), take(), take(), take()],
            [Some(id("a")), Some(id("b")), Some(id("c")), Some(id("a"))]
        );
        proxies.give_back(&id("b"));
        let next = proxies.take_least_used(NOW, |proxy| proxy.id() != &id("c"));
        assert_eq!(next.unwrap().id(), &id("b"));
    }
}
