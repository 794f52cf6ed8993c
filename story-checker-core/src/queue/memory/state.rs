//! The queue as plain data: every method is one atomic step at a given time.
//!
//! Rows live in a slab. Each waiting row stands in exactly one of its queue's orders (`ready` or
//! `scheduled`), each leased one in `leases`, each ended one in one of the two logs.

mod admin;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use slab::Slab;

use super::super::{
    BeatReply, ClaimRequest, Claimed, ClaimedJob, Enqueued, JobCounts, JobLease, JobPast, JobState,
    MAX_ITEMS, NewJob, Outcome, QueueName, Retention, Settled, Settlement, WORKERS_KEPT,
};
use crate::clock::Timestamp;
use crate::id::{BatchId, Fence, JobId, WorkerId};
use crate::retry::DeadReason;

/// How many scheduled rows become ready in one claim beyond what it wants.
const PROMOTE: usize = 512;

#[derive(Debug)]
pub(super) struct State {
    retention: Retention,
    rows: Slab<Row>,
    by_id: BTreeMap<JobId, usize>,
    queues: Vec<Queue>,
    queue_index: BTreeMap<QueueName, usize>,
    batches: Slab<Batch>,
    batch_index: BTreeMap<BatchId, usize>,
    /// Batches that were cancelled while rows of theirs still waited.
    cancelled: VecDeque<usize>,
    leases: BTreeSet<(Timestamp, usize)>,
    /// Ended rows in the order of their ending, with the time; entries of rows that live again or
    /// are gone are skipped.
    done_log: VecDeque<(Timestamp, JobId)>,
    dead_log: VecDeque<(Timestamp, JobId)>,
    /// Ended rows, apart from entries that are skipped: done ones, and the others.
    kept: [usize; 2],
    /// The last sign of life of each worker.
    workers: BTreeMap<WorkerId, Timestamp>,
    sequence: u64,
}

#[derive(Debug)]
struct Row {
    id: JobId,
    payload: Bytes,
    batch: Option<usize>,
    queue: usize,
    state: JobState,
    priority: u8,
    cancel: bool,
    attempt: u32,
    crashes: u32,
    deferrals: u32,
    fence: Fence,
    sequence: u64,
    enqueued_at: Timestamp,
    at: Timestamp,
    deadline: Option<Timestamp>,
    /// Who holds it.
    worker: Option<WorkerId>,
    /// What most rows do not have.
    extra: Option<Box<Extra>>,
}

#[derive(Debug, Default)]
struct Extra {
    result: Option<Bytes>,
    note: String,
    dead_reason: Option<DeadReason>,
    unique: Option<Bytes>,
}

impl Row {
    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}

#[derive(Debug)]
struct Queue {
    name: QueueName,
    paused: bool,
    max_len: Option<usize>,
    counts: JobCounts,
    ready: BTreeMap<u8, Level>,
    scheduled: BTreeSet<(Timestamp, usize)>,
    /// Waiting rows that have a deadline.
    deadlines: BTreeSet<(Timestamp, usize)>,
    unique: HashMap<Bytes, usize>,
}

/// The ready rows of one priority: batches take turns.
#[derive(Debug, Default)]
struct Level {
    turns: VecDeque<Option<usize>>,
    rows: BTreeMap<Option<usize>, BTreeSet<(u64, usize)>>,
}

impl Level {
    fn insert(&mut self, batch: Option<usize>, sequence: u64, row: usize) {
        let rows = self.rows.entry(batch).or_default();
        if rows.is_empty() {
            self.turns.push_back(batch);
        }
        rows.insert((sequence, row));
    }

    fn remove(&mut self, batch: Option<usize>, sequence: u64, row: usize) {
        if let Some(rows) = self.rows.get_mut(&batch) {
            rows.remove(&(sequence, row));
            if rows.is_empty() {
                self.rows.remove(&batch);
                self.turns.retain(|turn| *turn != batch);
            }
        }
    }

    /// Takes the first row of the batch whose turn it is, passing over those that may not.
    fn take(&mut self, may: impl Fn(usize) -> bool) -> Option<usize> {
        for _ in 0..self.turns.len() {
            let batch = self.turns.pop_front()?;
            if !batch.is_none_or(&may) {
                self.turns.push_back(batch);
                continue;
            }
            let rows = self.rows.get_mut(&batch)?;
            let (_, row) = rows.pop_first()?;
            if rows.is_empty() {
                self.rows.remove(&batch);
            } else {
                self.turns.push_back(batch);
            }
            return Some(row);
        }
        None
    }
}

#[derive(Debug)]
struct Batch {
    id: BatchId,
    paused: bool,
    cancelled: bool,
    /// Counts by queue, so that cancelling takes one step per queue.
    counts: Vec<Share>,
    /// Rows that still exist.
    rows: usize,
    created_at: Timestamp,
    changed_at: Timestamp,
}

/// What a batch has in one queue.
#[derive(Debug)]
struct Share {
    queue: usize,
    counts: JobCounts,
    /// Rows that still wait although the batch is cancelled; they count as cancelled.
    hidden: JobCounts,
}

impl Batch {
    fn share(&mut self, queue: usize) -> &mut Share {
        let index = self.counts.iter().position(|share| share.queue == queue);
        let index = index.unwrap_or_else(|| {
            let (counts, hidden) = (JobCounts::default(), JobCounts::default());
            self.counts.push(Share { queue, counts, hidden });
            self.counts.len() - 1
        });
        &mut self.counts[index]
    }

    fn total(&self) -> JobCounts {
        let mut total = JobCounts::default();
        for Share { counts, .. } in &self.counts {
            for state in STATES {
                *total.of(state) += *counts.clone().of(state);
            }
        }
        total
    }
}

const STATES: [JobState; 6] = [
    JobState::Cancelled,
    JobState::Dead,
    JobState::Done,
    JobState::Leased,
    JobState::Ready,
    JobState::Scheduled,
];

impl State {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            rows: Slab::new(),
            by_id: BTreeMap::new(),
            queues: Vec::new(),
            queue_index: BTreeMap::new(),
            batches: Slab::new(),
            batch_index: BTreeMap::new(),
            cancelled: VecDeque::new(),
            leases: BTreeSet::new(),
            done_log: VecDeque::new(),
            dead_log: VecDeque::new(),
            kept: [0; 2],
            workers: BTreeMap::new(),
            sequence: 0,
        }
    }

    fn queue(&mut self, name: &QueueName) -> usize {
        if let Some(&index) = self.queue_index.get(name) {
            return index;
        }
        let index = self.queues.len();
        self.queues.push(Queue {
            name: name.clone(),
            paused: false,
            max_len: None,
            counts: JobCounts::default(),
            ready: BTreeMap::new(),
            scheduled: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            unique: HashMap::new(),
        });
        self.queue_index.insert(name.clone(), index);
        index
    }

    fn batch(&mut self, id: BatchId, now: Timestamp) -> usize {
        if let Some(&index) = self.batch_index.get(&id) {
            return index;
        }
        let batch = Batch {
            id,
            paused: false,
            cancelled: false,
            counts: Vec::new(),
            rows: 0,
            created_at: now,
            changed_at: now,
        };
        let index = self.batches.insert(batch);
        self.batch_index.insert(id, index);
        index
    }

    pub(super) fn enqueue(&mut self, job: NewJob, now: Timestamp) -> Enqueued {
        if self.by_id.contains_key(&job.id) {
            return Enqueued::Duplicate { existing: job.id };
        }
        let queue = self.queue(&job.queue);
        let past = job.past.as_deref();
        let ended = past.is_some_and(|past| past.state.is_final());
        let twin = job.unique.as_ref().and_then(|key| self.queues[queue].unique.get(key)).copied();
        if let Some(twin) = twin.filter(|_| !ended)
            && !self.state_of(twin).is_final()
        {
            return Enqueued::Duplicate { existing: self.rows[twin].id };
        }
        let Queue { max_len, counts, .. } = &self.queues[queue];
        if !ended && max_len.is_some_and(|max| counts.live() >= max as u64) {
            return Enqueued::Full;
        }
        if let Some(twin) = twin.filter(|_| !ended) {
            // Its batch was cancelled: it ends now, for its key is needed.
            self.end(twin, JobState::Cancelled, now);
        }
        let batch = job.batch.map(|id| self.batch(id, now));
        if let Some(batch) = batch {
            let batch = &mut self.batches[batch];
            batch.changed_at = batch.changed_at.max(now);
        }
        self.sequence += 1;
        let extra = job
            .unique
            .clone()
            .map(|unique| Box::new(Extra { unique: Some(unique), ..Extra::default() }));
        let row = self.rows.insert(Row {
            id: job.id,
            payload: job.payload,
            batch,
            queue,
            // Counted below; from here it goes in line, or has ended.
            state: JobState::Cancelled,
            priority: job.priority,
            cancel: false,
            attempt: 0,
            crashes: 0,
            deferrals: 0,
            fence: Fence::default(),
            sequence: self.sequence,
            enqueued_at: now,
            at: now + job.delay,
            deadline: job.deadline.map(|span| now + span),
            worker: None,
            extra,
        });
        self.by_id.insert(job.id, row);
        if let Some(key) = job.unique.filter(|_| !ended) {
            self.queues[queue].unique.insert(key, row);
        }
        if let Some(batch) = batch {
            self.batches[batch].rows += 1;
        }
        self.count(row, JobState::Cancelled, 1);
        match job.past {
            Some(past) => self.restore(row, *past, now),
            None if self.is_cancelled(row) => self.end(row, JobState::Cancelled, now),
            None => self.put_in_line(row, now + job.delay, now),
        }
        Enqueued::Inserted
    }

    /// Gives a new row the past that it had in another store.
    fn restore(&mut self, row: usize, past: JobPast, now: Timestamp) {
        let cancelled = self.is_cancelled(row);
        let at = &mut self.rows[row];
        at.attempt = past.attempt;
        at.crashes = past.crashes;
        at.deferrals = past.deferrals;
        at.fence = past.fence;
        at.enqueued_at = past.enqueued_at;
        at.deadline = past.deadline;
        if !past.note.is_empty() || past.dead_reason.is_some() || past.result.is_some() {
            let extra = at.extra();
            extra.note = past.note;
            extra.dead_reason = past.dead_reason;
            extra.result = past.result.filter(|result| !result.is_empty());
        }
        match past.state {
            state if state.is_final() => self.end(row, state, past.at),
            _ if cancelled => self.end(row, JobState::Cancelled, now),
            JobState::Scheduled => self.put_in_line(row, past.at, now),
            // Nobody holds here what somebody held there.
            _ => self.put_in_line(row, now, now),
        }
    }

    /// Changes the counters of a row's state by one.
    fn count(&mut self, row: usize, state: JobState, by: i64) {
        let Row { queue, batch, .. } = self.rows[row];
        let change = |count: &mut u64| *count = count.saturating_add_signed(by);
        change(self.queues[queue].counts.of(state));
        if let Some(batch) = batch {
            change(self.batches[batch].share(queue).counts.of(state));
        }
    }

    fn set_state(&mut self, row: usize, state: JobState) {
        // A waiting row of a cancelled batch has been counted as cancelled already.
        self.count(row, self.state_of(row), -1);
        self.hide(row, -1);
        self.rows[row].state = state;
        self.hide(row, 1);
        self.count(row, self.state_of(row), 1);
    }

    /// Changes the count of waiting rows of a cancelled batch by one, if the row is one.
    fn hide(&mut self, row: usize, by: i64) {
        let Row { queue, batch, state, .. } = self.rows[row];
        let waits = matches!(state, JobState::Ready | JobState::Scheduled);
        if let Some(batch) = batch.filter(|batch| waits && self.batches[*batch].cancelled) {
            let hidden = self.batches[batch].share(queue).hidden.of(state);
            *hidden = hidden.saturating_add_signed(by);
        }
    }

    /// Where a row really stands: waiting rows of a cancelled batch are cancelled.
    fn state_of(&self, row: usize) -> JobState {
        let Row { state, batch, .. } = self.rows[row];
        let waits = matches!(state, JobState::Ready | JobState::Scheduled);
        if waits && batch.is_some_and(|batch| self.batches[batch].cancelled) {
            return JobState::Cancelled;
        }
        state
    }

    /// Lets a row wait until `at`. It must stand in no order.
    fn put_in_line(&mut self, row: usize, at: Timestamp, now: Timestamp) {
        let state = if at <= now { JobState::Ready } else { JobState::Scheduled };
        self.set_state(row, state);
        self.rows[row].at = at;
        let Row { queue, batch, priority, sequence, deadline, .. } = self.rows[row];
        let queue = &mut self.queues[queue];
        if state == JobState::Ready {
            queue.ready.entry(priority).or_default().insert(batch, sequence, row);
        } else {
            queue.scheduled.insert((at, row));
        }
        if let Some(deadline) = deadline {
            queue.deadlines.insert((deadline, row));
        }
    }

    /// Takes a row out of whatever order it stands in.
    fn take_out_of_line(&mut self, row: usize) {
        let Row { queue, batch, priority, sequence, at, deadline, state, .. } = self.rows[row];
        let queue = &mut self.queues[queue];
        match state {
            JobState::Ready => {
                if let Some(level) = queue.ready.get_mut(&priority) {
                    level.remove(batch, sequence, row);
                    if level.rows.is_empty() {
                        queue.ready.remove(&priority);
                    }
                }
            }
            JobState::Scheduled => {
                queue.scheduled.remove(&(at, row));
            }
            JobState::Leased => {
                self.leases.remove(&(at, row));
            }
            JobState::Cancelled | JobState::Dead | JobState::Done => {}
        }
        if let Some(deadline) = deadline {
            queue.deadlines.remove(&(deadline, row));
        }
    }

    fn promote(&mut self, queue: usize, most: usize, now: Timestamp) {
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

    /// Notes a sign of life.
    pub(super) fn alive(&mut self, worker: &WorkerId, now: Timestamp) {
        match self.workers.get_mut(worker) {
            Some(seen) => *seen = now,
            None => _ = self.workers.insert(worker.clone(), now),
        }
    }

    /// Forgets workers that gave no sign of life for long.
    pub(super) fn forget_workers(&mut self, now: Timestamp) {
        self.workers.retain(|_, seen| *seen + WORKERS_KEPT > now);
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Timestamp) -> Claimed {
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

    /// Leases exactly these rows, if they wait.
    #[cfg(feature = "testing")]
    pub(super) fn grant_these(
        &mut self,
        ids: &[JobId],
        request: &ClaimRequest,
        now: Timestamp,
    ) -> Vec<JobLease> {
        self.alive(&request.worker, now);
        for queue in 0..self.queues.len() {
            self.promote(queue, usize::MAX, now);
        }
        let rows: Vec<_> = ids.iter().filter_map(|id| self.by_id.get(id).copied()).collect();
        let mut grant = |row| {
            self.take_out_of_line(row);
            self.grant(row, request, now).lease
        };
        rows.into_iter().map(&mut grant).collect()
    }

    fn claim_ready(
        &mut self,
        queue: usize,
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
        queue: usize,
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

    /// Leases a row that was just taken out of its order.
    fn grant(&mut self, row: usize, request: &ClaimRequest, now: Timestamp) -> ClaimedJob {
        self.set_state(row, JobState::Leased);
        let until = now + request.lease;
        self.leases.insert((until, row));
        let at = &mut self.rows[row];
        at.fence = at.fence.next();
        at.at = until;
        at.worker = Some(request.worker.clone());
        if let Some(deadline) = at.deadline {
            self.queues[at.queue].deadlines.remove(&(deadline, row));
        }
        let Row { id, fence, batch, attempt, crashes, deferrals, deadline, .. } = self.rows[row];
        let row = &self.rows[row];
        ClaimedJob {
            batch: batch.map(|batch| self.batches[batch].id),
            attempt,
            crashes,
            deferrals,
            deadline,
            ..ClaimedJob::new(
                JobLease::new(id, fence),
                self.queues[row.queue].name.clone(),
                row.payload.clone(),
                row.enqueued_at,
            )
        }
    }

    /// The row of a lease that holds, or why it does not.
    fn held(&self, lease: JobLease) -> Result<usize, Settled> {
        let &row = self.by_id.get(&lease.id).ok_or(Settled::Gone)?;
        match &self.rows[row] {
            held if held.fence != lease.fence => Err(Settled::Stale),
            held if held.state == JobState::Leased => Ok(row),
            // Reaping raises the fence, so only a settlement can have ended this lease.
            _ => Err(Settled::AlreadyDone),
        }
    }

    fn is_cancelled(&self, row: usize) -> bool {
        let Row { cancel, batch, .. } = self.rows[row];
        cancel || batch.is_some_and(|batch| self.batches[batch].cancelled)
    }

    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Settled {
        let row = match self.held(settlement.lease) {
            Ok(row) => row,
            Err(reply) => return reply,
        };
        self.take_out_of_line(row);
        self.rows[row].worker = None;
        let cancelled = self.is_cancelled(row);
        match settlement.outcome {
            Outcome::Done { result } => {
                if !result.is_empty() {
                    self.rows[row].extra().result = Some(result);
                }
                self.end(row, JobState::Done, now);
            }
            Outcome::Dead { reason, result } => {
                let extra = self.rows[row].extra();
                extra.result = Some(result);
                extra.dead_reason = Some(reason);
                self.end(row, JobState::Dead, now);
            }
            // A cancellation wins over everything that would run the job again.
            Outcome::Cancelled
            | Outcome::Defer { .. }
            | Outcome::Release { .. }
            | Outcome::Retry { .. }
                if cancelled =>
            {
                self.end(row, JobState::Cancelled, now)
            }
            Outcome::Cancelled => self.end(row, JobState::Cancelled, now),
            Outcome::Release { after } => self.put_in_line(row, now + after, now),
            Outcome::Defer { after, note } => {
                self.rows[row].deferrals += 1;
                self.rows[row].extra().note = note;
                self.put_in_line(row, now + after, now);
            }
            Outcome::Retry { after, note } => {
                self.rows[row].attempt += 1;
                self.rows[row].extra().note = note;
                self.put_in_line(row, now + after, now);
            }
        }
        Settled::Applied
    }

    /// Ends a row for good.
    fn end(&mut self, row: usize, state: JobState, now: Timestamp) {
        self.take_out_of_line(row);
        self.set_state(row, state);
        let ended = &mut self.rows[row];
        ended.at = now;
        let (id, queue, batch) = (ended.id, ended.queue, ended.batch);
        if let Some(key) = ended.extra.as_ref().and_then(|extra| extra.unique.as_ref())
            && self.queues[queue].unique.get(key) == Some(&row)
        {
            self.queues[queue].unique.remove(key);
        }
        if let Some(batch) = batch {
            self.batches[batch].changed_at = now;
        }
        let log = if state == JobState::Done { &mut self.done_log } else { &mut self.dead_log };
        log.push_back((now, id));
        self.kept[usize::from(state != JobState::Done)] += 1;
    }

    pub(super) fn renew(&mut self, lease: JobLease, until: Timestamp) -> BeatReply {
        let Ok(row) = self.held(lease) else { return BeatReply::Stale };
        self.leases.remove(&(self.rows[row].at, row));
        self.leases.insert((until, row));
        self.rows[row].at = until;
        if self.is_cancelled(row) { BeatReply::Cancel } else { BeatReply::Held }
    }

    pub(super) fn next_due(&self, queues: &[QueueName], now: Timestamp) -> Option<Timestamp> {
        let known = queues.iter().filter_map(|name| self.queue_index.get(name));
        let open = known.map(|index| &self.queues[*index]).filter(|queue| !queue.paused);
        open.filter_map(|queue| {
            let may = |turn: &Option<usize>| {
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

    pub(super) fn reap(&mut self, budget: usize, now: Timestamp) -> usize {
        for reaped in 0..budget {
            let Some(&(until, row)) = self.leases.first() else { return reaped };
            if until > now {
                return reaped;
            }
            self.take_out_of_line(row);
            let dead = &mut self.rows[row];
            dead.crashes += 1;
            dead.fence = dead.fence.next();
            dead.worker = None;
            if self.is_cancelled(row) {
                self.end(row, JobState::Cancelled, now);
            } else {
                self.put_in_line(row, now, now);
            }
        }
        budget
    }

    /// Ends waiting rows of cancelled batches, which were counted as cancelled all along.
    pub(super) fn sweep_cancelled(&mut self, budget: usize, now: Timestamp) -> usize {
        let mut swept = 0;
        while let Some(&batch) = self.cancelled.front() {
            let of_batch = |level: &Level| level.rows.get(&Some(batch))?.first().copied();
            let of = &self.batches[batch];
            let queues = of.counts.iter().map(|share| &self.queues[share.queue]);
            let next = queues.flat_map(|queue| queue.ready.values()).find_map(of_batch);
            match next.filter(|_| of.cancelled) {
                Some(_) if swept >= budget => break,
                Some((_, row)) => {
                    self.end(row, JobState::Cancelled, now);
                    swept += 1;
                }
                // Scheduled rows follow when they become due.
                None => {
                    self.cancelled.pop_front();
                }
            }
        }
        swept
    }

    pub(super) fn prune(&mut self, budget: usize, now: Timestamp) -> usize {
        let Retention { done, dead, done_for, dead_for } = self.retention;
        let mut pruned = 0;
        for (state_is_done, keep, age) in [(true, done, done_for), (false, dead, dead_for)] {
            while pruned < budget {
                let log = if state_is_done { &mut self.done_log } else { &mut self.dead_log };
                let Some(&(at, id)) = log.front() else { break };
                let kept = self.kept[usize::from(!state_is_done)];
                if kept <= keep && at + age > now {
                    break;
                }
                log.pop_front();
                if let Some(&row) = self.by_id.get(&id) {
                    let Row { state, at: ended_at, .. } = self.rows[row];
                    if state.is_final() && ended_at == at {
                        self.drop_row(row, now);
                        pruned += 1;
                    }
                }
            }
        }
        pruned
    }

    fn drop_row(&mut self, row: usize, now: Timestamp) {
        let row = self.rows.remove(row);
        self.by_id.remove(&row.id);
        self.kept[usize::from(row.state != JobState::Done)] -= 1;
        if let Some(index) = row.batch {
            let batch = &mut self.batches[index];
            batch.rows -= 1;
            // A batch is remembered as long as its jobs would be; a large one outlives their count.
            let old =
                batch.changed_at + self.retention.done_for.max(self.retention.dead_for) <= now;
            if batch.rows == 0 && old && !self.cancelled.contains(&index) {
                let batch = self.batches.remove(index);
                self.batch_index.remove(&batch.id);
            }
        }
    }
}
