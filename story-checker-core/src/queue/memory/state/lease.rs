//! How jobs are given out, for how long, and what becomes of those that nobody gives back.

use bytes::Bytes;

use super::State;
use super::batch::Batch;
use super::row::Row;
use super::table::Slot;
use crate::clock::Timestamp;
#[cfg(feature = "testing")]
use crate::id::JobId;
use crate::id::WorkerId;
use crate::queue::{
    BeatReply, ClaimRequest, Claimed, ClaimedJob, JobLease, JobState, MAX_ITEMS, QueueName, Settled,
};

/// How many scheduled rows become ready in one claim beyond what it wants.
const PROMOTE: usize = 512;

impl State {
    pub(in super::super) fn claim(&mut self, request: &ClaimRequest, now: Timestamp) -> Claimed {
        let mut claimed = Claimed::default();
        let mut room = MAX_ITEMS;
        self.alive(&request.worker, now);
        for (name, want) in &request.wants {
            let queue = self.queue(name);
            let want = (*want).min(room);
            let before = claimed.jobs.len();
            if let Some(within) = request.hopeless_within {
                self.claim_hopeless(queue, want, now + within, request, now, &mut claimed.jobs);
            } else if !self.queues[queue].paused {
                self.promote(queue, want.saturating_add(PROMOTE), now);
                self.claim_ready(queue, want, request, now, &mut claimed.jobs);
            }
            room -= claimed.jobs.len() - before;
            let next = self.queues[queue].scheduled.first().map(|(at, _)| *at);
            let next = next.filter(|at| *at > now);
            claimed.next_at = [claimed.next_at, next].into_iter().flatten().min();
        }
        claimed
    }

    fn promote(&mut self, queue: Slot, most: usize, now: Timestamp) {
        for _ in 0..most {
            let Some(&(at, row)) = self.queues[queue].scheduled.first() else { break };
            if at > now {
                break;
            }
            if self.is_cancelled(row) {
                self.end(row, JobState::Cancelled, now);
            } else {
                self.take_out_of_line(row);
                self.put_in_line(row, at, now);
            }
        }
    }

    fn claim_ready(
        &mut self,
        queue: Slot,
        want: usize,
        request: &ClaimRequest,
        now: Timestamp,
        claimed: &mut Vec<ClaimedJob>,
    ) {
        let mut lowest = 0;
        let mut left = want;
        while left > 0 {
            let levels = &mut self.queues[queue].ready;
            let Some((&priority, level)) = levels.range_mut(lowest..).next() else { break };
            let batches = &self.batches;
            let taken = level.take(|batch| !batches[batch].paused && !batches[batch].cancelled);
            if level.rows.is_empty() {
                levels.remove(&priority);
            }
            match taken {
                Some(row) => {
                    claimed.push(self.grant(row, request, now));
                    left -= 1;
                }
                // All that is left of this level may not go now.
                None if priority == u8::MAX => break,
                None => lowest = priority + 1,
            }
        }
    }

    fn claim_hopeless(
        &mut self,
        queue: Slot,
        want: usize,
        until: Timestamp,
        request: &ClaimRequest,
        now: Timestamp,
        claimed: &mut Vec<ClaimedJob>,
    ) {
        let found = self.queues[queue].deadlines.iter().take_while(|(at, _)| *at <= until);
        let rows: Vec<_> = found
            .map(|(_, row)| *row)
            .filter(|row| self.state_of(*row) != JobState::Cancelled)
            .take(want)
            .collect();
        for row in rows {
            self.take_out_of_line(row);
            claimed.push(self.grant(row, request, now));
        }
    }

    /// Leases exactly these rows, if they wait.
    #[cfg(feature = "testing")]
    pub(in super::super) fn grant_these(
        &mut self,
        ids: &[JobId],
        request: &ClaimRequest,
        now: Timestamp,
    ) -> Vec<JobLease> {
        self.alive(&request.worker, now);
        let queues: Vec<_> = self.queues.after(None).map(|(_, queue)| queue).collect();
        for queue in queues {
            self.promote(queue, usize::MAX, now);
        }
        let rows: Vec<_> = ids.iter().filter_map(|id| self.rows.slot(id)).collect();
        let mut grant = |row| {
            self.take_out_of_line(row);
            self.grant(row, request, now).lease
        };
        rows.into_iter().map(&mut grant).collect()
    }

    /// Leases a row that was just taken out of its order.
    fn grant(&mut self, row: Slot, request: &ClaimRequest, now: Timestamp) -> ClaimedJob {
        self.set_state(row, JobState::Leased);
        let until = now + request.lease;
        self.leases.insert((until, row), request.worker.clone());
        let at = &mut self.rows[row];
        at.fence = at.fence.next();
        at.at = until;
        let (queue, deadline) = (&mut self.queues[at.queue], at.deadline());
        if let Some(deadline) = deadline {
            queue.deadlines.remove(&(deadline, row));
        }
        let Row { id, fence, batch, attempt, crashes, deferrals, enqueued_at, .. } = *at;
        ClaimedJob {
            batch: batch.map(|batch| self.batches[batch].id),
            attempt,
            crashes,
            deferrals,
            deadline,
            ..ClaimedJob::new(
                JobLease::new(id, fence),
                queue.name.clone(),
                Bytes::copy_from_slice(&at.payload),
                enqueued_at,
            )
        }
    }

    /// The row of a lease that holds, or why it does not.
    pub(super) fn held(&self, lease: JobLease) -> Result<Slot, Settled> {
        let row = self.rows.slot(&lease.id).ok_or(Settled::Gone)?;
        match &self.rows[row] {
            held if held.fence != lease.fence => Err(Settled::Stale),
            held if held.state == JobState::Leased => Ok(row),
            // Reaping raises the fence, so only a settlement can have ended this lease.
            _ => Err(Settled::AlreadyDone),
        }
    }

    pub(in super::super) fn renew(&mut self, lease: JobLease, until: Timestamp) -> BeatReply {
        let Ok(row) = self.held(lease) else { return BeatReply::Stale };
        let before = std::mem::replace(&mut self.rows[row].at, until);
        if let Some(holder) = self.leases.remove(&(before, row)) {
            self.leases.insert((until, row), holder);
        }
        if self.is_cancelled(row) { BeatReply::Cancel } else { BeatReply::Held }
    }

    /// Who holds a row.
    pub(super) fn holder(&self, row: Slot) -> Option<&WorkerId> {
        self.leases.get(&(self.rows[row].at, row))
    }

    pub(in super::super) fn reap(&mut self, budget: usize, now: Timestamp) -> usize {
        for reaped in 0..budget {
            let Some((&(until, row), _)) = self.leases.first_key_value() else { return reaped };
            if until > now {
                return reaped;
            }
            self.take_out_of_line(row);
            let dead = &mut self.rows[row];
            dead.crashes += 1;
            dead.fence = dead.fence.next();
            if self.is_cancelled(row) {
                self.end(row, JobState::Cancelled, now);
            } else {
                self.put_in_line(row, now, now);
            }
        }
        budget
    }

    pub(in super::super) fn next_due(
        &self,
        queues: &[QueueName],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = queues.iter().filter_map(|name| self.queues.slot(name));
        let open = known.map(|queue| &self.queues[queue]).filter(|queue| !queue.paused);
        open.filter_map(|queue| {
            let may = |turn: &Option<Slot>| {
                turn.is_none_or(|batch| {
                    let Batch { paused, cancelled, .. } = self.batches[batch];
                    !paused && !cancelled
                })
            };
            if queue.ready.values().any(|level| level.turns.iter().any(may)) {
                return Some(now);
            }
            queue.scheduled.first().map(|(at, _)| *at)
        })
        .min()
    }
}
