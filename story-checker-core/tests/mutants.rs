//! Stores that break a promise on purpose: the case of that promise must notice.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use story_checker_core::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, JobFilter, JobQueue,
    JobState, JobView, Maintained, NewJob, Outcome, Page, QueueControl, QueueName, Select, Settled,
    Settlement, Stats, StatsQuery,
};
use story_checker_core::session::{
    LeaseReply, LeasedSessions, PutReply, SessionChange, SessionLease, SessionLeaseRequest,
    SessionRecord, SessionStore,
};
use story_checker_core::testing::{self, queue, sessions};
use story_checker_core::{Error, Fence, JobId, Result, SessionId};

use crate::suites::{Wrapped, WrappedSessions};

/// What a queue does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    AnswersAppliedTwice,
    AttemptOnRelease,
    BadItemSpoilsAll,
    BatchIsForgotten,
    BatchMiscounts,
    BeatRenewsNothing,
    CancelIsLost,
    ClaimsOneMore,
    DeferIsRetry,
    DropsLiveJobs,
    FenceStays,
    FullIsIgnored,
    KeyIsIgnored,
    LeaseNeverEnds,
    ListSkipsOne,
    PauseIsIgnored,
    PriorityIsIgnored,
    ResendInsertsTwice,
    ResultIsLost,
    RunsEarly,
    StaleSettles,
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn JobQueue>,
    bug: Bug,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue with the bug {:?}", self.bug)
    }
}

impl Broken {
    fn has(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    async fn view(&self, id: JobId) -> Option<JobView> {
        self.inner.get(&[id]).await.unwrap().remove(0)
    }

    async fn change(&self, end: &mut Settlement) {
        if (self.has(Bug::StaleSettles) || self.has(Bug::FenceStays))
            && let Some(view) = self.view(end.lease.id).await
        {
            end.lease.fence = view.fence;
        }
        end.outcome = match (self.bug, end.outcome.clone()) {
            (Bug::AttemptOnRelease, Outcome::Release { after })
            | (Bug::DeferIsRetry, Outcome::Defer { after, .. }) => {
                Outcome::Retry { after, note: String::new() }
            }
            (Bug::ResultIsLost, Outcome::Done { .. }) => Outcome::Done { result: Bytes::new() },
            (_, outcome) => outcome,
        };
    }
}

#[async_trait]
impl JobQueue for Broken {
    async fn enqueue(&self, mut jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        for job in &mut jobs {
            match self.bug {
                Bug::BatchIsForgotten => job.batch = None,
                Bug::KeyIsIgnored => job.unique = None,
                Bug::PriorityIsIgnored => job.priority = 100,
                Bug::ResendInsertsTwice if self.view(job.id).await.is_some() => {
                    let mut bytes = *job.id.as_bytes();
                    bytes[15] ^= 1;
                    job.id = JobId::from_bytes(bytes);
                }
                Bug::RunsEarly => job.delay = Duration::ZERO,
                _ => {}
            }
        }
        self.inner.enqueue(jobs).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        let mut request = request.clone();
        if self.has(Bug::ClaimsOneMore) {
            request.wants.iter_mut().for_each(|(_, most)| *most += 1);
        }
        let mut claimed = self.inner.claim(&request).await?;
        if self.has(Bug::FenceStays) {
            claimed.jobs.iter_mut().for_each(|job| job.lease.fence = Fence::new(1));
        }
        Ok(claimed)
    }

    async fn settle(
        &self,
        mut all: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        for end in &mut all {
            self.change(end).await;
            if self.has(Bug::BadItemSpoilsAll) && self.view(end.lease.id).await.is_none() {
                return Err(Error::invalid("settle jobs", "one of them does not exist"));
            }
        }
        let (mut settled, claimed) = self.inner.settle(all, next).await?;
        if self.has(Bug::AnswersAppliedTwice) {
            let already = settled.iter_mut().filter(|reply| **reply == Settled::AlreadyDone);
            already.for_each(|reply| *reply = Settled::Applied);
        }
        Ok((settled, claimed))
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        if self.has(Bug::BeatRenewsNothing) {
            return Ok(vec![BeatReply::Held; beat.leases.len()]);
        }
        self.inner.beat(beat).await
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        self.inner.wait(queues, max).await
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        if self.has(Bug::LeaseNeverEnds) {
            return Ok(Maintained::default());
        }
        if self.has(Bug::DropsLiveJobs) {
            let scheduled = JobFilter::default().with_state(JobState::Scheduled);
            for job in self.inner.list(&scheduled, None, 1).await?.jobs {
                let select = Select::Jobs(vec![job.id]);
                self.inner.alter(&select, Alter::Cancel).await?;
                self.inner.alter(&select, Alter::Delete).await?;
            }
        }
        self.inner.maintain(budget).await
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        if self.has(Bug::CancelIsLost)
            && let (Select::Jobs(ids), Alter::Cancel) = (select, alter)
        {
            let mut altered = Altered::default();
            altered.changed = ids.len() as u64;
            return Ok(altered);
        }
        self.inner.alter(select, alter).await
    }

    async fn configure(&self, queue: &QueueName, mut control: QueueControl) -> Result<()> {
        match self.bug {
            Bug::FullIsIgnored => control.max_len = None,
            Bug::PauseIsIgnored => control.paused = None,
            _ => {}
        }
        self.inner.configure(queue, control).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        let mut views = self.inner.get(ids).await?;
        if self.has(Bug::FenceStays) {
            views.iter_mut().flatten().for_each(|view| view.fence = Fence::new(1));
        }
        Ok(views)
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        let mut page = self.inner.list(filter, after, limit).await?;
        if self.has(Bug::ListSkipsOne) && after.is_some() && page.jobs.len() > 1 {
            page.jobs.remove(0);
        }
        Ok(page)
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        let mut stats = self.inner.stats(query).await?;
        if self.has(Bug::BatchMiscounts) {
            stats.batches.iter_mut().for_each(|batch| batch.counts.ready += 1);
        }
        Ok(stats)
    }
}

/// Whether a case ends with a panic.
fn notices(case: LocalBoxFuture<'_, ()>) -> bool {
    catch_unwind(AssertUnwindSafe(|| testing::run(case))).is_err()
}

macro_rules! queue_with {
    ($($bug:ident is noticed by $case:ident;)*) => {$(
        mod $case {
            use super::*;

            #[test]
            fn notices_its_bug() {
                let case = queue::case(stringify!($case));
                let fixture =
                    Wrapped::new(|inner| Arc::new(Broken { inner, bug: Bug::$bug }) as Arc<dyn JobQueue>);
                assert!(notices(case(&fixture)), "it passes with {:?}", Bug::$bug);
            }
        }
    )*};
}

queue_with! {
    AnswersAppliedTwice is noticed by a_settlement_sent_twice_says_so;
    AttemptOnRelease is noticed by a_release_counts_nothing;
    BadItemSpoilsAll is noticed by one_bad_settlement_spoils_nothing;
    BatchIsForgotten is noticed by batches_take_turns;
    BatchMiscounts is noticed by batch_counts_change_with_the_jobs;
    BeatRenewsNothing is noticed by a_beat_keeps_the_lease;
    CancelIsLost is noticed by a_running_job_learns_by_the_beat;
    ClaimsOneMore is noticed by a_claim_takes_what_it_wants;
    DeferIsRetry is noticed by any_sequence_agrees_with_the_model;
    DropsLiveJobs is noticed by retention_by_age_drops_ended_jobs_only;
    FenceStays is noticed by every_grant_raises_the_fence;
    FullIsIgnored is noticed by a_full_queue_takes_no_more;
    KeyIsIgnored is noticed by a_live_key_is_taken;
    LeaseNeverEnds is noticed by a_lease_that_is_over_is_freed;
    ListSkipsOne is noticed by pages_have_no_gaps;
    PauseIsIgnored is noticed by a_paused_queue_is_held_back;
    PriorityIsIgnored is noticed by priority_comes_first;
    ResendInsertsTwice is noticed by the_same_id_is_inserted_once;
    ResultIsLost is noticed by results_come_with_the_end;
    RunsEarly is noticed by nothing_is_claimed_before_it_is_due;
    StaleSettles is noticed by a_stale_fence_changes_nothing;
}

/// What a session store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionBug {
    IgnoresAccounts,
    IgnoresVersions,
    LendsTwice,
    StaleIsHeard,
}

#[derive(Debug)]
struct BrokenSessions {
    inner: Arc<dyn SessionStore>,
    bug: SessionBug,
}

impl fmt::Display for BrokenSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions with the bug {:?}", self.bug)
    }
}

#[async_trait]
impl SessionStore for BrokenSessions {
    async fn put(&self, mut records: Vec<SessionRecord>) -> Result<Vec<PutReply>> {
        if self.bug == SessionBug::IgnoresVersions {
            let stored = self.inner.list(None, 1_000).await?;
            for record in &mut records {
                let known = stored.iter().find(|known| known.id == record.id);
                record.version = known.map_or(0, |known| known.version);
            }
        }
        self.inner.put(records).await
    }

    async fn lease(&self, request: &SessionLeaseRequest) -> Result<LeasedSessions> {
        let mut request = request.clone();
        if self.bug == SessionBug::IgnoresAccounts {
            request.account = None;
        }
        let leased = self.inner.lease(&request).await?;
        if self.bug == SessionBug::LendsTwice {
            let lease = |(record, fence): &(SessionRecord, Fence)| {
                SessionLease::new(record.id.clone(), *fence)
            };
            let leases: Vec<_> = leased.sessions.iter().map(lease).collect();
            self.inner.release(&leases).await?;
        }
        Ok(leased)
    }

    async fn renew(&self, leases: &[SessionLease], ttl: Duration) -> Result<Vec<LeaseReply>> {
        self.inner.renew(leases, ttl).await
    }

    async fn save(&self, changes: Vec<SessionChange>) -> Result<Vec<LeaseReply>> {
        let count = changes.len();
        let replies = self.inner.save(changes).await?;
        let heard = self.bug == SessionBug::StaleIsHeard;
        Ok(if heard { vec![LeaseReply::Held; count] } else { replies })
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

#[test]
fn bugs_of_session_stores_are_noticed_by_their_cases() {
    for (bug, name) in [
        (SessionBug::IgnoresAccounts, "an_account_gets_its_own_sessions"),
        (SessionBug::IgnoresVersions, "versions_are_compared"),
        (SessionBug::LendsTwice, "a_lease_is_exclusive"),
        (SessionBug::StaleIsHeard, "a_stale_holder_changes_nothing"),
    ] {
        let case = sessions::case(name);
        let fixture = WrappedSessions::new(move |inner| {
            Arc::new(BrokenSessions { inner, bug }) as Arc<dyn SessionStore>
        });
        assert!(notices(case(&fixture)), "{name} passes with {bug:?}");
    }
}
