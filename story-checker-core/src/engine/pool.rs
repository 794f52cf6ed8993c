//! The leased sessions and the proxies of this worker, and the pairs made of them.
//!
//! A session stays leased while there is work and serves many checks in turn; it is always seen
//! through one proxy, its home. What was learnt in a check is stored before the session is used
//! again.

mod lend;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(super) use self::lend::{NoPair, Wish};
use super::census::Census;
use super::event::{Bus, Event};
use super::lane::Lane;
use super::lesson::{Lesson, ProxyLesson};
use super::proxies::{Home, Proxies};
use crate::checker::GateKeys;
use crate::clock::{Clock, Timestamp};
use crate::error::{Certainty, Result};
use crate::fault::{Class, Scope};
use crate::gate::Gate;
use crate::id::{Fence, ProxyId, SessionId, WorkerId};
use crate::proxy::{Proxy, ProxySource};
use crate::report::Cause;
use crate::session::{
    Credentials, LeaseReply, SessionChange, SessionHandle, SessionKind, SessionLease,
    SessionLeaseRequest, SessionRecord, SessionState, SessionStore,
};

/// How long to wait before asking a store again that has nothing to lease: the operator may have
/// brought a session, or another worker given one back.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The pool of one engine.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) source: Option<Arc<dyn ProxySource>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Arc<Gate>,
    pub(super) bus: Arc<Bus>,
    pub(super) worker: WorkerId,
    pub(super) lease: Duration,
    pub(super) proxy_failures: u32,
    /// A pair has come back.
    pub(super) returned: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<SessionKind, Kind>,
    held: HashMap<SessionId, Held>,
    proxies: Option<Proxies>,
}

/// Sessions of one kind that are leased and not in use.
#[derive(Debug, Default)]
struct Kind {
    ready: VecDeque<Leased>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Before this time the store has nothing new.
    ask_at: Timestamp,
    /// When the store may have something by itself.
    next_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Waiting {
    at: Timestamp,
    order: u64,
    session: Leased,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What is known of every leased session, in use or not.
#[derive(Debug)]
struct Held {
    fence: Fence,
    kind: SessionKind,
    account: Option<String>,
    /// Cancelled when the lease is lost.
    lost: CancellationToken,
}

/// A leased session.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) handle: Arc<SessionHandle>,
    kind: SessionKind,
    account: Option<String>,
    lease: SessionLease,
    home: Option<ProxyId>,
    used_at: Timestamp,
    lost: CancellationToken,
}

/// A session and the way out it is seen through, for the length of one check. Dropped, it goes back
/// to the pool as it is.
#[derive(Debug)]
#[must_use = "a pair that is dropped goes back to the pool"]
pub(super) struct Pair {
    pool: Arc<Pool>,
    session: Option<Leased>,
    proxy: Option<Arc<Proxy>>,
}

impl Pair {
    pub(super) fn session(&self) -> Option<&Arc<SessionHandle>> {
        self.session.as_ref().map(|session| &session.handle)
    }

    pub(super) fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }

    /// Whether the lease of its session is over.
    pub(super) fn is_lost(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.lost.is_cancelled())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let (Some(proxy), Some(proxies)) = (&self.proxy, &mut state.proxies) {
            proxies.give_back(proxy.id());
        }
        if let Some(session) = self.session.take() {
            state.idle(session);
        }
        drop(state);
        self.pool.returned.notify_waiters();
    }
}

impl State {
    fn kind(&mut self, kind: &SessionKind) -> &mut Kind {
        if !self.kinds.contains_key(kind) {
            self.kinds.insert(kind.clone(), Kind::default());
        }
        self.kinds.get_mut(kind).expect("was just inserted")
    }

    /// Puts a session that is not in use into line; a lost one is forgotten.
    fn idle(&mut self, session: Leased) {
        if !session.lost.is_cancelled() {
            self.kind(&session.kind.clone()).ready.push_back(session);
        }
    }

    fn forget(&mut self, lease: &SessionLease) {
        if self.held.get(&lease.id).is_some_and(|held| held.fence == lease.fence) {
            self.held.remove(&lease.id);
        }
    }
}

impl Pool {
    #[expect(clippy::too_many_arguments, reason = "the engine's parts, named at the one call")]
    pub(super) fn new(
        sessions: Arc<dyn SessionStore>,
        source: Option<Arc<dyn ProxySource>>,
        clock: Arc<dyn Clock>,
        gate: Arc<Gate>,
        bus: Arc<Bus>,
        worker: WorkerId,
        lease: Duration,
        proxy_failures: u32,
    ) -> Self {
        let proxies = source.is_some().then(Proxies::default);
        let state = Mutex::new(State { proxies, ..State::default() });
        let returned = Notify::new();
        Self { sessions, source, clock, gate, bus, worker, lease, proxy_failures, returned, state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the list of proxies and their stored states anew.
    pub(super) async fn reload_proxies(&self) -> Result<()> {
        let Some(source) = &self.source else { return Ok(()) };
        let listed = source.list().await?;
        let states = source.load().await?;
        if let Some(proxies) = &mut self.lock().proxies {
            proxies.replace(listed, states);
        }
        Ok(())
    }

    /// Up to `max` pairs that may send a request now.
    pub(super) async fn take(self: &Arc<Self>, lane: &Lane, max: usize) -> Result<Vec<Pair>> {
        let now = self.clock.now();
        let Some(kind) = &lane.session else {
            return Ok(self.take_without_session(&lane.keys, max, now));
        };
        let (mut pairs, mut homeless) = self.take_ready(&lane.keys, kind, max, now);
        let want = max - pairs.len();
        if want > 0 {
            let owner = self.worker.clone();
            let request = SessionLeaseRequest::new(kind.clone(), owner, self.lease, want);
            homeless.extend(self.ask_store(&request).await?.0);
        }
        if !homeless.is_empty() {
            self.settle_in(homeless).await?;
            let more = self.take_ready(&lane.keys, kind, max - pairs.len(), now);
            pairs.extend(more.0);
            self.wait_for_homes(more.1);
        }
        Ok(pairs)
    }

    /// Leases sessions that are new to this pool, and says when the store may have more. A store
    /// that has said when it has more is not asked before, except for the session of one account.
    async fn ask_store(
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
        let mut state = self.lock();
        if request.account.is_none() {
            let line = state.kind(&request.kind);
            line.next_at = leased.next_at;
            if leased.sessions.len() < request.max {
                let again = now + ASK_AGAIN;
                line.ask_at = leased.next_at.map_or(again, |next| next.clamp(now, again));
            }
        }
        let mut sessions = Vec::with_capacity(leased.sessions.len());
        for (record, fence) in leased.sessions {
            let lost = CancellationToken::new();
            let (kind, account) = (record.kind.clone(), record.account.clone());
            let held = Held { fence, kind, account, lost: lost.clone() };
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
    fn pair_up(
        self: &Arc<Self>,
        keys: &GateKeys,
        line: &mut Kind,
        proxies: &mut Option<Proxies>,
        session: Leased,
        now: Timestamp,
        homeless: &mut Vec<Leased>,
    ) -> Option<Pair> {
        if session.lost.is_cancelled() {
            return None;
        }
        let home = match proxies.as_mut() {
            None => Home::Direct,
            Some(proxies) => proxies.home(session.home.as_ref(), now),
        };
        let proxy = match home {
            Home::Direct => None,
            Home::Open(proxy) => Some(proxy),
            Home::Closed(until) => {
                line.wait(session, until, now);
                return None;
            }
            Home::Missing => {
                homeless.push(session);
                return None;
            }
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

    /// Sessions for which there is no proxy now wait until there may be one.
    pub(super) fn wait_for_homes(&self, sessions: Vec<Leased>) {
        let now = self.clock.now();
        let mut state = self.lock();
        for session in sessions {
            let open_at = state.proxies.as_mut().and_then(|proxies| proxies.open_at(now));
            state.kind(&session.kind.clone()).wait(session, open_at, now);
        }
    }

    fn take_without_session(
        self: &Arc<Self>,
        keys: &GateKeys,
        max: usize,
        now: Timestamp,
    ) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let mut state = self.lock();
        while pairs.len() < max {
            let proxy = match &mut state.proxies {
                None => None,
                Some(proxies) => {
                    let open =
                        |proxy: &Proxy| keys.availability(&self.gate, None, Some(proxy)).now > 0;
                    match proxies.take_least_used(now, open) {
                        Some(proxy) => Some(proxy),
                        None => break,
                    }
                }
            };
            if proxy.is_none() && keys.availability(&self.gate, None, None).now == 0 {
                break;
            }
            pairs.push(Pair { pool: Arc::clone(self), session: None, proxy });
        }
        drop(state);
        pairs
    }

    /// Finds a home for sessions that have none, stores it, and puts them into line.
    async fn settle_in(&self, mut sessions: Vec<Leased>) -> Result<()> {
        let now = self.clock.now();
        let mut changes = Vec::new();
        let before: Vec<_> = sessions.iter().map(|session| session.home.clone()).collect();
        {
            let mut state = self.lock();
            if let Some(proxies) = &mut state.proxies {
                for session in &mut sessions {
                    let home = proxies.settle_in(session.home.as_ref(), now);
                    if home.is_some() && home != session.home {
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
                    if let (Some(proxies), Some(new)) = (&mut state.proxies, &session.home) {
                        proxies.move_out(new);
                    }
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

    /// Gives a pair back with what its check has taught: stores what must be stored, and only then
    /// lets the session be used again.
    pub(super) async fn give_back(&self, pair: Pair, lesson: Lesson) {
        self.learn(pair, lesson).await;
        self.returned.notify_waiters();
    }

    async fn learn(&self, mut pair: Pair, lesson: Lesson) {
        self.teach_proxy(pair.proxy.as_deref(), lesson.proxy).await;
        let Some(mut session) = pair.session.take() else { return };
        drop(pair);
        session.used_at = self.clock.now();
        let changed = session.handle.take_change();
        if changed.is_none() && lesson.session.is_none() {
            self.lock().idle(session);
            return;
        }
        let state = lesson.session.unwrap_or_default();
        let change = session.change(state.clone());
        let held = self.save_surely(change).await;
        if state == SessionState::Valid {
            let mut locked = self.lock();
            if held {
                locked.idle(session);
            } else {
                locked.forget(&session.lease);
            }
            return;
        }
        if held {
            // A session at rest goes back, so that whoever is there when the rest ends can have it.
            let released = self.sessions.release(std::slice::from_ref(&session.lease)).await;
            if let Err(error) = released {
                tracing::warn!(session = %session.handle.id(), error = &error as &dyn std::error::Error,
                    "a session's lease could not be given back; it ends by itself");
            }
        }
        {
            let mut locked = self.lock();
            locked.forget(&session.lease);
            // The store knows when it, or another, may be leased.
            locked.kind(&session.kind).ask_at = Timestamp::default();
        }
        let session = session.handle.id().clone();
        tracing::warn!(%session, state = state.as_str(), "a session is out of use");
        self.bus.emit(Event::SessionChanged { session, state }).await;
    }

    /// Stores a change, trying again while the store does not answer: a challenge must not be
    /// forgotten. False if the lease is over, or the store is gone for longer than a lease.
    async fn save_surely(&self, change: SessionChange) -> bool {
        let give_up = tokio::time::Instant::now() + self.lease;
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match self.sessions.save(vec![change.clone()]).await {
                Ok(replies) => return replies == [LeaseReply::Held],
                Err(error) => error,
            };
            tracing::error!(session = %change.lease.id, error = &error as &dyn std::error::Error,
                "a session's change could not be stored");
            let late = tokio::time::Instant::now() + pause > give_up;
            if late || error.certainty() == Certainty::Permanent {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn teach_proxy(&self, proxy: Option<&Proxy>, lesson: ProxyLesson) {
        let Some(id) = proxy.map(Proxy::id) else { return };
        let changed = {
            let mut state = self.lock();
            let Some(proxies) = &mut state.proxies else { return };
            match lesson {
                ProxyLesson::Nothing => None,
                ProxyLesson::Good => {
                    proxies.succeeded(id);
                    None
                }
                ProxyLesson::Failed { until, reason } => {
                    proxies.failed(id, self.proxy_failures, until, reason)
                }
                ProxyLesson::Rest { until, reason } => proxies.rest(id, until, reason),
            }
        };
        let (Some(state), Some(source)) = (changed, &self.source) else { return };
        tracing::warn!(proxy = %id, ?state, "a proxy rests");
        if let Err(error) = source.save(&[(id.clone(), state.clone())]).await {
            tracing::warn!(proxy = %id, error = &error as &dyn std::error::Error,
                "a proxy's state could not be stored");
        }
        self.bus.emit(Event::ProxyChanged { proxy: id.clone(), state }).await;
    }

    /// When a pair may be ready that is not now; none if that takes the operator.
    pub(super) fn ready_at(&self, lane: &Lane) -> Option<Timestamp> {
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
    pub(super) fn ask_at(&self, lane: &Lane) -> Option<Timestamp> {
        let kind = lane.session.as_ref()?;
        Some(self.lock().kind(kind).ask_at)
    }

    /// Why nothing can go, for people and reports.
    pub(super) async fn why_not(&self, lane: &Lane) -> Cause {
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

    /// All leases that must be renewed.
    pub(super) fn leases(&self) -> Vec<SessionLease> {
        let state = self.lock();
        state.held.iter().map(|(id, held)| SessionLease::new(id.clone(), held.fence)).collect()
    }

    /// A lease is over: the session is not used again.
    pub(super) fn lose(&self, lease: &SessionLease) {
        let mut state = self.lock();
        if let Some(held) = state.held.get(&lease.id).filter(|held| held.fence == lease.fence) {
            held.lost.cancel();
            state.held.remove(&lease.id);
        }
    }

    /// Gives sessions back to the store that were not used since `before`; all of them for `None`.
    pub(super) async fn release_idle(&self, before: Option<Timestamp>) {
        let is_old = |session: &Leased| before.is_none_or(|before| session.used_at < before);
        let mut idle = Vec::new();
        {
            let mut state = self.lock();
            for line in state.kinds.values_mut() {
                let waiting = line.waiting.drain().map(|Reverse(waiting)| waiting);
                let (old, young): (Vec<_>, Vec<_>) = waiting.partition(|waiting| {
                    before.is_none_or(|before| waiting.session.used_at < before)
                });
                line.waiting = young.into_iter().map(Reverse).collect();
                idle.extend(old.into_iter().map(|waiting| waiting.session));
                let ready = std::mem::take(&mut line.ready);
                let (old, young): (Vec<_>, Vec<_>) = ready.into_iter().partition(is_old);
                idle.extend(old);
                line.ready = young.into();
                line.ask_at = Timestamp::default();
            }
        }
        if idle.is_empty() {
            return;
        }
        let changes: Vec<_> = idle
            .iter()
            .filter(|session| session.handle.take_change().is_some())
            .map(|session| session.change(SessionState::Valid))
            .collect();
        let leases: Vec<_> = idle.iter().map(|session| session.lease.clone()).collect();
        let stored = async {
            if !changes.is_empty() {
                self.sessions.save(changes).await?;
            }
            self.sessions.release(&leases).await
        };
        if let Err(error) = stored.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "sessions could not be given back; their leases end by themselves"
            );
        }
        let mut state = self.lock();
        for lease in &leases {
            state.forget(lease);
        }
    }

    /// Sessions leased now.
    pub(super) fn held(&self) -> usize {
        self.lock().held.len()
    }
}

impl Kind {
    /// Puts those in line again that have waited long enough.
    fn wake(&mut self, now: Timestamp) {
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.at > now {
                break;
            }
            self.ready.extend(self.waiting.pop().map(|Reverse(waiting)| waiting.session));
        }
    }

    fn wait(&mut self, session: Leased, at: Option<Timestamp>, now: Timestamp) {
        let order = self.waiting.len() as u64;
        // Without a time only the operator helps: look again once in a while.
        let at = at.unwrap_or(now + ASK_AGAIN);
        self.waiting.push(Reverse(Waiting { at, order, session }));
    }
}

impl Leased {
    fn new(record: SessionRecord, fence: Fence, lost: CancellationToken, now: Timestamp) -> Self {
        Self {
            handle: Arc::new(SessionHandle::new(record.id.clone(), record.credentials)),
            kind: record.kind,
            account: record.account,
            lease: SessionLease::new(record.id, fence),
            home: record.home_proxy,
            used_at: now,
            lost,
        }
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn change(&self, state: SessionState) -> SessionChange {
        let credentials: Arc<Credentials> = self.handle.credentials();
        SessionChange::new(self.lease.clone(), state, credentials, self.home.clone())
    }
}
