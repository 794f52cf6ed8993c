//! A queue that writes down what it is asked and what it answers, loses a reply now and then, and
//! ends the process at the point that its trap is armed for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::queue::{
    Alter, Altered, Beat, BeatReply, ClaimRequest, Claimed, Enqueued, JobFilter, JobQueue, JobView,
    Maintained, NewJob, Outcome, Page, QueueControl, QueueName, Select, Settled, Settlement, Stats,
    StatsQuery,
};
use story_checker_core::{Certainty, Error, ErrorKind, JobId, Result};

use crate::jobs::marked;
use crate::ledger::{Call, Entry, Lease, Ledger, Pulse, Said, Sent, micros};
use crate::spot::{Phase, Verb};
use crate::trap::Trap;

/// One reply to a settlement of so many is lost on its way to the engine.
const LOST_ONE_IN: u64 = 16;

/// Forwards every verb to `inner`.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn JobQueue>,
    ledger: Arc<Ledger>,
    trap: Arc<Trap>,
    settles: AtomicU64,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn JobQueue>, ledger: Arc<Ledger>, trap: Arc<Trap>) -> Self {
        Self { inner, ledger, trap, settles: AtomicU64::new(0) }
    }

    /// Sends what `asked` says, unless the process dies of it.
    async fn send<T>(
        &self,
        verb: Verb,
        call: Call,
        asked: &[Entry],
        sending: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        asked.iter().for_each(|entry| self.ledger.write(entry));
        self.trap.pass(&self.ledger, verb, Phase::Before);
        self.trap.pass_during(&self.ledger, verb);
        let answer = sending.await;
        match &answer {
            Ok(_) => self.trap.pass(&self.ledger, verb, Phase::After),
            Err(error) => self.ledger.write(&Entry::Failed { call, error: error.to_string() }),
        }
        answer
    }

    fn claimed(&self, call: Call, mut claimed: Claimed) -> Claimed {
        let jobs = claimed.jobs.iter().map(|job| (job.lease.id, job.lease.fence, job.crashes));
        self.ledger.write(&Entry::Claimed { call, jobs: jobs.collect() });
        for job in &mut claimed.jobs {
            job.payload = marked(&job.payload, (job.lease.id, job.lease.fence));
        }
        claimed
    }
}

fn claim_of(call: Call, request: &ClaimRequest) -> Entry {
    Entry::Claim { call, lease: micros(request.lease) }
}

fn sent(outcome: &Outcome) -> Sent {
    match outcome {
        Outcome::Cancelled => Sent::Cancelled,
        Outcome::Dead { reason, .. } => Sent::Dead(*reason),
        Outcome::Done { .. } => Sent::Done,
        _ => Sent::Again,
    }
}

fn said(reply: Settled) -> Said {
    match reply {
        Settled::AlreadyDone => Said::AlreadyDone,
        Settled::Applied => Said::Applied,
        Settled::Gone => Said::Gone,
        _ => Said::Stale,
    }
}

fn pulse(reply: BeatReply) -> Pulse {
    match reply {
        BeatReply::Cancel => Pulse::Cancel,
        BeatReply::Held => Pulse::Held,
        _ => Pulse::Stale,
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, watched", self.inner)
    }
}

#[async_trait]
impl JobQueue for Watched {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let replies = self.inner.enqueue(jobs).await?;
        let taken = |(id, reply): (JobId, &Enqueued)| match reply {
            Enqueued::Duplicate { existing } if *existing == id => Some(id),
            Enqueued::Inserted => Some(id),
            _ => None,
        };
        let jobs = ids.into_iter().zip(&replies).filter_map(taken).collect();
        self.ledger.write(&Entry::Enqueued { jobs });
        Ok(replies)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        let call = self.ledger.call();
        let asked = [claim_of(call, request)];
        let claimed = self.send(Verb::Claim, call, &asked, self.inner.claim(request)).await?;
        Ok(self.claimed(call, claimed))
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        let call = self.ledger.call();
        let item = |it: &Settlement| (it.lease.id, it.lease.fence, sent(&it.outcome));
        let items = settlements.iter().map(item).collect();
        let mut asked = vec![Entry::Settle { call, items }];
        asked.extend(next.map(|request| claim_of(call, request)));
        let settling = self.inner.settle(settlements, next);
        let (replies, claimed) = self.send(Verb::Settle, call, &asked, settling).await?;
        let lost = self.settles.fetch_add(1, Ordering::Relaxed) % LOST_ONE_IN == LOST_ONE_IN - 1;
        let said = replies.iter().map(|reply| said(*reply)).collect();
        self.ledger.write(&Entry::Settled { call, replies: said, lost });
        if lost {
            let error = Error::new(ErrorKind::Unavailable, Certainty::MaybeApplied, "settle jobs");
            return Err(error.with_context("the reply was lost on purpose"));
        }
        Ok((replies, if next.is_some() { self.claimed(call, claimed) } else { claimed }))
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        let call = self.ledger.call();
        let leases: Vec<Lease> = beat.leases.iter().map(|it| (it.id, it.fence)).collect();
        let asked = [Entry::Beat { call, lease: micros(beat.lease), leases }];
        let replies = self.send(Verb::Beat, call, &asked, self.inner.beat(beat)).await?;
        let pulses = replies.iter().map(|reply| pulse(*reply)).collect();
        self.ledger.write(&Entry::Beaten { call, replies: pulses });
        Ok(replies)
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        self.inner.wait(queues, max).await
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        let maintained = self.inner.maintain(budget).await?;
        if maintained.reaped > 0 {
            self.ledger.write(&Entry::Maintained { reaped: maintained.reaped });
        }
        Ok(maintained)
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        let altered = self.inner.alter(select, alter).await?;
        if alter == Alter::Cancel {
            self.ledger.write(&Entry::Cancelled { changed: altered.changed });
        }
        Ok(altered)
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        self.inner.configure(queue, control).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        self.inner.get(ids).await
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        self.inner.list(filter, after, limit).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        self.inner.stats(query).await
    }
}
