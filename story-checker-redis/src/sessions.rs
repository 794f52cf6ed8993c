//! Sessions on Redis, their credentials sealed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use story_checker_core::seal::Keyring;
use story_checker_core::session::{
    Credentials, LeaseReply, LeasedSessions, PutReply, SessionChange, SessionKind, SessionLease,
    SessionLeaseRequest, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{Error, Fence, ProxyId, Result, SessionId, Timestamp};

use crate::codec;
use crate::reply::{self, Items, corrupt};
use crate::script::{
    Call, SESSION_HELD, SESSION_LEASE, SESSION_LIST, SESSION_PUT, SESSION_REMOVE, SESSION_SAVE,
};
use crate::shared::Shared;

/// How many sessions one script handles.
const STEP: usize = 128;

/// Sessions that all processes share; credentials are sealed before they leave this process.
///
/// Made by [`RedisStore::sessions`](crate::RedisStore::sessions).
#[derive(Clone, Debug)]
pub struct RedisSessionStore {
    shared: Arc<Shared>,
    keys: Arc<Keyring>,
}

impl RedisSessionStore {
    pub(crate) fn new(shared: Arc<Shared>, keys: Arc<Keyring>) -> Self {
        Self { shared, keys }
    }

    /// State, when it may be leased by it, end, credentials and home, as the scripts want them.
    fn add_state(
        &self,
        call: &mut Call,
        id: &SessionId,
        state: &SessionState,
        credentials: &Credentials,
        home: Option<&ProxyId>,
    ) -> Result<()> {
        let text = serde_json::to_string(state).map_err(|error| {
            Error::invalid(SESSION_PUT.operation, id.to_string()).with_source(error)
        })?;
        call.arg(text);
        match state.leasable_at(Timestamp::default()) {
            Some(at) => call.arg(at.as_millis()),
            None => call.arg("-1"),
        };
        call.arg(credentials.expires_at.map_or(0, |end| end.as_millis().max(1)));
        call.arg(self.keys.seal_credentials(id, credentials)?);
        call.arg(home.map_or("", ProxyId::as_str));
        Ok(())
    }

    fn record(&self, items: &mut Items, operation: &'static str) -> Result<(SessionRecord, Fence)> {
        let id = SessionId::new(items.text()?);
        let (version, fence) = (items.number()?, Fence::new(items.number()?));
        let (kind, account) = (SessionKind::new(items.text()?), items.text()?);
        let state = serde_json::from_slice(&items.bytes()?)
            .map_err(|error| corrupt(operation, "the state of a session").with_source(error))?;
        let credentials = self.keys.open_credentials(&id, &items.bytes()?)?;
        let (home, last_used) = (items.text()?, items.number()?);
        let mut record = SessionRecord::new(id, kind, credentials);
        record.version = version;
        record.state = state;
        record.account = account.strip_prefix('=').map(str::to_owned);
        record.last_used = (last_used > 0).then(|| Timestamp::from_millis(last_used));
        record.home_proxy = (!home.is_empty()).then(|| ProxyId::new(home));
        Ok((record, fence))
    }

    async fn held(
        &self,
        what: &str,
        leases: &[SessionLease],
        ttl: Duration,
    ) -> Result<Vec<LeaseReply>> {
        let mut answers = Vec::with_capacity(leases.len());
        for some in leases.chunks(STEP) {
            let mut call = SESSION_HELD.on(&self.shared.tag);
            call.arg(what).arg(codec::span(ttl));
            for lease in some {
                call.arg(lease.id.as_str()).arg(lease.fence.get());
            }
            let reply = reply::bytes(SESSION_HELD.operation, call.send(&self.shared.link).await?)?;
            answers.extend(reply.iter().map(lease_reply));
        }
        Ok(answers)
    }
}

fn lease_reply(byte: &u8) -> LeaseReply {
    if *byte == b'h' { LeaseReply::Held } else { LeaseReply::Stale }
}

/// An account marked, so that an empty one differs from none.
fn account(name: Option<&str>) -> String {
    name.map(|name| format!("={name}")).unwrap_or_default()
}

impl fmt::Display for RedisSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions in {}", self.shared.link.address())
    }
}

#[async_trait]
impl SessionStore for RedisSessionStore {
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        let mut answers = Vec::with_capacity(records.len());
        for some in records.chunks(STEP) {
            let mut call = SESSION_PUT.on(&self.shared.tag);
            for record in some {
                let SessionRecord { id, state, credentials, home_proxy, .. } = record;
                call.arg(id.as_str()).arg(record.version).arg(record.kind.as_str());
                call.arg(account(record.account.as_deref()));
                self.add_state(&mut call, id, state, credentials, home_proxy.as_ref())?;
            }
            let mut items = Items::of(SESSION_PUT.operation, call.send(&self.shared.link).await?)?;
            while let Some(answer) = items.list() {
                let mut answer = answer?;
                let version = answer.number()?;
                answers.push(match answer.number()? {
                    1 => PutReply::Stored { version },
                    _ => PutReply::Conflict { stored: version },
                });
            }
        }
        Ok(answers)
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        let mut call = SESSION_LEASE.on(&self.shared.tag);
        let SessionLeaseRequest { kind, ttl, max, account: name, .. } = request;
        call.arg(kind.as_str()).arg(codec::span(*ttl)).arg((*max).min(4 * STEP));
        call.arg(u8::from(name.is_some())).arg(account(name.as_deref()));
        let mut items = Items::of(SESSION_LEASE.operation, call.send(&self.shared.link).await?)?;
        let next_at = items.number()?;
        let mut leased = LeasedSessions::default();
        leased.next_at = (next_at > 0).then(|| Timestamp::from_millis(next_at));
        while let Some(session) = items.list() {
            match self.record(&mut session?, SESSION_LEASE.operation) {
                Ok(session) => leased.sessions.push(session),
                // Its lease ends by itself; the others are fine.
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "a stored session cannot be used");
                }
            }
        }
        Ok(leased)
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        self.held("renew", leases, ttl).await
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        let mut answers = Vec::with_capacity(changes.len());
        for some in changes.chunks(STEP) {
            let mut call = SESSION_SAVE.on(&self.shared.tag);
            for SessionChange { lease, state, credentials, home_proxy, .. } in some {
                call.arg(lease.id.as_str()).arg(lease.fence.get());
                self.add_state(&mut call, &lease.id, state, credentials, home_proxy.as_ref())?;
            }
            let reply = reply::bytes(SESSION_SAVE.operation, call.send(&self.shared.link).await?)?;
            answers.extend(reply.iter().map(lease_reply));
        }
        Ok(answers)
    }

    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
        self.held("release", leases, Duration::ZERO).await
    }

    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>> {
        let mut records = Vec::new();
        let mut after = after.map_or_else(String::new, |id| id.as_str().to_owned());
        while records.len() < limit {
            let some = (limit - records.len()).min(STEP);
            let mut call = SESSION_LIST.on(&self.shared.tag);
            call.arg(&after).arg(some);
            let reply = call.send(&self.shared.link).await?;
            let Value::Array(rows) = &reply else {
                return Err(corrupt(SESSION_LIST.operation, "the script's answer is no list"));
            };
            let count = rows.len();
            let mut items = Items::of(SESSION_LIST.operation, reply)?;
            while let Some(row) = items.list() {
                let (record, _) = self.record(&mut row?, SESSION_LIST.operation)?;
                record.id.as_str().clone_into(&mut after);
                records.push(record);
            }
            if count < some {
                break;
            }
        }
        Ok(records)
    }

    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
        let mut answers = Vec::with_capacity(ids.len());
        for some in ids.chunks(STEP) {
            let mut call = SESSION_REMOVE.on(&self.shared.tag);
            for id in some {
                call.arg(id.as_str());
            }
            let reply =
                reply::bytes(SESSION_REMOVE.operation, call.send(&self.shared.link).await?)?;
            answers.extend(reply.iter().map(|byte| *byte == b'1'));
        }
        Ok(answers)
    }
}
