//! The leased sessions and the proxies of this worker, and the pairs made of them.
//!
//! A session stays leased while there is work and serves many checks in turn; it is always seen
//! through one proxy, its home. What was learnt in a check is stored before the session is used
//! again.

mod history;
mod learn;
mod lend;
mod line;
mod outlook;
mod proxies;
mod take;
mod why;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::history::History;
pub use self::history::{SessionOutcome, SessionView};
pub(super) use self::lend::{NoPair, Wish};
use self::line::{Kind, Leased};
pub(super) use self::why::limit;
use super::config::EngineConfig;
use super::event::Bus;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::id::{Fence, ProxyId, SessionId, WorkerId};
use crate::proxy::{Probe, Proxy, ProxyPool, ProxySource};
use crate::session::{
    Credentials, SessionHandle, SessionKind, SessionLease, SessionState, SessionStore,
};

/// How long to wait before asking a store again that has nothing to lease: the operator may have
/// brought a session, or another worker given one back.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The longest pause between two tries to store what was learnt.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pool of one engine.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) source: Option<Arc<dyn ProxySource>>,
    pub(super) probe: Option<Arc<dyn Probe>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Arc<Gate>,
    pub(super) bus: Arc<Bus>,
    pub(super) worker: WorkerId,
    pub(super) lease: Duration,
    /// How long a proxy rests after a failed probe, at the least.
    rest: Duration,
    /// A pair has come back.
    pub(super) returned: Notify,
    /// There may be a proxy to probe, or a time to do so.
    pub(super) probing: Notify,
    /// The engine waits for nothing any more.
    pub(super) abort: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<SessionKind, Kind>,
    held: HashMap<SessionId, Held>,
    /// Sessions that must not be used any more although the store does not know it yet.
    condemned: HashMap<SessionId, Condemned>,
    /// What sessions were used for, those among them that have gone back.
    histories: BTreeMap<SessionId, History>,
    proxies: Option<ProxyPool>,
}

/// What a session has come to, and the credentials with which it did.
#[derive(Debug)]
struct Condemned {
    state: SessionState,
    credentials: Arc<Credentials>,
}

#[derive(Debug)]
struct Held {
    fence: Fence,
    kind: SessionKind,
    account: Option<String>,
    /// The proxy where it is counted.
    home: Option<ProxyId>,
    /// Cancelled when the lease is lost.
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

    fn forget(&mut self, lease: &SessionLease) -> Option<Held> {
        self.held.get(&lease.id).filter(|held| held.fence == lease.fence)?;
        self.move_out(&lease.id);
        self.held.remove(&lease.id)
    }

    /// The session is no longer counted where it lived.
    fn move_out(&mut self, session: &SessionId) {
        let home = self.held.get_mut(session).and_then(|held| held.home.take());
        if let (Some(home), Some(proxies)) = (home, &mut self.proxies) {
            proxies.move_out(&home);
        }
    }
}

impl Pool {
    #[expect(clippy::too_many_arguments, reason = "the engine's parts, named at the one call")]
    pub(super) fn new(
        sessions: Arc<dyn SessionStore>,
        source: Option<Arc<dyn ProxySource>>,
        probe: Option<Arc<dyn Probe>>,
        clock: Arc<dyn Clock>,
        gate: Arc<Gate>,
        bus: Arc<Bus>,
        worker: WorkerId,
        config: &EngineConfig,
        abort: CancellationToken,
    ) -> Self {
        let new = || ProxyPool::new(config.proxies.clone(), probe.is_some());
        let proxies = source.is_some().then(new);
        Self {
            sessions,
            source,
            clock,
            gate,
            bus,
            worker,
            lease: config.lease,
            rest: config.rest,
            probe,
            returned: Notify::new(),
            probing: Notify::new(),
            abort,
            state: Mutex::new(State { proxies, ..State::default() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All leases that must be renewed.
    pub(super) fn leases(&self) -> Vec<SessionLease> {
        let state = self.lock();
        state.held.iter().map(|(id, held)| SessionLease::new(id.clone(), held.fence)).collect()
    }

    /// A lease is over: the session is not used again.
    pub(super) fn lose(&self, lease: &SessionLease) {
        if let Some(held) = self.lock().forget(lease) {
            held.lost.cancel();
        }
    }

    /// Sessions leased now.
    pub(super) fn held(&self) -> usize {
        self.lock().held.len()
    }
}
