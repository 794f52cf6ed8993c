use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    LeaseReply, LeasedSessions, PutReply, SessionChange, SessionLease, SessionLeaseRequest,
    SessionRecord, SessionState, SessionStore,
};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::id::{Fence, SessionId};

/// Sessions in this process's memory: gone when it ends.
#[derive(Debug)]
pub struct InMemorySessionStore {
    clock: Arc<dyn Clock>,
    rows: Mutex<BTreeMap<SessionId, Row>>,
    /// The number of the last grant of any session: one that is removed and put again must not
    /// begin anew.
    granted: AtomicU64,
}

#[derive(Debug)]
struct Row {
    record: SessionRecord,
    fence: Fence,
    /// The end of the running lease, if there is one.
    leased_until: Option<Timestamp>,
    last_used: Timestamp,
}

impl Row {
    fn shown(&self) -> SessionRecord {
        let last_used = Some(self.last_used).filter(|at| *at > Timestamp::default());
        SessionRecord { last_used, ..self.record.clone() }
    }

    /// A lease whose time is over still holds while nobody else was granted the session.
    fn held(&self, lease: &SessionLease) -> bool {
        self.fence == lease.fence && self.leased_until.is_some()
    }
}

impl InMemorySessionStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rows: Mutex::default(), granted: AtomicU64::new(0) }
    }

    fn next_fence(&self) -> Fence {
        Fence::new(self.granted.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the row of each lease that still holds.
    fn under_lease<'a>(
        &self,
        leases: impl IntoIterator<Item = &'a SessionLease>,
        mut act: impl FnMut(usize, &mut Row, Timestamp),
    ) -> Vec<LeaseReply> {
        let now = self.clock.now();
        let mut rows = self.lock();
        let mut reply = |(index, lease): (usize, &SessionLease)| match rows.get_mut(&lease.id) {
            Some(row) if row.held(lease) => {
                act(index, row, now);
                LeaseReply::Held
            }
            _ => LeaseReply::Stale,
        };
        leases.into_iter().enumerate().map(&mut reply).collect()
    }
}

impl fmt::Display for InMemorySessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sessions in memory")
    }
}

#[async_trait]
impl SessionStore for InMemorySessionStore {
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        let mut rows = self.lock();
        let mut put = |mut record: SessionRecord| {
            let stored = rows.get(&record.id).map_or(0, |row| row.record.version);
            if stored != record.version {
                return PutReply::Conflict { stored };
            }
            record.version = stored + 1;
            let version = record.version;
            match rows.get_mut(&record.id) {
                Some(row) => {
                    row.record = record;
                    // The holder has seen another record: its next call is stale.
                    row.fence = self.next_fence();
                }
                None => {
                    let (id, fence) = (record.id.clone(), self.next_fence());
                    let last_used = Timestamp::default();
                    rows.insert(id, Row { record, fence, leased_until: None, last_used });
                }
            }
            PutReply::Stored { version }
        };
        Ok(records.into_iter().map(&mut put).collect())
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        let now = self.clock.now();
        let mut rows = self.lock();
        let mut ready = Vec::new();
        let mut leased = LeasedSessions::default();
        for row in rows.values_mut().filter(|row| request.wants(&row.record)) {
            if row.record.credentials.expires_at.is_some_and(|end| end <= now)
                && row.record.state == SessionState::Valid
            {
                row.record.state = SessionState::Expired;
                row.record.version += 1;
            }
            let Some(at) = row.record.state.leasable_at(now) else { continue };
            let at = at.max(row.leased_until.unwrap_or(now));
            if at <= now {
                ready.push(row);
            } else {
                leased.next_at = Some(leased.next_at.map_or(at, |next| next.min(at)));
            }
        }
        ready.sort_by_key(|row| row.last_used);
        for row in ready.into_iter().take(request.max) {
            if row.record.state != SessionState::Valid {
                row.record.state = SessionState::Valid;
                row.record.version += 1;
            }
            row.fence = self.next_fence();
            row.leased_until = Some(now + request.ttl);
            row.last_used = now;
            leased.sessions.push((row.shown(), row.fence));
        }
        Ok(leased)
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        Ok(self.under_lease(leases, |_, row, now| row.leased_until = Some(now + ttl)))
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        Ok(self.under_lease(changes.iter().map(|change| &change.lease), |index, row, _| {
            let SessionChange { state, credentials, home_proxy, .. } = &changes[index];
            row.record.state = state.clone();
            row.record.credentials = Arc::clone(credentials);
            row.record.home_proxy.clone_from(home_proxy);
            row.record.version += 1;
        }))
    }

    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
        Ok(self.under_lease(leases, |_, row, now| {
            row.leased_until = None;
            row.last_used = now;
        }))
    }

    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>> {
        let rows = self.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = rows.range((start, Bound::Unbounded));
        Ok(records.take(limit).map(|(_, row)| row.shown()).collect())
    }

    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
        let mut rows = self.lock();
        Ok(ids.iter().map(|id| rows.remove(id).is_some()).collect())
    }
}

#[cfg(test)]
mod tests;
