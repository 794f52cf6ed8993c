use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::GateKeys;
use super::lender::Lender;
use super::profile::CheckerProfile;
use crate::cache::Cache;
use crate::clock::{Clock, Timestamp};
use crate::fault::Fault;
use crate::gate::{Gate, Pass};
use crate::proxy::Proxy;
use crate::session::{SessionHandle, SessionKind};

/// What one check runs on: its pair, the gate, the caches, the clock, and how long it may take.
#[derive(Clone, Debug)]
pub struct CheckContext {
    session: Option<Arc<SessionHandle>>,
    proxy: Option<Arc<Proxy>>,
    gate: Arc<Gate>,
    keys: Arc<GateKeys>,
    cache: Arc<dyn Cache>,
    clock: Arc<dyn Clock>,
    deadline: Instant,
    patience: Duration,
    cancel: CancellationToken,
    lending: Lending,
    /// Faults of this pair that are not in the answer; the lender keeps those of its own pair.
    noted: Option<Arc<Mutex<Vec<Fault>>>>,
}

/// Where loans come from.
#[derive(Clone, Debug)]
pub(super) enum Lending {
    Engine(Arc<dyn Lender>),
    Supplied(Vec<Supplied>),
}

/// A session that a check without an engine may borrow.
#[derive(Clone, Debug)]
pub(super) struct Supplied {
    pub(super) kind: SessionKind,
    pub(super) account: Option<String>,
    pub(super) session: Arc<SessionHandle>,
}

impl CheckContext {
    /// A context for trying a checker without an engine: no session, no proxy, no limits but those
    /// of `gate`, one minute.
    #[must_use]
    pub fn new(
        profile: &CheckerProfile,
        gate: Arc<Gate>,
        cache: Arc<dyn Cache>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            session: None,
            proxy: None,
            gate,
            keys: Arc::new(GateKeys::new(profile, None)),
            cache,
            clock,
            deadline: Instant::now() + Duration::from_secs(60),
            patience: Duration::from_secs(2),
            cancel: CancellationToken::new(),
            lending: Lending::Supplied(Vec::new()),
            noted: Some(Arc::default()),
        }
    }

    /// A context of an engine that lends from its pool, for a checker whose keys were made before.
    pub(crate) fn of_engine(
        keys: Arc<GateKeys>,
        (gate, cache, clock): (Arc<Gate>, Arc<dyn Cache>, Arc<dyn Clock>),
        (deadline, patience): (Instant, Duration),
        cancel: CancellationToken,
        lender: Arc<dyn Lender>,
    ) -> Self {
        Self {
            session: None,
            proxy: None,
            gate,
            keys,
            cache,
            clock,
            deadline,
            patience,
            cancel,
            lending: Lending::Engine(lender),
            noted: None,
        }
    }

    /// Runs the check on this session.
    #[must_use]
    pub fn with_session(mut self, session: Option<Arc<SessionHandle>>) -> Self {
        self.session = session;
        self
    }

    /// Sends every request through this proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<Arc<Proxy>>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Ends the check at this time.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = deadline;
        self
    }

    /// Waits at most so long for a pass.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Stops the check through this token.
    #[must_use]
    pub fn with_cancellation(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Has this session to [lend](CheckContext::lend), where there is no engine that has a pool: it
    /// is lent as often as it is asked for, through the proxy of this check.
    #[must_use]
    pub fn with_loan(
        mut self,
        kind: SessionKind,
        account: Option<&str>,
        session: Arc<SessionHandle>,
    ) -> Self {
        let new = Supplied { kind, account: account.map(str::to_owned), session };
        match &mut self.lending {
            Lending::Supplied(supplied) => supplied.push(new),
            Lending::Engine(_) => self.lending = Lending::Supplied(vec![new]),
        }
        self
    }

    pub(super) fn lending(&self) -> &Lending {
        &self.lending
    }

    /// The same check on another pair.
    pub(super) fn on_pair(
        &self,
        keys: Arc<GateKeys>,
        session: Option<Arc<SessionHandle>>,
        proxy: Option<Arc<Proxy>>,
    ) -> Self {
        Self { keys, session, proxy, noted: Some(Arc::default()), ..self.clone() }
    }

    /// The same check on the same pair, counted under the names and limits of another checker.
    pub(super) fn counted_as(&self, profile: &CheckerProfile) -> Self {
        Self { keys: self.keys_of(profile), ..self.clone() }
    }

    /// The names and limits of a checker.
    pub(super) fn keys_of(&self, profile: &CheckerProfile) -> Arc<GateKeys> {
        match &self.lending {
            Lending::Engine(lender) => lender.keys(profile),
            Lending::Supplied(_) => Arc::new(GateKeys::new(profile, None)),
        }
    }

    /// How long to wait for something at most.
    pub(super) fn patience(&self) -> Duration {
        self.patience.min(self.remaining())
    }

    /// Charges a fault to the pair of this context, for a checker that will not answer with it
    /// because it has found another answer. What follows for session and proxy follows when the
    /// pair is given back. The fault is marked, and not charged again if it is answered with after
    /// all.
    pub fn charge(&self, fault: &mut Fault) {
        if std::mem::replace(&mut fault.charged, true) {
            return;
        }
        let fault = Fault { charged: false, ..fault.clone() };
        match (&self.noted, &self.lending) {
            (Some(noted), _) => noted.lock().unwrap_or_else(PoisonError::into_inner).push(fault),
            (None, Lending::Engine(lender)) => lender.note(fault),
            (None, Lending::Supplied(_)) => {}
        }
    }

    pub(super) fn take_noted(&self) -> Vec<Fault> {
        let noted = self.noted.as_deref().map(|noted| noted.lock());
        noted.map_or_else(Vec::new, |noted| {
            std::mem::take(&mut noted.unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// The session of the leased pair, if the checker asked for one.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<SessionHandle>> {
        self.session.as_ref()
    }

    /// The proxy of the leased pair; none means a direct connection.
    #[must_use]
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }

    /// The cache that checks share.
    #[must_use]
    pub fn cache(&self) -> &dyn Cache {
        &*self.cache
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When the check has to be over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long there is still to go.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Is cancelled when the answer is not wanted any more.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Takes the permission for one request to `endpoint`, waiting a little if need be.
    ///
    /// # Errors
    /// A [`Fault`] of our own limits with the time at which it could go, which costs the job
    /// nothing; or [`Class::Cancelled`](crate::Class::Cancelled) once the check is cancelled.
    ///
    /// # Cancel safety
    /// Safe: nothing is held while waiting.
    pub async fn pass(&self, endpoint: &str) -> Result<Pass, Fault> {
        if self.cancel.is_cancelled() {
            return Err(Fault::cancelled("the check was cancelled"));
        }
        let needs =
            || self.keys.needs(Some(endpoint), self.session.as_deref(), self.proxy.as_deref());
        let begun = Instant::now();
        let pass = self.gate.pass_before(needs(), self.patience, Some(self.deadline)).await;
        if let Lending::Engine(lender) = &self.lending {
            lender.waited(begun.elapsed());
            if let Err(refusal) = &pass {
                lender.refused(&needs(), refusal.ready_at);
            }
        }
        pass.map_err(|refusal| Fault::not_ready(refusal.to_string(), refusal.ready_at))
    }
}
