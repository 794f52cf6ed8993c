//! Swapping a store: every port is a trait object, so a wrapper of your own fits anywhere.
//!
//! Here the session store is wrapped by one that counts leases; a store on your database would be
//! plugged in the same way.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::session::{
    Cookie, Credentials, InMemorySessionStore, LeaseReply, LeasedSessions, PutReply, SessionChange,
    SessionKind, SessionLease, SessionLeaseRequest, SessionRecord, SessionStore,
};
use story_checker_core::{Result, SessionId, SystemClock};

#[derive(Debug)]
struct Counting<S> {
    inner: S,
    leases: AtomicUsize,
}

impl<S: SessionStore> fmt::Display for Counting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, counted", self.inner)
    }
}

#[async_trait]
impl<S: SessionStore> SessionStore for Counting<S> {
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        self.inner.put(records).await
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        let leased = self.inner.lease(request).await?;
        self.leases.fetch_add(leased.sessions.len(), Ordering::Relaxed);
        Ok(leased)
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        self.inner.renew(leases, ttl).await
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        self.inner.save(changes).await
    }

    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
        self.inner.release(leases).await
    }

    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>> {
        self.inner.list(after, limit).await
    }

    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
        self.inner.remove(ids).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let inner = InMemorySessionStore::new(Arc::new(SystemClock::new()));
    let counting = Arc::new(Counting { inner, leases: AtomicUsize::new(0) });
    // This is all that an engine asks for: `Engine::builder().sessions(store)`.
    let store = Arc::clone(&counting) as Arc<dyn SessionStore>;

    let kind = SessionKind::from_static("instagram-web");
    let credentials = Credentials::from_cookies(vec![Cookie::new("sessionid", "secret")]);
    store.put(vec![SessionRecord::new("main".into(), kind.clone(), credentials)]).await?;
    let request = SessionLeaseRequest::new(kind, "worker".into(), Duration::from_secs(30), 10);
    let leased = store.lease(&request).await?;
    // Secrets print as [redacted], whatever prints them.
    println!("{store}: {:?}", leased.sessions[0].0.credentials.cookies[0]);
    println!("{} session leased", counting.leases.load(Ordering::Relaxed));
    Ok(())
}
