//! The sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};
use story_checker_core::seal::Keyring;
use story_checker_core::session::{
    Credentials, LeaseReply, LeasedSessions, PutReply, SessionChange, SessionKind, SessionLease,
    SessionLeaseRequest, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{Error, ErrorKind, Fence, ProxyId, Result, SessionId, Timestamp};

use crate::error::{Fail, corrupt};
use crate::reader::Reader;
use crate::tx::{Tx, millis, time};
use crate::writer::Writer;

/// Sessions in a file: see [`SqliteStore::sessions`](crate::SqliteStore::sessions).
///
/// Their credentials are sealed: the file without its key tells labels and states, and no secrets.
#[derive(Clone, Debug)]
pub struct SqliteSessionStore {
    name: Arc<str>,
    writer: Writer,
    reader: Reader,
    keys: Arc<Keyring>,
}

impl SqliteSessionStore {
    pub(crate) fn new(name: Arc<str>, writer: Writer, reader: Reader, keys: Arc<Keyring>) -> Self {
        Self { name, writer, reader, keys }
    }

    /// Seals the credentials of every session with the first key of the ring, unless they are.
    /// Returns how many that were.
    ///
    /// # Errors
    /// As [`SessionStore::list`]; sessions before the one in trouble are done.
    ///
    /// # Cancel safety
    /// A part of the sessions may have been sealed anew; calling it again does the rest.
    pub async fn reseal(&self) -> Result<u64> {
        let text = "SELECT label, sealed, version FROM session ORDER BY label";
        let read = move |sql: &rusqlite::Connection| {
            let mut all = sql.prepare_cached(text)?;
            let row = |row: &Row<'_>| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
            };
            Ok(all.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let all = self.reader.ask("read the sessions", read).await?;
        let mut done = 0;
        for (label, sealed, version) in all {
            if self.keys.is_current(&sealed) {
                continue;
            }
            let id = SessionId::new(label);
            let open = self.keys.open_credentials(&id, &sealed)?;
            let anew = self.keys.seal_credentials(&id, &open)?;
            let store = move |tx: &mut Tx<'_>| {
                let text = "UPDATE session SET sealed = ?1 WHERE label = ?2 AND version = ?3";
                Ok(tx.statement(text)?.execute(params![anew, id.as_str(), version])?)
            };
            // What was changed meanwhile was sealed with the first key as well.
            done += self.writer.call("seal a session anew", store).await? as u64;
        }
        Ok(done)
    }

    fn seal(&self, record: SessionRecord) -> Result<Sealed> {
        let SessionRecord { id, kind, account, state, credentials, home_proxy, version, .. } =
            record;
        let secret = self.seal_credentials(&id, &credentials)?;
        Ok(Sealed { id, kind, account, state: Stored::of(&state), secret, home_proxy, version })
    }

    fn seal_credentials(&self, id: &SessionId, credentials: &Credentials) -> Result<Secrets> {
        let bytes = self.keys.seal_credentials(id, credentials)?;
        Ok(Secrets { bytes, expires_at: credentials.expires_at.map(millis) })
    }

    fn open(&self, sealed: &Opening) -> Result<SessionRecord> {
        let id = SessionId::new(sealed.label.as_str());
        let credentials = self.keys.open_credentials(&id, &sealed.sealed)?;
        let kind = SessionKind::new(sealed.kind.clone());
        let mut record = SessionRecord::new(id, kind, credentials);
        record.state = serde_json::from_str(&sealed.state).map_err(|error| {
            let what = format!("session {}: its state cannot be understood", sealed.label);
            Error::new(
                ErrorKind::Corrupt,
                story_checker_core::Certainty::Permanent,
                "read a session",
            )
            .with_context(what)
            .with_source(error)
        })?;
        record.account.clone_from(&sealed.account);
        record.home_proxy = sealed.home.as_deref().map(ProxyId::new);
        record.version = sealed.version.cast_unsigned();
        record.last_used = (sealed.last_used > 0).then(|| time(sealed.last_used));
        Ok(record)
    }
}

/// A state as it is stored, and when it lets the session be leased.
#[derive(Clone, Debug)]
struct Stored {
    text: String,
    ready_at: Option<i64>,
}

impl Stored {
    fn of(state: &SessionState) -> Self {
        let text = serde_json::to_string(state).expect("a state is words and times");
        let ready_at = state.leasable_at(Timestamp::default()).map(millis);
        Self { text, ready_at }
    }
}

/// Sealed credentials.
#[derive(Clone, Debug)]
struct Secrets {
    bytes: Vec<u8>,
    expires_at: Option<i64>,
}

/// A record on its way into the file.
#[derive(Clone, Debug)]
struct Sealed {
    id: SessionId,
    kind: SessionKind,
    account: Option<String>,
    state: Stored,
    secret: Secrets,
    home_proxy: Option<ProxyId>,
    version: u64,
}

/// A record on its way out of the file.
#[derive(Debug)]
struct Opening {
    label: String,
    kind: String,
    account: Option<String>,
    state: String,
    sealed: Vec<u8>,
    home: Option<String>,
    version: i64,
    last_used: i64,
}

/// The columns of an [`Opening`], in this order.
const OPENING: &str = "label, kind, account, state, sealed, home, version, last_used";

impl Opening {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            label: row.get(0)?,
            kind: row.get(1)?,
            account: row.get(2)?,
            state: row.get(3)?,
            sealed: row.get(4)?,
            home: row.get(5)?,
            version: row.get(6)?,
            last_used: row.get(7)?,
        })
    }
}

impl fmt::Display for SqliteSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions in {}", self.name)
    }
}

#[async_trait]
impl SessionStore for SqliteSessionStore {
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        let sealed: Vec<_> =
            records.into_iter().map(|record| self.seal(record)).collect::<Result<_>>()?;
        let put = move |tx: &mut Tx<'_>| sealed.iter().map(|record| put(tx, record)).collect();
        self.writer.call("store sessions", put).await
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        let request = request.clone();
        let (granted, next_at) =
            self.writer.call("lease sessions", move |tx| lease(tx, &request)).await?;
        let mut leased = LeasedSessions::default();
        leased.next_at = next_at;
        for (sealed, fence) in granted {
            match self.open(&sealed) {
                Ok(record) => leased.sessions.push((record, fence)),
                // The others can be used all the same.
                Err(error) => tracing::error!(
                    session = sealed.label,
                    error = &error as &dyn std::error::Error,
                    "a session cannot be opened"
                ),
            }
        }
        Ok(leased)
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        let leases = leases.to_vec();
        let renew = move |tx: &mut Tx<'_>| {
            let until = millis(tx.now() + ttl);
            let text = "UPDATE session SET leased_until = ?3
                        WHERE label = ?1 AND fence = ?2 AND leased_until > 0";
            let mut renew = tx.statement(text)?;
            let one = |lease: &SessionLease| {
                let held = renew.execute(params![lease.id.as_str(), number(lease.fence), until])?;
                Ok(reply(held))
            };
            leases.iter().map(one).collect()
        };
        self.writer.call("renew leases of sessions", renew).await
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        let seal =
            |change: &SessionChange| self.seal_credentials(&change.lease.id, &change.credentials);
        let sealed: Vec<_> = changes.iter().map(seal).collect::<Result<_>>()?;
        let save = move |tx: &mut Tx<'_>| {
            let text = "UPDATE session SET state = ?3, ready_at = ?4, sealed = ?5, expires_at = ?6,
                            home = ?7, version = version + 1
                        WHERE label = ?1 AND fence = ?2 AND leased_until > 0";
            let mut save = tx.statement(text)?;
            let one = |(change, secrets): (&SessionChange, &Secrets)| {
                let state = Stored::of(&change.state);
                let held = save.execute(params![
                    change.lease.id.as_str(),
                    number(change.lease.fence),
                    state.text,
                    state.ready_at,
                    secrets.bytes,
                    secrets.expires_at,
                    change.home_proxy.as_ref().map(ProxyId::as_str),
                ])?;
                Ok(reply(held))
            };
            changes.iter().zip(&sealed).map(one).collect()
        };
        self.writer.call("save sessions", save).await
    }

    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
        let leases = leases.to_vec();
        let release = move |tx: &mut Tx<'_>| {
            let now = millis(tx.now());
            let text = "UPDATE session SET leased_until = 0, last_used = ?3
                        WHERE label = ?1 AND fence = ?2 AND leased_until > 0";
            let mut release = tx.statement(text)?;
            let one = |lease: &SessionLease| {
                let held = release.execute(params![lease.id.as_str(), number(lease.fence), now])?;
                Ok(reply(held))
            };
            leases.iter().map(one).collect()
        };
        self.writer.call("give sessions back", release).await
    }

    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |sql: &rusqlite::Connection| {
            // Every text is larger than none at all.
            let (after, open) = after.as_ref().map_or(("", ">="), |id| (id.as_str(), ">"));
            let text = format!(
                "SELECT {OPENING} FROM session WHERE label {open} ?1 ORDER BY label LIMIT ?2"
            );
            let mut list = sql.prepare_cached(&text)?;
            let rows = list.query_map(params![after, limit], Opening::read)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let sealed = self.reader.ask("list sessions", read).await?;
        sealed.iter().map(|sealed| self.open(sealed)).collect()
    }

    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
        let ids = ids.to_vec();
        let remove = move |tx: &mut Tx<'_>| {
            let mut remove = tx.statement("DELETE FROM session WHERE label = ?1")?;
            ids.iter().map(|id| Ok(remove.execute([id.as_str()])? > 0)).collect()
        };
        self.writer.call("remove sessions", remove).await
    }
}

const fn reply(rows: usize) -> LeaseReply {
    if rows > 0 { LeaseReply::Held } else { LeaseReply::Stale }
}

const fn number(fence: Fence) -> i64 {
    fence.get().cast_signed()
}

/// A number that no grant of any session has had.
fn next_fence(tx: &Tx<'_>) -> Result<i64, Fail> {
    let text = "UPDATE session_fence SET last = last + 1 WHERE id = 1 RETURNING last";
    Ok(tx.statement(text)?.query_row([], |row| row.get(0))?)
}

fn put(tx: &Tx<'_>, record: &Sealed) -> Result<PutReply, Fail> {
    let label = record.id.as_str();
    let mut find = tx.statement("SELECT version FROM session WHERE label = ?1")?;
    let stored: Option<i64> = find.query_row([label], |row| row.get(0)).optional()?;
    let stored = stored.unwrap_or(0).cast_unsigned();
    if stored != record.version {
        return Ok(PutReply::Conflict { stored });
    }
    let version = stored + 1;
    // A holder has seen another record: under the new fence its next call is stale.
    let text = "INSERT INTO session (label, kind, account, state, ready_at, sealed, expires_at,
                    home, version, fence, leased_until, last_used)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, 0)
                ON CONFLICT (label) DO UPDATE SET kind = ?2, account = ?3, state = ?4,
                    ready_at = ?5, sealed = ?6, expires_at = ?7, home = ?8, version = ?9,
                    fence = ?10";
    tx.statement(text)?.execute(params![
        label,
        record.kind.as_str(),
        record.account,
        record.state.text,
        record.state.ready_at,
        record.secret.bytes,
        record.secret.expires_at,
        record.home_proxy.as_ref().map(ProxyId::as_str),
        version.cast_signed(),
        next_fence(tx)?,
    ])?;
    Ok(PutReply::Stored { version })
}

type Granted = (Vec<(Opening, Fence)>, Option<Timestamp>);

fn lease(tx: &Tx<'_>, request: &SessionLeaseRequest) -> Result<Granted, Fail> {
    let now = millis(tx.now());
    let (kind, account) = (request.kind.as_str(), request.account.as_deref());
    let (valid, expired) = (Stored::of(&SessionState::Valid), Stored::of(&SessionState::Expired));
    tx.statement(
        "UPDATE session SET state = ?4, ready_at = NULL, version = version + 1
         WHERE kind = ?1 AND ready_at IS NOT NULL AND state = ?3 AND expires_at <= ?2",
    )?
    .execute(params![kind, now, valid.text, expired.text])?;
    let max = i64::try_from(request.max).unwrap_or(i64::MAX);
    let mut find = tx.statement(
        "SELECT id FROM session
         WHERE kind = ?1 AND ready_at IS NOT NULL AND ready_at <= ?2 AND leased_until <= ?2
           AND (?3 IS NULL OR account = ?3)
         ORDER BY last_used, id LIMIT ?4",
    )?;
    let ids = find.query_map(params![kind, now, account, max], |row| row.get::<_, i64>(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
    // Before the grants: what is granted now is no reason to ask again so soon.
    let mut next = tx.statement(
        "SELECT min(max(ready_at, leased_until)) FROM session
         WHERE kind = ?1 AND ready_at IS NOT NULL AND (?3 IS NULL OR account = ?3)
           AND (ready_at > ?2 OR leased_until > ?2)",
    )?;
    let next: Option<i64> = next.query_row(params![kind, now, account], |row| row.get(0))?;
    let grant = format!(
        "UPDATE session SET fence = ?2, leased_until = ?3, last_used = ?4,
             version = version + (state <> ?5), state = ?5, ready_at = 0
         WHERE id = ?1 RETURNING {OPENING}"
    );
    let mut grant = tx.statement(&grant)?;
    let until = millis(tx.now() + request.ttl);
    let mut granted = Vec::with_capacity(ids.len());
    for id in ids {
        let fence = next_fence(tx)?;
        let row = grant.query_row(params![id, fence, until, now, valid.text], Opening::read)?;
        let fence =
            u64::try_from(fence).map_err(|_| corrupt("lease sessions", "a fence below 0"))?;
        granted.push((row, Fence::new(fence)));
    }
    Ok((granted, next.map(time)))
}
