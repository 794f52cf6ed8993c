//! The pool's proxies between the source, the checks and the probes.

use std::sync::Arc;

use super::Pool;
use crate::clock::Timestamp;
use crate::engine::event::Event;
use crate::engine::lesson::Lesson;
use crate::error::Result;
use crate::fault::{Fault, Scope};
use crate::id::ProxyId;
use crate::proxy::{Proxy, ProxyState, ProxyView, Rest};

impl Pool {
    /// Reads the list of proxies and their stored states anew.
    pub(in crate::engine) async fn reload_proxies(&self) -> Result<()> {
        let Some(source) = &self.source else { return Ok(()) };
        let listed = source.list().await?;
        let states = source.load().await?;
        let now = self.clock.now();
        if let Some(proxies) = &mut self.lock().proxies {
            proxies.replace(listed, states, now);
        }
        self.probing.notify_one();
        Ok(())
    }

    /// Stores states that could not be stored before, and learns what the operator and other
    /// workers have stored meanwhile.
    pub(in crate::engine) async fn keep_states(&self) {
        self.forget_old();
        let Some(source) = &self.source else { return };
        let unsaved = self.lock().proxies.as_ref().map(|proxies| proxies.unsaved());
        self.store_states(&unsaved.unwrap_or_default()).await;
        match source.load().await {
            Ok(states) => {
                let now = self.clock.now();
                if let Some(proxies) = &mut self.lock().proxies {
                    proxies.learn(states, now);
                }
                self.probing.notify_one();
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the proxies' states could not be read anew"
                );
            }
        }
    }

    async fn store_states(&self, states: &[(ProxyId, ProxyState)]) {
        let Some(source) = self.source.as_ref().filter(|_| !states.is_empty()) else { return };
        // A proxy in use is stored as one whose rest is over: that, unlike `Active`, never takes the
        // place of what the operator has said meanwhile.
        let until = self.clock.now();
        let over = ProxyState::Cooling { until, reason: "it is over".to_owned() };
        let stored: Vec<_> = states
            .iter()
            .map(|(id, state)| match state {
                ProxyState::Active => (id.clone(), over.clone()),
                other => (id.clone(), other.clone()),
            })
            .collect();
        match source.save(&stored).await {
            Ok(()) => {
                if let Some(proxies) = &mut self.lock().proxies {
                    proxies.saved(states);
                }
            }
            Err(error) => {
                tracing::warn!(
                    proxies = states.len(),
                    error = &error as &dyn std::error::Error,
                    "states of proxies could not be stored; tried again later"
                );
            }
        }
    }

    pub(super) async fn teach_proxy(&self, proxy: Option<&Proxy>, lesson: &Lesson) {
        let Some(id) = proxy.map(Proxy::id) else { return };
        let now = self.clock.now();
        let changed = {
            let mut state = self.lock();
            let Some(proxies) = &mut state.proxies else { return };
            let own = lesson.faults.iter().filter(|(_, scope)| *scope == Scope::Proxy);
            proxies.count(id, lesson.ok, own.map(|(class, _)| *class), now);
            match &lesson.rest {
                Some(rest) => proxies.rest(id, rest.clone(), now),
                None if lesson.ok > 0 => proxies.succeeded(id),
                None => None,
            }
        };
        self.tell(id, changed).await;
    }

    /// A proxy's breaker is open until then.
    pub(in crate::engine) async fn break_proxy(&self, id: &ProxyId, rest: Rest) {
        let now = self.clock.now();
        let changed = self.lock().proxies.as_mut().and_then(|it| it.broken(id, rest, now));
        self.tell(id, changed).await;
    }

    /// A proxy's breaker opened by the fault of another: if it rests for nothing else, it may be used
    /// again, and the sessions that live there with it.
    pub(in crate::engine) async fn absolve_proxy(&self, id: &ProxyId) {
        let changed = self.lock().proxies.as_mut().and_then(|proxies| proxies.absolved(id));
        if let Some(state) = &changed {
            // Unlike a rest that is over, this one is still stored.
            self.store_states(&[(id.clone(), state.clone())]).await;
        }
        self.tell(id, changed).await;
        for line in self.lock().kinds.values_mut() {
            line.wake_if(|session| session.home.as_ref() == Some(id));
        }
    }

    /// Stores and tells a new state.
    async fn tell(&self, id: &ProxyId, changed: Option<ProxyState>) {
        let Some(state) = changed else { return };
        if state == ProxyState::Active {
            tracing::info!(proxy = %id, "a proxy is back");
        } else {
            tracing::warn!(proxy = %id, ?state, "a proxy rests");
            // A rest that is over need not be stored: it is over for everybody.
            self.store_states(&[(id.clone(), state.clone())]).await;
            self.probing.notify_one();
        }
        self.bus.emit(Event::ProxyChanged { proxy: id.clone(), state }).await;
    }

    /// Up to `max` proxies to probe now, and when there may be more.
    pub(in crate::engine) fn next_probes(
        &self,
        max: usize,
    ) -> (Vec<Arc<Proxy>>, Option<Timestamp>) {
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(proxies) = &mut state.proxies else { return (Vec::new(), None) };
        (proxies.next_probes(max, now), proxies.probe_at(now))
    }

    /// Ends a probe.
    pub(in crate::engine) async fn probed(&self, id: &ProxyId, result: Result<(), Fault>) {
        let now = self.clock.now();
        let changed = self
            .lock()
            .proxies
            .as_mut()
            .and_then(|proxies| proxies.probed(id, result.as_ref().copied(), self.rest, now));
        self.tell(id, changed).await;
        self.returned.notify_waiters();
    }

    /// All proxies as they stand.
    pub(in crate::engine) fn proxies(&self) -> Vec<ProxyView> {
        self.lock().proxies.as_ref().map(|proxies| proxies.views()).unwrap_or_default()
    }
}
