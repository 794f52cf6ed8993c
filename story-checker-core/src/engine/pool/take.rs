//! The pool hands out pairs: sessions in line, sessions new from the store, homes for those that
//! have none.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::line::{Kind, Leased};
use super::{ASK_AGAIN, Held, Pair, Pool, State};
use crate::checker::GateKeys;
use crate::clock::Timestamp;
use crate::engine::lane::Lane;
use crate::error::Result;
use crate::proxy::{Home, Proxy, ProxyPool};
use crate::session::{LeaseReply, SessionKind, SessionLeaseRequest, SessionState};

impl Pool {
    /// Up to `max` pairs that may send a request now.
    pub(in crate::engine) async fn take(
        self: &Arc<Self>,
        lane: &Lane,
        max: usize,
    ) -> Result<Vec<Pair>> {
        let now = self.clock.now();
        let Some(kind) = &lane.session else {
            return Ok(self.take_without_session(Some(&lane.keys), max, now));
        };
        let pairs = self.take_with_session(&lane.keys, kind, max, now).await?;
        if pairs.is_empty() && self.goes_without(lane) {
            return Ok(self.take_without_session(None, max, now));
        }
        Ok(pairs)
    }

    async fn take_with_session(
        self: &Arc<Self>,
        keys: &GateKeys,
        kind: &SessionKind,
        max: usize,
        now: Timestamp,
    ) -> Result<Vec<Pair>> {
        let (mut pairs, mut homeless) = self.take_ready(keys, kind, max, now);
        let want = max - pairs.len();
        if want > 0 {
            let owner = self.worker.clone();
            let request = SessionLeaseRequest::new(kind.clone(), owner, self.lease, want);
            match self.ask_store(&request).await {
                Ok((more, _)) => homeless.extend(more),
                Err(error) => {
                    let mut state = self.lock();
                    homeless.into_iter().for_each(|session| state.idle(session));
                    return Err(error);
                }
            }
        }
        if !homeless.is_empty() {
            self.settle_in(homeless).await?;
            let more = self.take_ready(keys, kind, max - pairs.len(), now);
            pairs.extend(more.0);
            self.wait_for_homes(more.1);
        }
        Ok(pairs)
    }

    /// Leases sessions that are new to this pool, and says when the store may have more. A store
    /// that has said when it has more is not asked before, except for the session of one account.
    pub(super) async fn ask_store(
        &self,
        request: &SessionLeaseRequest,
    ) -> Result<(Vec<Leased>, Option<Timestamp>)> {
        let now = self.clock.now();
        if request.account.is_none() {
            let mut state = self.lock();
            let line = state.kind(&request.kind);
            if line.ask_at > now {
                return Ok((Vec::new(), line.next_at));
            }
        }
        let leased = self.sessions.lease(request).await?;
        let all = leased.sessions.len();
        let fresh = self.sort_out_condemned(leased.sessions).await?;
        let mut state = self.lock();
        if request.account.is_none() {
            let line = state.kind(&request.kind);
            line.next_at = leased.next_at;
            if all < request.max {
                let again = now + ASK_AGAIN;
                line.ask_at = leased.next_at.map_or(again, |next| next.clamp(now, again));
            }
        }
        let mut sessions = Vec::with_capacity(fresh.len());
        for (record, fence) in fresh {
            state.note_lease(&record, now);
            let lost = CancellationToken::new();
            let (kind, account) = (record.kind.clone(), record.account.clone());
            let held = Held { fence, kind, account, home: None, lost: lost.clone() };
            state.held.insert(record.id.clone(), held);
            sessions.push(Leased::new(record, fence, lost, now));
        }
        drop(state);
        Ok((sessions, leased.next_at))
    }

    /// Takes ready sessions out of the line. Those that must wait go to the heap; those without a
    /// home that still exists come second.
    fn take_ready(
        self: &Arc<Self>,
        keys: &GateKeys,
        kind: &SessionKind,
        max: usize,
        now: Timestamp,
    ) -> (Vec<Pair>, Vec<Leased>) {
        let (mut pairs, mut homeless) = (Vec::new(), Vec::new());
        let mut state = self.lock();
        let State { kinds, proxies, .. } = &mut *state;
        let Some(line) = kinds.get_mut(kind) else { return (pairs, homeless) };
        line.wake(now);
        while pairs.len() < max
            && let Some(session) = line.ready.pop_front()
        {
            pairs.extend(self.pair_up(keys, line, proxies, session, now, &mut homeless));
        }
        drop(state);
        (pairs, homeless)
    }

    /// Makes a pair of a session and its home, if both and the gate are ready. Else the session
    /// waits in line, or has lost its home, or its lease and is forgotten.
    pub(super) fn pair_up(
        self: &Arc<Self>,
        keys: &GateKeys,
        line: &mut Kind,
        proxies: &mut Option<ProxyPool>,
        session: Leased,
        now: Timestamp,
        homeless: &mut Vec<Leased>,
    ) -> Option<Pair> {
        if session.lost.is_cancelled() {
            return None;
        }
        let proxy = match proxies {
            None => None,
            Some(proxies) => match proxies.home(session.home.as_ref(), now) {
                Home::Open(proxy) => Some(proxy),
                Home::Closed(until) => {
                    line.wait(session, until, now);
                    return None;
                }
                Home::Missing => {
                    homeless.push(session);
                    return None;
                }
            },
        };
        let ready = keys.availability(&self.gate, Some(&session.handle), proxy.as_deref());
        if ready.now == 0 {
            line.wait(session, Some(ready.ready_at), now);
            return None;
        }
        if let (Some(proxies), Some(proxy)) = (proxies.as_mut(), &proxy) {
            proxies.take(proxy.id());
        }
        Some(Pair { pool: Arc::clone(self), session: Some(session), proxy })
    }

    /// Sessions for which no proxy has room now wait until one may.
    pub(in crate::engine) fn wait_for_homes(&self, sessions: Vec<Leased>) {
        let now = self.clock.now();
        let mut state = self.lock();
        for session in sessions {
            let room_at = state.proxies.as_mut().and_then(|proxies| proxies.room_at(now));
            state.kind(&session.kind.clone()).wait(session, room_at, now);
        }
    }

    /// Ways out alone. Without `keys`, nothing is sent under the names of the lane itself.
    pub(super) fn take_without_session(
        self: &Arc<Self>,
        keys: Option<&GateKeys>,
        max: usize,
        now: Timestamp,
    ) -> Vec<Pair> {
        let may = |proxy: Option<&Proxy>| {
            let Some(keys) = keys else { return Ok(()) };
            let ready = keys.availability(&self.gate, None, proxy);
            if ready.now > 0 { Ok(()) } else { Err(ready.ready_at) }
        };
        let mut pairs = Vec::new();
        let mut state = self.lock();
        // What all proxies share is asked about first: it says nothing of any of them.
        while pairs.len() < max && may(None).is_ok() {
            let proxy = match &mut state.proxies {
                None => None,
                Some(proxies) => match proxies.select(now, |proxy| may(Some(proxy))) {
                    Some(proxy) => Some(proxy),
                    None => break,
                },
            };
            pairs.push(Pair { pool: Arc::clone(self), session: None, proxy });
        }
        drop(state);
        pairs
    }

    /// Finds a home for sessions that have none, stores it, and puts them into line.
    pub(super) async fn settle_in(&self, mut sessions: Vec<Leased>) -> Result<()> {
        let now = self.clock.now();
        let mut changes = Vec::new();
        let before: Vec<_> = sessions.iter().map(|session| session.home.clone()).collect();
        {
            let State { proxies, held, histories, .. } = &mut *self.lock();
            if let Some(proxies) = proxies {
                for session in &mut sessions {
                    let counted = held.get_mut(&session.lease.id).and_then(|it| it.home.take());
                    if let Some(left) = counted {
                        proxies.move_out(&left);
                    }
                    let home = proxies.settle_in(session.home.as_ref(), now);
                    if let Some(held) = held.get_mut(&session.lease.id) {
                        held.home.clone_from(&home);
                    }
                    if home.is_some() && home != session.home {
                        if let Some(history) = histories.get_mut(&session.lease.id) {
                            history.home.clone_from(&home);
                        }
                        session.home = home;
                        changes.push(session.change(SessionState::Valid));
                    }
                }
            }
        }
        let replies = if changes.is_empty() {
            Ok(Vec::new())
        } else {
            self.sessions.save(changes.clone()).await
        };
        let replies = match replies {
            Ok(replies) => replies,
            Err(error) => {
                // A home that is not stored must not be used: back into line as they came.
                let mut state = self.lock();
                for (mut session, home) in sessions.into_iter().zip(before) {
                    state.move_out(&session.lease.id);
                    session.home = home;
                    state.idle(session);
                }
                return Err(error);
            }
        };
        let mut state = self.lock();
        let stale = changes.iter().zip(replies).filter(|(_, reply)| *reply == LeaseReply::Stale);
        let stale: Vec<_> = stale.map(|(change, _)| change.lease.clone()).collect();
        for session in sessions {
            if stale.contains(&session.lease) {
                state.forget(&session.lease);
            } else {
                state.idle(session);
            }
        }
        Ok(())
    }
}
