use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::id::{JobId, SessionId, mix};
use crate::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, JobFilter, JobQueue, JobView,
    Maintained, NewJob, Page, QueueControl, QueueName, Select, Settled, Settlement, Stats,
    StatsQuery,
};
use crate::session::{
    LeaseReply, LeasedSessions, PutReply, SessionChange, SessionLease, SessionLeaseRequest,
    SessionRecord, SessionStore,
};

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mishap {
    /// It fails before anything was applied, and says so.
    Fails,
    /// It is applied, and its reply comes after this much time.
    Late(Duration),
    /// It is applied, and its reply is lost.
    LosesReply,
    /// Nothing.
    None,
}

/// What goes wrong with the calls to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Nothing.
    #[default]
    Calm,
    /// Every call: in turn it fails, or loses its reply.
    Down,
    /// One call of `one_in` fails and one loses its reply; the same ones for the same seed.
    Random {
        /// Which ones.
        seed: u64,
        /// How rarely; at least 2.
        one_in: u64,
    },
    /// These, one per call; then nothing.
    Script(VecDeque<Mishap>),
}

/// A store whose calls go wrong as planned: for tests of what stands above it.
///
/// It implements the port that the inner store implements. Without a plan it changes nothing, and
/// passes the suite of that port.
#[derive(Debug)]
pub struct Faulty<Q> {
    inner: Q,
    planned: Mutex<Planned>,
}

#[derive(Debug, Default)]
struct Planned {
    plan: Plan,
    calls: u64,
}

impl<Q> Faulty<Q> {
    /// The store with nothing going wrong yet.
    #[must_use]
    pub fn new(inner: Q) -> Self {
        Self::with_plan(inner, Plan::Calm)
    }

    /// The store with a plan.
    #[must_use]
    pub fn with_plan(inner: Q, plan: Plan) -> Self {
        Self { inner, planned: Mutex::new(Planned { plan, calls: 0 }) }
    }

    /// Changes the plan, for the calls that begin after this one.
    pub fn set_plan(&self, plan: Plan) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).plan = plan;
    }

    /// The store itself.
    pub const fn inner(&self) -> &Q {
        &self.inner
    }

    fn next(&self) -> Mishap {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.calls += 1;
        let calls = planned.calls;
        match &mut planned.plan {
            Plan::Calm => Mishap::None,
            Plan::Down if calls.is_multiple_of(2) => Mishap::LosesReply,
            Plan::Down => Mishap::Fails,
            Plan::Random { seed, one_in } => match mix(*seed ^ mix(calls)) % (*one_in).max(2) {
                0 => Mishap::Fails,
                1 => Mishap::LosesReply,
                _ => Mishap::None,
            },
            Plan::Script(script) => script.pop_front().unwrap_or(Mishap::None),
        }
    }
}

impl<Q: Sync> Faulty<Q> {
    async fn call<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let fails = |certainty| {
            let error = Error::new(ErrorKind::Unavailable, certainty, operation);
            Err(error.with_context("as the test planned"))
        };
        match self.next() {
            Mishap::None => call.await,
            Mishap::Fails => fails(Certainty::Transient),
            Mishap::LosesReply => {
                call.await?;
                fails(Certainty::MaybeApplied)
            }
            Mishap::Late(time) => {
                let reply = call.await;
                tokio::time::sleep(time).await;
                reply
            }
        }
    }
}

impl<Q: fmt::Display> fmt::Display for Faulty<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<Q: JobQueue> JobQueue for Faulty<Q> {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        self.call("enqueue jobs", self.inner.enqueue(jobs)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        self.call("claim jobs", self.inner.claim(request)).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        self.call("settle jobs", self.inner.settle(settlements, next)).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        self.call("renew leases", self.inner.beat(beat)).await
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        self.call("wait for jobs", self.inner.wait(queues, max)).await
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        self.call("maintain the queue", self.inner.maintain(budget)).await
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        self.call("alter jobs", self.inner.alter(select, alter)).await
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        self.call("configure the queue", self.inner.configure(queue, control)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        self.call("look at jobs", self.inner.get(ids)).await
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        self.call("list jobs", self.inner.list(filter, after, limit)).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        self.call("count jobs", self.inner.stats(query)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for Faulty<S> {
    async fn put(&self, records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        self.call("store sessions", self.inner.put(records)).await
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        self.call("lease sessions", self.inner.lease(request)).await
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        self.call("renew leases of sessions", self.inner.renew(leases, ttl)).await
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        self.call("save sessions", self.inner.save(changes)).await
    }

    async fn release(&self, leases: &[SessionLease]) -> Result<Vec<LeaseReply>> {
        self.call("release sessions", self.inner.release(leases)).await
    }

    async fn list(&self, after: Option<SessionId>, limit: usize) -> Result<Vec<SessionRecord>> {
        self.call("list sessions", self.inner.list(after, limit)).await
    }

    async fn remove(&self, ids: &[SessionId]) -> Result<Vec<bool>> {
        self.call("remove sessions", self.inner.remove(ids)).await
    }
}
