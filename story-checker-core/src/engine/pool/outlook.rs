//! When there may be a pair, and why there is none.

use std::cmp::Reverse;

use super::{ASK_AGAIN, Pool};
use crate::checker::GateKeys;
use crate::clock::Timestamp;
use crate::engine::census::Census;
use crate::engine::lane::Lane;
use crate::error::Result;
use crate::fault::{Class, Scope};
use crate::report::Cause;
use crate::session::SessionKind;

impl Pool {
    /// When a pair may be ready that is not now; none if that takes the operator.
    pub(in crate::engine) fn ready_at(&self, lane: &Lane) -> Option<Timestamp> {
        if self.goes_without(lane) { self.open_at(None) } else { self.own_ready_at(lane) }
    }

    /// The same of a pair with what the lane needs, whether or not it can do without.
    fn own_ready_at(&self, lane: &Lane) -> Option<Timestamp> {
        let Some(kind) = &lane.session else { return self.open_at(Some(&lane.keys)) };
        let now = self.clock.now();
        let shared = lane.keys.availability(&self.gate, None, None);
        let mut state = self.lock();
        let line = state.kind(kind);
        let waiting = line.waiting.peek().map(|Reverse(first)| first.at);
        let ready = (!line.ready.is_empty()).then_some(now);
        let at = [waiting, ready, line.next_at].into_iter().flatten().min();
        at.map(|at| at.max(shared.ready_at))
    }

    /// When something may go out without a session; without `keys`, under any name.
    pub(super) fn open_at(&self, keys: Option<&GateKeys>) -> Option<Timestamp> {
        let now = self.clock.now();
        let open_at = match &mut self.lock().proxies {
            None => Some(now),
            Some(proxies) => proxies.open_at(now),
        };
        let ready_at = keys.map_or(now, |keys| keys.availability(&self.gate, None, None).ready_at);
        open_at.map(|at| at.max(ready_at))
    }

    /// Whether a lane that can do without a session has to: none of the kind is in use, and none
    /// may go within the time of a lease. What another worker holds is back or renewed by then, so
    /// that it too is waited for.
    pub(super) fn goes_without(&self, lane: &Lane) -> bool {
        let Some(kind) = lane.session.as_ref().filter(|_| lane.session_optional) else {
            return false;
        };
        let now = self.clock.now();
        let soon = now + self.lease;
        let shared = lane.keys.availability(&self.gate, None, None);
        let mut state = self.lock();
        let held = state.held.values().filter(|held| held.kind == *kind).count();
        let line = state.kind(kind);
        let ready = line.ready.iter().map(|session| (session, Some(now)));
        let waiting = line.waiting.iter().map(|Reverse(it)| {
            let at = (!it.only_looks).then_some(it.at);
            (&it.session, at)
        });
        let (mut idle, mut first) = (0, None);
        for (_, at) in ready.chain(waiting).filter(|(session, _)| !session.lost.is_cancelled()) {
            idle += 1;
            first = [first, at].into_iter().flatten().min();
        }
        if held == 0 {
            // Else the store may mean the leases of this worker.
            first = line.next_at;
        }
        drop(state);
        let is_near = first.is_some_and(|at| at.max(shared.ready_at) <= soon);
        held <= idle && !is_near
    }

    /// Whether the store has sessions for the lane that this worker has not asked for yet: it leases
    /// as many as there is work for, so that the end of these is not the end of all.
    pub(in crate::engine) async fn may_lease(&self, lane: &Lane) -> Result<bool> {
        let Some(kind) = &lane.session else { return Ok(false) };
        let valid = self.census(kind).await?.valid();
        let held = self.lock().held.values().filter(|held| held.kind == *kind).count();
        Ok(valid > held)
    }

    /// When to look again even if nothing is known to become ready.
    pub(in crate::engine) fn ask_at(&self, lane: &Lane) -> Option<Timestamp> {
        let kind = lane.session.as_ref()?;
        Some(self.lock().kind(kind).ask_at)
    }

    /// Why nothing can go, for people and reports.
    pub(in crate::engine) async fn why_not(&self, lane: &Lane) -> Cause {
        let now = self.clock.now();
        let ready_at = self.own_ready_at(lane);
        if let Some(kind) = &lane.session {
            match self.blocking(kind).await {
                Err(error) => {
                    return Cause::new(Class::Transient, Scope::Ours, error.to_string());
                }
                Ok(Some(cause)) => return cause.with_not_before(ready_at),
                Ok(None) => {}
            }
        }
        if let Some(proxies) = &mut self.lock().proxies
            && proxies.open_at(now).is_none_or(|at| at > now)
        {
            let message = if proxies.is_empty() {
                "there is no proxy in the list"
            } else {
                "no proxy may be used now: all rest, are in use or are disabled"
            };
            return Cause::new(Class::Blocked, Scope::Proxy, message).with_not_before(ready_at);
        }
        if let Some((key, at)) = lane.keys.down(&self.gate) {
            let message = format!("{key} has failed again and again, and is tried next at {at}");
            return Cause::new(Class::Transient, Scope::Endpoint, message)
                .with_not_before(Some(at));
        }
        // What all sessions share is what more of them cannot help against.
        let shared = lane.keys.availability(&self.gate, None, None);
        let message = if lane.session.is_none() || shared.ready_at > now {
            "its turn did not come in time: a longer deadline would help"
        } else {
            "its turn did not come in time: more sessions or a longer deadline would help"
        };
        Cause::new(Class::RateLimited, Scope::Ours, message).with_not_before(ready_at)
    }

    /// Why no session of the kind can be used, if so; what was found a moment ago is good enough.
    pub(in crate::engine) async fn blocking_lately(
        &self,
        kind: &SessionKind,
    ) -> Result<Option<Cause>> {
        let now = self.clock.now();
        if let Some((until, cause)) = &self.lock().kind(kind).blocking
            && *until > now
        {
            return Ok(Some(cause.clone()));
        }
        self.blocking(kind).await
    }

    /// Why no session of the kind can be used, if so.
    async fn blocking(&self, kind: &SessionKind) -> Result<Option<Cause>> {
        let cause = self.census(kind).await?.blocking(kind);
        let until = self.clock.now() + ASK_AGAIN;
        self.lock().kind(kind).blocking = cause.clone().map(|cause| (until, cause));
        Ok(cause)
    }

    async fn census(&self, kind: &SessionKind) -> Result<Census> {
        let mut census = Census::default();
        let mut after = None;
        loop {
            let page = self.sessions.list(after, 512).await?;
            let Some(last) = page.last() else { return Ok(census) };
            after = Some(last.id.clone());
            for record in page.iter().filter(|record| record.kind == *kind) {
                census.count(&record.state);
            }
        }
    }
}
