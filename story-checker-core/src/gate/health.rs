//! The breakers of all endpoints and proxies, and whose fault a result is.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::mpsc;

use super::breaker::{Breaker, BreakerCause, BreakerPolicy, BreakerState, Breakers, Change};
use super::change::BreakerChange;
use super::key::{Key, KeyClass, Need};
use super::lately::Lately;
use crate::charge::{ProxyCharge, charge};
use crate::fault::Fault;

/// What is known of the keys that have a breaker. Those that nothing fails at are not in it.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) policies: Breakers,
    breakers: HashMap<Key, Breaker>,
    /// Per endpoint.
    lately: HashMap<Key, Lately>,
    /// The epoch of keys without a breaker: none that was forgotten has had a later one.
    epoch: u32,
    sweep_at: usize,
    /// What has changed since it was last told.
    pub(super) changes: Vec<(Key, Change)>,
    pub(super) listeners: Vec<mpsc::UnboundedSender<BreakerChange>>,
}

/// What a result says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Nothing of anybody.
    Nothing,
    /// Proxy and endpoint work.
    Good,
    /// The endpoint fails.
    EndpointFails,
    /// The proxy fails.
    ProxyFails,
}

impl Says {
    fn of(fault: Option<&Fault>) -> Self {
        let Some(fault) = fault else { return Self::Good };
        let charge = charge(fault.class, fault.scope);
        if charge.answered {
            Self::Good
        } else if charge.count {
            Self::EndpointFails
        } else if charge.proxy == ProxyCharge::Count {
            Self::ProxyFails
        } else {
            Self::Nothing
        }
    }
}

impl Breakers {
    /// The policy of the keys of a class; none if they have no breaker.
    pub(super) const fn of(&self, class: KeyClass) -> Option<&BreakerPolicy> {
        match class {
            KeyClass::Endpoint => Some(&self.endpoint),
            KeyClass::Proxy => Some(&self.proxy),
            KeyClass::App | KeyClass::Session => None,
        }
    }
}

/// The need of a class among those of one request.
fn need(needs: &[Need], class: KeyClass) -> Option<&Need> {
    needs.iter().find(|need| need.key.class() == class)
}

fn seed(key: &Key) -> u64 {
    // Not the map's own hash: that of `DefaultHasher::new` is the same in every run.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Health {
    fn known(&self, key: &Key) -> Option<(&Breaker, &BreakerPolicy)> {
        if self.breakers.is_empty() {
            return None;
        }
        Some((self.breakers.get(key)?, self.policies.of(key.class())?))
    }

    /// When the breakers of all needs are ready, and the one that is last.
    pub(super) fn ready_at<'a>(&self, needs: &'a [Need], now: u64) -> Option<(u64, &'a Key)> {
        let ready = needs.iter().filter_map(|need| {
            let (breaker, policy) = self.known(&need.key)?;
            Some((breaker.ready_at(policy, now), &need.key))
        });
        ready.max_by_key(|(at, _)| *at).filter(|(at, _)| *at > now)
    }

    /// How many requests the breakers of all needs would let through.
    pub(super) fn permits(&self, needs: &[Need], now: u64) -> u32 {
        let permits = needs.iter().filter_map(|need| {
            let (breaker, policy) = self.known(&need.key)?;
            Some(breaker.permits(policy, now))
        });
        permits.min().unwrap_or(u32::MAX)
    }

    /// The same, but where nobody has probed for long the half-open ones do not count.
    pub(super) fn room(&self, needs: &[Need], now: u64) -> u32 {
        let permits = needs.iter().filter_map(|need| {
            let (breaker, policy) = self.known(&need.key)?;
            (!breaker.is_unwanted(policy, now)).then(|| breaker.permits(policy, now))
        });
        permits.min().unwrap_or(u32::MAX)
    }

    /// Lets one request through; all breakers were found [ready](Self::ready_at).
    pub(super) fn acquire(&mut self, needs: &mut [Need], now: u64) {
        for need in needs {
            let Some(policy) = self.policies.of(need.key.class()) else { continue };
            need.epoch = self.epoch;
            if self.breakers.is_empty() {
                continue;
            }
            let Some(breaker) = self.breakers.get_mut(&need.key) else { continue };
            if let Some((epoch, change)) = breaker.acquire(policy, now) {
                need.epoch = epoch;
                self.changes.extend(change.map(|change| (need.key.clone(), change)));
            }
        }
    }

    /// A request has no result.
    pub(super) fn give_back(&mut self, needs: &[Need]) {
        if self.breakers.is_empty() {
            return;
        }
        for need in needs {
            if let Some(breaker) = self.breakers.get_mut(&need.key) {
                breaker.ignore(need.epoch);
            }
        }
    }

    /// A request has ended, with this fault or an answer.
    pub(super) fn settle(&mut self, needs: &[Need], fault: Option<&Fault>, now: u64) {
        let (endpoint, proxy) = (need(needs, KeyClass::Endpoint), need(needs, KeyClass::Proxy));
        match Says::of(fault) {
            Says::Nothing => self.give_back(needs),
            Says::Good => {
                for need in [endpoint, proxy].into_iter().flatten() {
                    self.succeeded(need, now);
                }
                if let (Some(endpoint), Some(proxy)) = (endpoint, proxy) {
                    self.lately(&endpoint.key).answered(&proxy.key, now);
                }
            }
            Says::EndpointFails => {
                self.give_back(proxy.map_or(&[], std::slice::from_ref));
                if let Some(endpoint) = endpoint {
                    self.failed(endpoint, now);
                }
            }
            Says::ProxyFails => self.proxy_fails(endpoint, proxy, now),
        }
    }

    /// The proxy is named as the one to blame. It is not if the endpoint is known, or found, to be
    /// down: then it is the same through each of them.
    fn proxy_fails(&mut self, endpoint: Option<&Need>, proxy: Option<&Need>, now: u64) {
        let Some(proxy) = proxy else {
            return self.give_back(endpoint.map_or(&[], std::slice::from_ref));
        };
        let Some(endpoint) = endpoint else { return self.failed(proxy, now) };
        let known = self.breakers.get(&endpoint.key);
        if known.map_or(self.epoch, Breaker::epoch) != endpoint.epoch {
            // It was on its way when the endpoint opened.
            return self.give_back(std::slice::from_ref(proxy));
        }
        if known.is_some_and(|breaker| breaker.state(now) == BreakerState::HalfOpen) {
            self.give_back(std::slice::from_ref(proxy));
            return self.failed(endpoint, now);
        }
        if !self.lately(&endpoint.key).failed(&proxy.key, now) {
            return self.failed(proxy, now);
        }
        let (seed, policy) = (seed(&endpoint.key), self.policies.endpoint);
        let breaker = self.breaker(&endpoint.key, now);
        let change = breaker.open(&policy, now, BreakerCause::CommonCause, seed);
        let opened = change.is_some();
        self.changes.extend(change.map(|change| (endpoint.key.clone(), change)));
        if opened {
            self.absolve(&endpoint.key, now);
        } else {
            // The operator wants nothing to happen to the endpoint.
            self.failed(proxy, now);
        }
    }

    /// An endpoint has opened: what the proxies were charged with there lately is void.
    fn absolve(&mut self, endpoint: &Key, now: u64) {
        let Some(lately) = self.lately.get_mut(endpoint) else { return };
        let (proxies, since) = lately.clear(now);
        for key in proxies {
            if let Some(breaker) = self.breakers.get_mut(&key) {
                let change = breaker.void(since, now);
                self.changes.extend(change.map(|change| (key, change)));
            }
        }
    }

    fn succeeded(&mut self, need: &Need, now: u64) {
        if self.breakers.is_empty() {
            return;
        }
        let (Some(policy), Some(breaker)) =
            (self.policies.of(need.key.class()), self.breakers.get_mut(&need.key))
        else {
            return;
        };
        let change = breaker.succeeded(policy, now, need.epoch);
        self.changes.extend(change.map(|change| (need.key.clone(), change)));
    }

    fn failed(&mut self, need: &Need, now: u64) {
        let Some(policy) = self.policies.of(need.key.class()).copied() else { return };
        let breaker = self.breaker(&need.key, now);
        let Some(change) = breaker.failed(&policy, now, need.epoch, seed(&need.key)) else {
            return;
        };
        self.changes.push((need.key.clone(), change));
        if need.key.class() == KeyClass::Endpoint && change.from == BreakerState::Closed {
            self.absolve(&need.key, now);
        }
    }

    /// The breaker of a key, made if there is none.
    pub(super) fn breaker(&mut self, key: &Key, now: u64) -> &mut Breaker {
        if !self.breakers.contains_key(key) {
            self.sweep(now);
        }
        let epoch = self.epoch;
        self.breakers.entry(key.clone()).or_insert_with(|| Breaker::new(epoch, now))
    }

    fn lately(&mut self, endpoint: &Key) -> &mut Lately {
        if !self.lately.contains_key(endpoint) {
            self.lately.insert(endpoint.clone(), Lately::default());
        }
        self.lately.get_mut(endpoint).expect("was just inserted")
    }

    /// Forgets what forgetting does not change, when there is much of it.
    fn sweep(&mut self, now: u64) {
        if self.breakers.len() < self.sweep_at.max(1024) {
            return;
        }
        let (policies, mut latest) = (self.policies, self.epoch);
        self.breakers.retain(|key, breaker| {
            let idle = policies.of(key.class()).is_none_or(|policy| breaker.is_idle(policy, now));
            if idle {
                latest = latest.max(breaker.epoch() + 1);
            }
            !idle
        });
        self.epoch = latest;
        self.sweep_at = self.breakers.len() * 2;
        self.lately.values_mut().for_each(|lately| lately.tidy(now));
        self.lately.retain(|_, lately| !lately.is_empty());
    }

    /// The end of a key's open time, while it is open.
    pub(super) fn until(&self, key: &Key, now: u64) -> Option<u64> {
        self.breakers.get(key)?.open_until_at(now)
    }

    /// All breakers that are known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Breaker)> {
        self.breakers.iter()
    }

    /// For how many keys anything is kept.
    pub(super) fn len(&self) -> usize {
        self.breakers.len() + self.lately.values().map(Lately::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
