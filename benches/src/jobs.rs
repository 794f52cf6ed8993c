//! Jobs without work: how they are made, put into a queue, and worked off, with and without engine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::engine::{Engine, EngineConfig};
use story_checker_core::queue::{
    ClaimRequest, ClaimedJob, Enqueued, JobQueue, MAX_ITEMS, NewJob, Outcome, QueueName, Settled,
    Settlement,
};
use story_checker_core::session::InMemorySessionStore;
use story_checker_core::{
    BatchId, Evidence, Fault, JobId, Platform, Report, SystemClock, Target, Timings, Verdict,
    WorkerId,
};
use uuid::Uuid;

use crate::process::BoxError;

/// The queue of accounts of Instagram, where an engine looks for them.
pub(crate) const QUEUE: &str = "check/instagram/account";
/// What every payload begins with.
const ACCOUNT: &str = "instagram/account/";
/// Calls under way at the same time: one is encoded while another one is stored.
const PIPELINE: usize = 4;

pub(crate) fn queue() -> QueueName {
    QueueName::from(QUEUE)
}

pub(crate) fn new_batch() -> BatchId {
    Uuid::now_v7().into()
}

/// An account with so long a name that its job has `bytes` of payload.
pub(crate) fn payload(number: usize, bytes: usize) -> Bytes {
    let digits = bytes - ACCOUNT.len();
    format!("{ACCOUNT}{number:0digits$}").into()
}

/// One job.
pub(crate) fn job(batch: BatchId, payload: Bytes) -> NewJob {
    let mut job = NewJob::new(JobId::from(Uuid::now_v7()), queue(), payload);
    job.batch = Some(batch);
    job
}

/// Enqueues so many jobs with payloads of `bytes`, in chunks, each changed as told.
pub(crate) async fn fill(
    queue: &Arc<dyn JobQueue>,
    batch: BatchId,
    jobs: usize,
    bytes: usize,
    change: impl Fn(&mut NewJob),
) -> Result<(), BoxError> {
    let chunks = (0..jobs).step_by(MAX_ITEMS).map(|start| {
        let chunk: Vec<_> = (start..jobs.min(start + MAX_ITEMS))
            .map(|number| {
                let mut job = job(batch, payload(number, bytes));
                change(&mut job);
                job
            })
            .collect();
        async move {
            let replies = queue.enqueue(chunk).await?;
            match replies.iter().find(|reply| **reply != Enqueued::Inserted) {
                None => Ok(()),
                Some(other) => Err(BoxError::from(format!("a new job is {other:?}"))),
            }
        }
    });
    stream::iter(chunks).buffer_unordered(PIPELINE).try_collect().await
}

/// Asks for so many jobs.
pub(crate) fn request(want: usize, lease: Duration) -> ClaimRequest {
    ClaimRequest::new(vec![(queue(), want)], WorkerId::from("bench"), lease)
}

/// Ends all of them in the same way.
pub(crate) fn settlements(jobs: &[ClaimedJob], outcome: &Outcome) -> Vec<Settlement> {
    jobs.iter().map(|job| Settlement::new(job.lease, outcome.clone())).collect()
}

/// Whatever is settled here is held.
pub(crate) fn all_applied(replies: &[Settled]) -> Result<(), BoxError> {
    match replies.iter().find(|reply| **reply != Settled::Applied) {
        None => Ok(()),
        Some(other) => Err(format!("a settlement is {other:?}").into()),
    }
}

/// Claims and ends at most so many jobs, in steps of `step`, each end together with the next claim.
/// Says how many there were.
pub(crate) async fn drain(
    queue: &Arc<dyn JobQueue>,
    most: usize,
    step: usize,
    outcome: &Outcome,
) -> Result<usize, BoxError> {
    let request = |left: usize| request(step.min(left), Duration::from_secs(60));
    let mut drained = 0;
    let mut jobs = queue.claim(&request(most)).await?.jobs;
    while !jobs.is_empty() {
        drained += jobs.len();
        let next = (drained < most).then(|| request(most - drained));
        let (replies, claimed) = queue.settle(settlements(&jobs, outcome), next.as_ref()).await?;
        all_applied(&replies)?;
        jobs = claimed.jobs;
    }
    Ok(drained)
}

/// Called with each target, on its way.
pub(crate) type Seen = Box<dyn Fn(&Target) + Send + Sync>;

/// Finds nothing, at once, without a session.
pub(crate) struct Noop {
    profile: CheckerProfile,
    seen: Option<Seen>,
}

impl Noop {
    pub(crate) fn new(seen: Option<Seen>) -> Self {
        Self { profile: CheckerProfile::new(Platform::INSTAGRAM), seen }
    }
}

impl fmt::Debug for Noop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noop").finish_non_exhaustive()
    }
}

impl fmt::Display for Noop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("noop/1")
    }
}

#[async_trait]
impl Checker for Noop {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], _: &CheckContext) -> Vec<Result<Report, Fault>> {
        let report = |target: &Target| {
            if let Some(seen) = &self.seen {
                seen(target);
            }
            let evidence = Evidence::new("noop/1");
            Ok(Report::new(target.clone(), Verdict::NoStory, evidence, Timings::default()))
        };
        targets.iter().map(report).collect()
    }
}

/// An engine over this queue.
pub(crate) fn engine(
    queue: &Arc<dyn JobQueue>,
    seen: Option<Seen>,
    config: EngineConfig,
) -> Result<Engine, BoxError> {
    let sessions = InMemorySessionStore::new(Arc::new(SystemClock::new()));
    Ok(Engine::builder()
        .checker(Arc::new(Noop::new(seen)))
        .queue(Arc::new(Arc::clone(queue)))
        .sessions(Arc::new(sessions))
        .config(config)
        .build()?)
}
