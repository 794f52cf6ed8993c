//! The port that keeps sessions: the identities that the user supplied.

mod memory;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::memory::InMemorySessionStore;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::gate::{Key, KeyClass};
use crate::id::{Fence, ProxyId, SessionId, WorkerId};
use crate::secret::Secret;

/// What a session can be used for, such as `instagram-web` or `instagram-graph`. A checker names
/// the kind it needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKind(Cow<'static, str>);

impl SessionKind {
    /// A kind with a fixed name.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A kind by name.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a session may be used. Only a valid one is ever leased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionState {
    /// The platform wants a human to act; left only by the operator's word.
    Challenged {
        /// What was seen.
        reason: String,
    },
    /// It rests, and is leased again after `until`.
    CoolingDown {
        /// The end of the rest.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// Its credentials are past their own end.
    Expired,
    /// The platform says that it is logged out; left only by new credentials.
    NeedsLogin {
        /// What was seen.
        reason: String,
    },
    /// The operator has taken it out of use.
    Retired,
    /// The account behind it is suspended.
    Suspended {
        /// What was seen.
        reason: String,
    },
    /// It may be used.
    #[default]
    Valid,
}

impl SessionState {
    /// The word used in text and JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Challenged { .. } => "challenged",
            Self::CoolingDown { .. } => "cooling_down",
            Self::Expired => "expired",
            Self::NeedsLogin { .. } => "needs_login",
            Self::Retired => "retired",
            Self::Suspended { .. } => "suspended",
            Self::Valid => "valid",
        }
    }

    /// When a session in this state may be leased: now, later, or (none) not without the operator.
    #[must_use]
    pub const fn leasable_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Valid => Some(now),
            Self::CoolingDown { until, .. } => Some(*until),
            _ => None,
        }
    }
}

/// A cookie, as the platform set it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cookie {
    /// The name.
    pub name: String,
    /// The value, exactly as it goes into the `Cookie` header.
    pub value: Secret,
    /// The domain with all its subdomains, without a leading dot; none means the base URL's host.
    pub domain: Option<String>,
    /// The path prefix.
    pub path: String,
    /// When it ends; none means never.
    pub expires_at: Option<Timestamp>,
}

impl Cookie {
    /// A cookie for every path of the base URL's host, without an end.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            domain: None,
            path: "/".to_owned(),
            expires_at: None,
        }
    }
}

/// What a session is made of. All of it is secret but the user agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The cookie jar.
    pub cookies: Vec<Cookie>,
    /// Tokens and claims by name, such as `access_token` or `www_claim`.
    pub tokens: BTreeMap<String, Secret>,
    /// The user agent that the session was made with, if its owner supplied one.
    pub user_agent: Option<String>,
    /// When they end by themselves, if that is known.
    pub expires_at: Option<Timestamp>,
}

impl Credentials {
    /// Credentials made of cookies.
    #[must_use]
    pub fn from_cookies(cookies: Vec<Cookie>) -> Self {
        Self { cookies, ..Self::default() }
    }

    /// The cookie with this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&Cookie> {
        self.cookies.iter().find(|cookie| cookie.name == name)
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// Its label.
    pub id: SessionId,
    /// What it can be used for.
    pub kind: SessionKind,
    /// The handle of the one account that it speaks for, where the platform ties the two together;
    /// none: it asks about anybody.
    pub account: Option<String>,
    /// Whether it may be used.
    pub state: SessionState,
    /// What it is made of.
    pub credentials: Arc<Credentials>,
    /// The only proxy it may be seen through, once it has one.
    pub home_proxy: Option<ProxyId>,
    /// Grows with every stored change; 0 is not stored yet.
    pub version: u64,
    /// When it was leased or given back last, by the store's clock. Told by the store; what a record
    /// says of it is not stored.
    pub last_used: Option<Timestamp>,
}

impl SessionRecord {
    /// A new, valid session.
    #[must_use]
    pub fn new(id: SessionId, kind: SessionKind, credentials: Credentials) -> Self {
        Self {
            id,
            kind,
            account: None,
            state: SessionState::Valid,
            credentials: Arc::new(credentials),
            home_proxy: None,
            version: 0,
            last_used: None,
        }
    }
}

/// Which lease is meant: the session and the fence it was leased with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionLease {
    /// The session.
    pub id: SessionId,
    /// The number of the grant.
    pub fence: Fence,
}

impl SessionLease {
    /// The lease of `id` with this fence.
    #[must_use]
    pub const fn new(id: SessionId, fence: Fence) -> Self {
        Self { id, fence }
    }
}

/// Asks for sessions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionLeaseRequest {
    /// The kind that is needed.
    pub kind: SessionKind,
    /// Who asks.
    pub owner: WorkerId,
    /// How long the leases hold without renewal.
    pub ttl: Duration,
    /// At most so many.
    pub max: usize,
    /// Only sessions that speak for this account; none: any, whomever they speak for.
    pub account: Option<String>,
}

impl SessionLeaseRequest {
    /// Asks for up to `max` sessions of `kind`.
    #[must_use]
    pub const fn new(kind: SessionKind, owner: WorkerId, ttl: Duration, max: usize) -> Self {
        Self { kind, owner, ttl, max, account: None }
    }

    /// Asks for sessions of this account only.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Whether a session is of the kind and account that are asked for.
    #[must_use]
    pub fn wants(&self, record: &SessionRecord) -> bool {
        self.kind == record.kind && (self.account.is_none() || self.account == record.account)
    }
}

/// Sessions that were leased.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LeasedSessions {
    /// Each with the fence of its grant.
    pub sessions: Vec<(SessionRecord, Fence)>,
    /// When one more may become leasable by itself: the end of a rest or of another's lease. None
    /// if that takes the operator.
    pub next_at: Option<Timestamp>,
}

/// What the holder of a lease stores.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionChange {
    /// The lease under which it is stored.
    pub lease: SessionLease,
    /// The state from now on.
    pub state: SessionState,
    /// The credentials from now on.
    pub credentials: Arc<Credentials>,
    /// The home proxy from now on.
    pub home_proxy: Option<ProxyId>,
}

impl SessionChange {
    /// Stores state, credentials and home proxy under a lease.
    #[must_use]
    pub const fn new(
        lease: SessionLease,
        state: SessionState,
        credentials: Arc<Credentials>,
        home_proxy: Option<ProxyId>,
    ) -> Self {
        Self { lease, state, credentials, home_proxy }
    }
}

/// The answer to a call under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseReply {
    /// It holds, and what was asked is done.
    Held,
    /// It is over: somebody else holds the session, or nobody. Nothing was changed.
    Stale,
}

/// The answer to [`SessionStore::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutReply {
    /// The stored version is not the expected one; nothing was changed.
    Conflict {
        /// The version that is stored, 0 if none.
        stored: u64,
    },
    /// Stored.
    Stored {
        /// The new version.
        version: u64,
    },
}

/// Keeps sessions, and lends each to one worker at a time.
///
/// # Contract
/// * A lease is exclusive over all processes that share the store, until it is released or its time
///   is over by the store's clock. Its fence is larger than that of every earlier grant.
/// * Only [valid](SessionState::Valid) sessions are leased; one whose rest is over counts as valid.
/// * A request that names an account gets that account's sessions only, and
///   [`next_at`](LeasedSessions::next_at) speaks of these. One that names none gets any.
/// * Under a stale lease nothing changes. A lease is stale once it was released, somebody else was
///   granted the session, or its record was replaced or removed. One whose time is over while nobody
///   came still holds: what its holder has seen, a challenge perhaps, must not be lost.
/// * Answers come one per item, in order; one bad item never spoils the others.
#[async_trait]
pub trait SessionStore: Debug + Display + Send + Sync + 'static {
    /// Stores records as the operator: each only if the stored version equals the record's (0:
    /// only if there is none). A running lease stays with its holder, but its next change is
    /// stale if the record was replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the store cannot be reached.
    ///
    /// # Cancel safety
    /// May have been applied; the version tells.
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>>;

    /// Leases up to [`max`](SessionLeaseRequest::max) sessions, those longest unused first.
    ///
    /// # Errors
    /// As [`SessionStore::put`].
    ///
    /// # Cancel safety
    /// Leases granted to a dropped call end with their time.
    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions>;

    /// Lets leases hold for `ttl` from now.
    ///
    /// # Errors
    /// As [`SessionStore::put`].
    ///
    /// # Cancel safety
    /// Safe: sending it again does no harm.
    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>>;

    /// Stores what the holder of a lease has seen.
    ///
    /// # Errors
    /// As [`SessionStore::put`].
    ///
    /// # Cancel safety
    /// May have been applied; sending it again does no harm.
    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>>;

    /// Gives leases back.
    ///
    /// # Errors
    /// As [`SessionStore::put`].
    ///
    /// # Cancel safety
    /// Safe: sending it again answers `Stale` and does no harm.
    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>>;

    /// The sessions whose label is larger than `after`, by label, at most `limit`.
    ///
    /// # Errors
    /// As [`SessionStore::put`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>>;

    /// Removes sessions; says for each whether there was one. Leases of them become stale.
    ///
    /// # Errors
    /// As [`SessionStore::put`].
    ///
    /// # Cancel safety
    /// May have been applied; sending it again does no harm.
    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>>;
}

const _: Option<&dyn SessionStore> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: SessionStore + ?Sized> SessionStore for $pointer {
            async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
                (**self).put(records).await
            }

            async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
                (**self).lease(request).await
            }

            async fn renew(
                &self,
                leases: &[SessionLease],
                ttl: Duration,
            ) -> Result<Vec<LeaseReply>> {
                (**self).renew(leases, ttl).await
            }

            async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
                (**self).save(changes).await
            }

            async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
                (**self).release(leases).await
            }

            async fn list(
                &self,
                after: Option<SessionId>,
                limit: usize,
            ) -> Result<Vec<SessionRecord>> {
                (**self).list(after, limit).await
            }

            async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
                (**self).remove(ids).await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);

/// A leased session in use: what checkers see of it.
///
/// Changes are noticed by the engine, which stores them before the session is used or given back.
#[derive(Debug)]
pub struct SessionHandle {
    id: SessionId,
    gate_key: Key,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    credentials: Arc<Credentials>,
    changed: bool,
}

impl SessionHandle {
    /// A handle with these credentials.
    #[must_use]
    pub fn new(id: SessionId, credentials: Arc<Credentials>) -> Self {
        let gate_key = Key::new(KeyClass::Session, id.as_str());
        Self { id, gate_key, current: Mutex::new(Current { credentials, changed: false }) }
    }

    /// The session's label.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    pub(crate) fn gate_key(&self) -> &Key {
        &self.gate_key
    }

    /// The credentials as they are now. Two calls give the same `Arc` until something changes.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.credentials)
    }

    /// Replaces the credentials by what `change` makes of them; nothing happens if it makes nothing.
    pub fn update(&self, change: impl FnOnce(&mut Credentials)) {
        let mut credentials = Credentials::clone(&self.credentials());
        change(&mut credentials);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current.credentials != credentials {
            *current = Current { credentials: Arc::new(credentials), changed: true };
        }
    }

    /// The changed credentials, once.
    pub(crate) fn take_change(&self) -> Option<Arc<Credentials>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut current.changed).then(|| Arc::clone(&current.credentials))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_notices_real_changes_only() {
        let credentials = Credentials::from_cookies(vec![Cookie::new("sessionid", "PLANTED")]);
        let handle = SessionHandle::new("main".into(), Arc::new(credentials));
        handle.update(|_| {});
        assert!(handle.take_change().is_none());
        handle.update(|credentials| credentials.cookies.push(Cookie::new("rur", "x")));
        assert_eq!(handle.take_change().unwrap().cookies.len(), 2);
        assert!(handle.take_change().is_none());
        assert!(!format!("{handle:?}").contains("PLANTED"));
    }

    #[test]
    fn states_say_when_they_may_be_leased() {
        let now = Timestamp::from_secs(100);
        let until = Timestamp::from_secs(200);
        let resting = SessionState::CoolingDown { until, reason: "429".into() };
        assert_eq!(SessionState::Valid.leasable_at(now), Some(now));
        assert_eq!(resting.leasable_at(now), Some(until));
        assert_eq!(SessionState::Challenged { reason: String::new() }.leasable_at(now), None);
        let json = serde_json::to_value(&resting).unwrap();
        assert_eq!(json["state"], resting.as_str());
    }
}
