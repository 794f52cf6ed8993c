//! When there may be a pair, and why there is none.

use std::cmp::Reverse;

use super::Pool;
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
        let now = self.clock.now();
        let mut state = self.lock();
        let shared = lane.keys.availability(&self.gate, None, None);
        let at = match &lane.session {
            None => match &mut state.proxies {
                None => Some(now),
                Some(proxies) => proxies.open_at(now),
            },
            Some(kind) => {
                let line = state.kind(kind);
                let waiting = line.waiting.peek().map(|Reverse(first)| first.at);
                let ready = (!line.ready.is_empty()).then_some(now);
                [waiting, ready, line.next_at].into_iter().flatten().min()
            }
        };
        at.map(|at| at.max(shared.ready_at))
    }

    /// When to look again even if nothing is known to become ready.
    pub(in crate::engine) fn ask_at(&self, lane: &Lane) -> Option<Timestamp> {
        let kind = lane.session.as_ref()?;
        Some(self.lock().kind(kind).ask_at)
    }

    /// Why nothing can go, for people and reports.
    pub(in crate::engine) async fn why_not(&self, lane: &Lane) -> Cause {
        let now = self.clock.now();
        let ready_at = self.ready_at(lane);
        if let Some(kind) = &lane.session {
            match self.census(kind).await {
                Err(error) => {
                    return Cause::new(Class::Transient, Scope::Ours, error.to_string());
                }
                Ok(census) => {
                    if let Some(cause) = census.blocking(kind) {
                        return cause.with_not_before(ready_at);
                    }
                }
            }
        }
        if let Some(proxies) = &mut self.lock().proxies
            && proxies.open_at(now).is_none_or(|at| at > now)
        {
            let message = if proxies.is_empty() {
                "there is no proxy in the list"
            } else {
                "no proxy may be used now: all rest or are disabled"
            };
            return Cause::new(Class::Blocked, Scope::Proxy, message).with_not_before(ready_at);
        }
        let message =
            "its turn did not come in time: more sessions or a longer deadline would help";
        Cause::new(Class::RateLimited, Scope::Ours, message).with_not_before(ready_at)
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
