//! What a lane without a ready pair waits for.

use std::cmp::Reverse;

use super::Pool;
use crate::engine::doctor::Wait;
use crate::engine::lane::Lane;
use crate::gate::{Gate, KeyClass, Need};
use crate::proxy::Home;

/// So many sessions in line are asked what they wait for.
const LOOKED_AT: usize = 8;

impl Pool {
    /// What keeps the lane from another pair, for statistics.
    pub(in crate::engine) fn wait_of(&self, lane: &Lane) -> Wait {
        let now = self.clock.now();
        if let Some(wait) = limit(&self.gate, &lane.keys.needs(None, None, None), now) {
            return wait;
        }
        let mut state = self.lock();
        let proxies = &mut state.proxies;
        if proxies.as_mut().is_some_and(|it| it.open_at(now).is_none_or(|at| at > now)) {
            return Wait::Proxies;
        }
        let Some(kind) = &lane.session else { return Wait::ProxyLimit };
        let held = state.held.values().filter(|held| held.kind == *kind).count();
        let super::State { kinds, proxies, .. } = &mut *state;
        let Some(line) = kinds.get(kind) else { return Wait::SessionsOut };
        if held == 0 {
            return line.next_at.map_or(Wait::SessionsOut, |_| Wait::SessionsAway);
        }
        let idle = line.ready.len() + line.waiting.len();
        if idle == 0 || held > 2 * idle {
            return Wait::Sessions;
        }
        let mut waits = Vec::with_capacity(LOOKED_AT);
        for Reverse(waiting) in line.waiting.iter().take(LOOKED_AT) {
            let session = &waiting.session;
            let proxy = match proxies.as_mut().map(|it| it.home(session.home.as_ref(), now)) {
                None => None,
                Some(Home::Open(proxy)) => Some(proxy),
                Some(Home::Closed(_) | Home::Missing) => {
                    waits.push(Wait::Proxies);
                    continue;
                }
            };
            let needs = lane.keys.needs(None, Some(&session.handle), proxy.as_deref());
            waits.extend(limit(&self.gate, &needs, now));
        }
        let often = |wait: &Wait| waits.iter().filter(|other| *other == wait).count();
        waits.iter().copied().max_by_key(often).unwrap_or(Wait::Sessions)
    }
}

/// What of these is ready last, if it is not now.
pub(in crate::engine) fn limit(
    gate: &Gate,
    needs: &[Need],
    now: crate::clock::Timestamp,
) -> Option<Wait> {
    let ready = |need: &&Need| gate.availability(std::slice::from_ref(*need)).ready_at;
    let last = needs.iter().max_by_key(ready)?;
    let at = ready(&last);
    let full = gate.availability(std::slice::from_ref(last)).now == 0 && at > now;
    full.then(|| wait_for(gate, last, now))
}

/// Whether a key is blocked, or its quota is full.
fn wait_for(gate: &Gate, need: &Need, now: crate::clock::Timestamp) -> Wait {
    let bare = Need::new(need.key.clone(), None);
    if gate.availability(&[bare]).ready_at > now {
        return Wait::Blocked;
    }
    match need.key.class() {
        KeyClass::App => Wait::AppLimit,
        KeyClass::Endpoint => Wait::EndpointLimit,
        KeyClass::Proxy => Wait::ProxyLimit,
        KeyClass::Session => Wait::SessionLimit,
    }
}
