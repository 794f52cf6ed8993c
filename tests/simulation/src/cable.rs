//! The cable between a worker and everything else: a worker whose cable is cut has crashed. It may
//! go on thinking, but nothing of that reaches a store or the platform, and nothing reaches it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use story_checker_core::cache::{Cache, CacheEntry, CacheStats};
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState};
use story_checker_core::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, JobFilter, JobQueue, JobView,
    Maintained, NewJob, Page, QueueControl, QueueName, Select, Settled, Settlement, Stats,
    StatsQuery,
};
use story_checker_core::session::{
    LeaseReply, LeasedSessions, PutReply, SessionChange, SessionLease, SessionLeaseRequest,
    SessionRecord, SessionStore,
};
use story_checker_core::{Certainty, Error, ErrorKind, JobId, ProxyId, Result, SessionId};
use story_checker_http::{Request, Response, Transport, TransportError};
use tokio::sync::watch;

/// The cable of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Cable(Arc<watch::Sender<bool>>);

impl Cable {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// From now on nothing goes through, in either direction.
    pub(crate) fn cut(&self) {
        self.0.send_replace(true);
    }

    /// What this worker sees of a port.
    pub(crate) fn to<T: ?Sized>(&self, port: Arc<T>) -> Arc<Behind<T>> {
        Arc::new(Behind { port, cable: self.clone() })
    }

    async fn is_cut(&self) {
        let mut cut = self.0.subscribe();
        // It has a sender as long as there is `self`.
        _ = cut.wait_for(|cut| *cut).await;
    }
}

/// A port at the other end of a cable.
#[derive(Debug)]
pub(crate) struct Behind<T: ?Sized> {
    cable: Cable,
    port: Arc<T>,
}

impl<T: Send + Sync + ?Sized> Behind<T> {
    /// The port, if it can still be reached. Ports in memory answer at once.
    fn port(&self) -> Result<&T> {
        if *self.cable.0.borrow() { Err(gone()) } else { Ok(&self.port) }
    }

    /// An answer that takes its time, and may not come any more.
    async fn wait<R>(&self, answer: impl Future<Output = Result<R>> + Send) -> Result<R> {
        tokio::select! {
            biased;
            () = self.cable.is_cut() => Err(gone()),
            answer = answer => answer,
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Closed, Certainty::Permanent, "reach anything")
        .with_context("the worker has crashed")
}

impl<T: ?Sized + fmt::Display> fmt::Display for Behind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)
    }
}

#[async_trait]
impl<T: JobQueue + ?Sized> JobQueue for Behind<T> {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        self.port()?.enqueue(jobs).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        self.port()?.claim(request).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        self.port()?.settle(settlements, next).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        self.port()?.beat(beat).await
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        self.wait(self.port()?.wait(queues, max)).await
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        self.port()?.maintain(budget).await
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        self.port()?.alter(select, alter).await
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        self.port()?.configure(queue, control).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        self.port()?.get(ids).await
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        self.port()?.list(filter, after, limit).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        self.port()?.stats(query).await
    }
}

#[async_trait]
impl<T: SessionStore + ?Sized> SessionStore for Behind<T> {
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        self.port()?.put(records).await
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        self.port()?.lease(request).await
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        self.port()?.renew(leases, ttl).await
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        self.port()?.save(changes).await
    }

    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
        self.port()?.release(leases).await
    }

    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>> {
        self.port()?.list(after, limit).await
    }

    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
        self.port()?.remove(ids).await
    }
}

#[async_trait]
impl<T: ProxySource + ?Sized> ProxySource for Behind<T> {
    async fn list(&self) -> Result<Vec<Proxy>> {
        self.port()?.list().await
    }

    async fn changed(&self) -> Result<()> {
        self.wait(self.port()?.changed()).await
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        self.port()?.load().await
    }

    async fn save(&self, states: &[(ProxyId, ProxyState)]) -> Result<()> {
        self.port()?.save(states).await
    }
}

#[async_trait]
impl<T: Cache + ?Sized> Cache for Behind<T> {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        self.port()?.get(keys).await
    }

    async fn put(&self, entries: Vec<CacheEntry>) -> Result<()> {
        self.port()?.put(entries).await
    }

    async fn remove(&self, keys: &[String]) -> Result<()> {
        self.port()?.remove(keys).await
    }

    async fn stats(&self) -> Result<CacheStats> {
        self.port()?.stats().await
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Behind<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if self.port().is_err() {
            return std::future::pending().await;
        }
        tokio::select! {
            biased;
            () = self.cable.is_cut() => std::future::pending().await,
            answer = self.port.send(request) => answer,
        }
    }
}
