//! The port that answers for targets, and what it is given to do so.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::clock::{Clock, Timestamp};
use crate::fault::{Class, Fault, Scope};
use crate::gate::{Gate, Key, KeyClass, Limits, Need, Pass};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::session::{SessionHandle, SessionKind};
use crate::target::{Platform, Target, TargetKind};

/// Answers for targets: one platform, one way of asking it.
#[async_trait]
pub trait Checker: Debug + Display + Send + Sync + 'static {
    /// What the checker answers for, and what it needs. It must not change while an engine uses it.
    fn profile(&self) -> &CheckerProfile;

    /// Answers for each target, in their order: a proven report, or the fault that stood in the way.
    ///
    /// # Contract
    /// * The answer has exactly one element per target. There are 1 to
    ///   [`max_batch`](CheckerProfile::max_batch) targets, all of the profile's platform and kinds.
    /// * Every request takes a pass of [`CheckContext::pass`] before it is sent, goes through
    ///   [`CheckContext::proxy`], and uses only [`CheckContext::session`]. No two requests of one
    ///   check are in flight at once: they share a session.
    /// * Near [`CheckContext::deadline`] it stops and returns what it has; the rest are faults.
    /// * A report is never [`Verdict::Unknown`](crate::Verdict::Unknown): that is a fault.
    ///
    /// # Cancel safety
    /// Must be safe: the engine drops the future when the job is cancelled, its lease is lost, or
    /// the deadline passes. A panic is caught and charged to ourselves.
    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>>;
}

const _: Option<&dyn Checker> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: Checker + ?Sized> Checker for $pointer {
            fn profile(&self) -> &CheckerProfile {
                (**self).profile()
            }

            async fn check(
                &self,
                targets: &[Target],
                cx: &CheckContext,
            ) -> Vec<Result<Report, Fault>> {
                (**self).check(targets, cx).await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);

/// What a checker answers for, and what it needs to do so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckerProfile {
    /// The platform of all its targets.
    pub platform: Platform,
    /// The name under which all its requests are counted together. The platform's own name by
    /// default; a platform that counts by application or API gives each of them a name, so that one
    /// that is blocked does not block the others.
    pub app: Cow<'static, str>,
    /// The kinds of targets it can answer for.
    pub kinds: Vec<TargetKind>,
    /// The most targets in one call. 1 is fine; a platform that answers for many in one request
    /// saves requests with more.
    pub max_batch: NonZeroUsize,
    /// The kind of session it needs; none if it asks without an identity.
    pub session: Option<SessionKind>,
    /// The endpoints its requests go to, by the names given to [`CheckContext::pass`].
    pub endpoints: Vec<&'static str>,
    /// The quotas it keeps unless the engine is given others.
    pub limits: Limits,
}

impl CheckerProfile {
    /// A checker for accounts of one platform, one at a time, without sessions, endpoints or limits.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        Self {
            app: platform.as_str().to_owned().into(),
            platform,
            kinds: vec![TargetKind::Account],
            max_batch: NonZeroUsize::MIN,
            session: None,
            endpoints: Vec::new(),
            limits: Limits::default(),
        }
    }
}

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

/// The names under which the requests of a checker are counted, and how much of each there is; made
/// once per checker.
#[derive(Debug)]
pub(crate) struct GateKeys {
    app: Key,
    endpoints: Vec<(&'static str, Key)>,
    limits: Limits,
}

impl GateKeys {
    /// The names of this checker, under its own limits or others.
    pub(crate) fn new(profile: &CheckerProfile, limits: Option<&Limits>) -> Self {
        let app = &profile.app;
        let key = |endpoint: &&'static str| {
            (*endpoint, Key::new(KeyClass::Endpoint, format!("{app}/{endpoint}")))
        };
        Self {
            app: Key::new(KeyClass::App, &**app),
            endpoints: profile.endpoints.iter().map(key).collect(),
            limits: limits.unwrap_or(&profile.limits).clone(),
        }
    }

    /// Everything one request has to pay for. `endpoint` none means: whatever the endpoint.
    pub(crate) fn needs(
        &self,
        endpoint: Option<&str>,
        session: Option<&SessionHandle>,
        proxy: Option<&Proxy>,
    ) -> Box<[Need]> {
        let limits = &self.limits;
        let app = Some(Need::new(self.app.clone(), limits.app));
        let endpoint = endpoint.map(|name| {
            let known = self.endpoints.iter().find(|(known, _)| *known == name);
            let key = known.map_or_else(
                || Key::new(KeyClass::Endpoint, format!("{}/{name}", self.app.name())),
                |(_, key)| key.clone(),
            );
            Need::new(key, limits.endpoints.get(name).copied())
        });
        let session = session.map(|session| Need::new(session.gate_key().clone(), limits.session));
        let proxy = proxy.map(|proxy| Need::new(proxy.gate_key().clone(), limits.proxy));
        [app, endpoint, session, proxy].into_iter().flatten().collect()
    }
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
