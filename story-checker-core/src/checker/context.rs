use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::GateKeys;
use super::profile::CheckerProfile;
use crate::cache::Cache;
use crate::clock::{Clock, Timestamp};
use crate::fault::{Class, Fault, Scope};
use crate::gate::{Gate, Pass};
use crate::proxy::Proxy;
use crate::session::SessionHandle;

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
        Self::with_keys(Arc::new(GateKeys::new(profile, None)), gate, cache, clock)
    }

    /// A context for a checker whose keys were made before.
    pub(crate) fn with_keys(
        keys: Arc<GateKeys>,
        gate: Arc<Gate>,
        cache: Arc<dyn Cache>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            session: None,
            proxy: None,
            gate,
            keys,
            cache,
            clock,
            deadline: Instant::now() + Duration::from_secs(60),
            patience: Duration::from_secs(2),
            cancel: CancellationToken::new(),
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
    /// nothing; or [`Class::Cancelled`] once the check is cancelled.
    ///
    /// # Cancel safety
    /// Safe: nothing is held while waiting.
    pub async fn pass(&self, endpoint: &str) -> Result<Pass, Fault> {
        if self.cancel.is_cancelled() {
            return Err(Fault::new(Class::Cancelled, Scope::Ours, "the check was cancelled"));
        }
        let needs = self.keys.needs(Some(endpoint), self.session.as_deref(), self.proxy.as_deref());
        let patience = self.patience.min(self.remaining());
        let pass = self.gate.pass(needs, patience).await;
        pass.map_err(|refusal| Fault::not_ready(refusal.to_string(), refusal.ready_at))
    }
}
