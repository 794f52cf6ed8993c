//! Jobs on Redis.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use story_checker_core::queue::{
    Alter, Altered, BatchStats, Beat, BeatReply, ClaimRequest, Claimed, ClaimedJob, Enqueued,
    JobCounts, JobFilter, JobLease, JobQueue, JobState, JobView, MAX_ITEMS, Maintained, NewJob,
    Page, QueueControl, QueueName, QueueStats, Select, Settled, Settlement, Stats, StatsQuery,
    WORKERS_KEPT, WorkerStats, check_len,
};
use story_checker_core::{BatchId, Error, Fence, JobId, Result, Timestamp, WorkerId};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::codec::{self, Stored};
use crate::reply::{self, Items, corrupt};
use crate::script::{
    ALTER_BATCH, ALTER_JOBS, BEAT, CLAIM, CONFIGURE, Call, DUE, ENQUEUE, LIST, LOOK, MAINTAIN,
    SETTLE, STATS, Script,
};
use crate::shared::Shared;

/// How many jobs one script of maintenance handles: claims wait no longer than that takes.
const STEP: usize = 256;

/// How many ids one script of a listing looks at.
const LOOKS: usize = 2_000;

/// Jobs in Redis, shared by all processes that use the same server and namespace.
///
/// Made by [`RedisStore::queue`](crate::RedisStore::queue).
#[derive(Clone, Debug)]
pub struct RedisJobQueue {
    shared: Arc<Shared>,
}

impl RedisJobQueue {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn call(&self, script: &'static Script) -> Call {
        script.on(&self.shared.tag)
    }

    async fn enqueue_distinct(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
        let (mut queues, mut batches) = (Numbered::default(), Numbered::default());
        let mut heads = Vec::with_capacity(jobs.len());
        let mut largest: Option<&JobId> = None;
        for job in jobs {
            let queue = u16::try_from(queues.number(&job.queue)).unwrap_or(u16::MAX);
            let batch = job.batch.as_ref().map_or(0, |batch| batches.number(batch));
            let grows = largest.is_none_or(|largest| *largest < job.id);
            if grows {
                largest = Some(&job.id);
            }
            heads.push(codec::new_job(job, queue, batch, grows)?);
        }
        let mut call = self.call(&ENQUEUE);
        call.arg(queues.items.len());
        for queue in &queues.items {
            call.arg(queue.as_str());
        }
        call.arg(batches.items.len());
        for batch in &batches.items {
            call.arg(&batch.as_bytes()[..]);
        }
        for (head, body) in &heads {
            call.arg(head).arg(&body[..]);
        }
        let mut items = Items::of(ENQUEUE.operation, call.send(&self.shared.link).await?)?;
        let (answers, mut twins) = (items.bytes()?, items.bytes()?);
        self.woken(queues.items.iter().map(|queue| queue.as_str()));
        let answer = |byte: &u8| match byte {
            b'i' => Some(Enqueued::Inserted),
            b'f' => Some(Enqueued::Full),
            b'd' if twins.len() >= 16 => {
                codec::id(&twins.split_to(16)).map(|existing| Enqueued::Duplicate { existing })
            }
            _ => None,
        };
        let answers: Option<Vec<_>> = answers.iter().map(answer).collect();
        answers
            .filter(|answers| answers.len() == jobs.len())
            .ok_or_else(|| corrupt(ENQUEUE.operation, "answers of another number"))
    }

    fn woken<'a>(&self, queues: impl Iterator<Item = &'a str>) {
        let names: Vec<_> = queues.collect();
        self.shared.wake.notify(Arc::from(names.join("\n").as_str()));
    }

    /// In how long one of the queues has something due; none: that is unknown.
    async fn due_in(&self, queues: &[QueueName]) -> Result<Option<Duration>> {
        let mut call = self.call(&DUE);
        for queue in queues {
            call.arg(queue.as_str());
        }
        let number = reply::number(DUE.operation, call.send(&self.shared.link).await?)?;
        Ok(u64::try_from(number).ok().map(Duration::from_millis))
    }

    async fn alter_batch(&self, batch: &BatchId, what: &str) -> Result<Altered> {
        let mut call = self.call(&ALTER_BATCH);
        call.arg(what).arg(&batch.as_bytes()[..]);
        let number = reply::number(ALTER_BATCH.operation, call.send(&self.shared.link).await?)?;
        let mut altered = Altered::default();
        match u64::try_from(number) {
            Ok(changed) => altered.changed = changed,
            Err(_) => altered.refused = 1,
        }
        Ok(altered)
    }

    async fn alter_jobs(&self, ids: &[JobId], what: &str, span: &str) -> Result<Altered> {
        let mut altered = Altered::default();
        for some in ids.chunks(STEP) {
            let mut call = self.call(&ALTER_JOBS);
            call.arg(what).arg(span);
            for id in some {
                call.arg(&id.as_bytes()[..]);
            }
            let number = reply::number(ALTER_JOBS.operation, call.send(&self.shared.link).await?)?;
            altered.changed += u64::try_from(number).unwrap_or(0);
        }
        altered.refused = (ids.len() as u64).saturating_sub(altered.changed);
        Ok(altered)
    }
}

/// Items by the order of their first mention, from 1.
struct Numbered<T> {
    items: Vec<T>,
    index: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbered<T> {
    fn number(&mut self, item: &T) -> u32 {
        if let Some(number) = self.index.get(item) {
            return *number;
        }
        self.items.push(item.clone());
        let number = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.index.insert(item.clone(), number);
        number
    }
}

/// Cuts `items` so that no part names an id twice: a script decides about each id once.
fn distinct<T>(items: &[T], id: impl Fn(&T) -> JobId) -> Vec<&[T]> {
    let (mut parts, mut seen, mut start) = (Vec::new(), HashSet::new(), 0);
    for (index, item) in items.iter().enumerate() {
        if !seen.insert(id(item)) {
            parts.push(&items[start..index]);
            start = index;
            seen.clear();
            seen.insert(id(item));
        }
    }
    parts.push(&items[start..]);
    parts
}

fn add_claim(call: &mut Call, request: &ClaimRequest) {
    call.arg(request.worker.as_str()).arg(codec::span(request.lease));
    match request.hopeless_within {
        Some(within) => call.arg(codec::span(within)),
        None => call.arg("-1"),
    };
    for (queue, want) in &request.wants {
        call.arg(queue.as_str()).arg((*want).min(MAX_ITEMS));
    }
}

fn read_claim(
    items: &mut Items,
    operation: &'static str,
    request: &ClaimRequest,
) -> Result<Claimed> {
    let next_at = items.number()?;
    let (mut groups, mut ids) = (items.bytes()?, items.bytes()?);
    let mut claimed = Claimed::default();
    claimed.next_at = (next_at > 0).then(|| Timestamp::from_millis(next_at));
    let wrong = || corrupt(operation, "claimed jobs cannot be read");
    while !groups.is_empty() {
        if groups.len() < 5 {
            return Err(wrong());
        }
        let head = groups.split_to(5);
        let want = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let (queue, _) =
            want.checked_sub(1).and_then(|n| request.wants.get(n)).ok_or_else(wrong)?;
        let batch = match head[4] {
            0 => None,
            _ if groups.len() < 16 => return Err(wrong()),
            _ => groups.split_to(16)[..].try_into().ok().map(BatchId::from_bytes),
        };
        for _ in 0..u16::from_be_bytes([head[2], head[3]]) {
            if ids.len() < 16 {
                return Err(wrong());
            }
            let id = codec::id(&ids.split_to(16)).ok_or_else(wrong)?;
            let Some(stored) = Stored::parse(items.bytes()?) else {
                // Its lease ends by itself; the others are fine.
                tracing::error!(%id, %queue, "a stored job cannot be understood");
                continue;
            };
            let lease = JobLease::new(id, Fence::new(stored.fence).next());
            let mut job = ClaimedJob::new(lease, queue.clone(), stored.payload, stored.enqueued_at);
            job.batch = batch;
            job.attempt = stored.attempt;
            job.crashes = stored.crashes;
            job.deferrals = stored.deferrals;
            job.deadline = stored.deadline;
            claimed.jobs.push(job);
        }
    }
    Ok(claimed)
}

fn read_view(items: &mut Items, operation: &'static str) -> Result<Option<JobView>> {
    if items.is_empty() {
        return Ok(None);
    }
    let wrong = || corrupt(operation, "a stored job cannot be understood");
    let id = codec::id(&items.bytes()?).ok_or_else(wrong)?;
    let state = match &items.bytes()?[..] {
        b"C" => JobState::Cancelled,
        b"F" => JobState::Dead,
        b"D" => JobState::Done,
        b"X" => JobState::Leased,
        b"S" => JobState::Scheduled,
        b"R" => JobState::Ready,
        _ => return Err(wrong()),
    };
    let stored = Stored::parse(items.bytes()?).ok_or_else(wrong)?;
    let (lease, until) = (items.bytes()?, items.number()?);
    let queue = items.text()?;
    let batch = items.bytes()?[..].try_into().ok().map(BatchId::from_bytes);
    let Stored { payload, enqueued_at, .. } = stored;
    let mut view = JobView::new(id, QueueName::new(queue), payload, state, enqueued_at);
    view.batch = batch;
    view.priority = stored.priority;
    view.dead_reason = stored.reason;
    view.result = matches!(state, JobState::Dead | JobState::Done).then_some(stored.result);
    view.note = stored.note;
    view.attempt = stored.attempt;
    view.crashes = stored.crashes;
    view.deferrals = stored.deferrals;
    view.fence = Fence::new(stored.fence);
    view.at = stored.at;
    view.deadline = stored.deadline;
    view.unique = stored.unique;
    if state == JobState::Leased {
        // What the lease changes is stored with the lease: mark, fence (6), flags, line (7), worker.
        let (head, worker) = lease.split_at_checked(15).ok_or_else(wrong)?;
        let fence = head[1..7].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        view.fence = Fence::new(fence);
        view.worker = Some(WorkerId::new(String::from_utf8_lossy(worker)));
        view.at = Timestamp::from_millis(until);
    }
    Ok(Some(view))
}

fn read_counts(items: &mut Items) -> Result<JobCounts> {
    let mut counts = JobCounts::default();
    for state in [
        JobState::Ready,
        JobState::Scheduled,
        JobState::Leased,
        JobState::Done,
        JobState::Dead,
        JobState::Cancelled,
    ] {
        *counts.of(state) = items.number()?;
    }
    Ok(counts)
}

impl fmt::Display for RedisJobQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue in {}", self.shared.link.address())
    }
}

#[async_trait]
impl JobQueue for RedisJobQueue {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        check_len(ENQUEUE.operation, jobs.len())?;
        let mut answers = Vec::with_capacity(jobs.len());
        for part in distinct(&jobs, |job| job.id) {
            if !part.is_empty() {
                answers.extend(self.enqueue_distinct(part).await?);
            }
        }
        Ok(answers)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed> {
        let mut call = self.call(&CLAIM);
        add_claim(&mut call, request);
        let mut items = Items::of(CLAIM.operation, call.send(&self.shared.link).await?)?;
        read_claim(&mut items, CLAIM.operation, request)
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
        next: Option<&ClaimRequest>,
    ) -> Result<(Vec<Settled>, Claimed)> {
        check_len(SETTLE.operation, settlements.len())?;
        // In the order of ids, so that the script finds neighbours together.
        let mut order: Vec<_> = (0..settlements.len()).collect();
        order.sort_by_key(|index| settlements[*index].lease.id);
        let sorted: Vec<_> = order.iter().map(|index| &settlements[*index]).collect();
        let parts = distinct(&sorted, |settlement| settlement.lease.id);
        let last = parts.len() - 1;
        let (mut answers, mut claimed) =
            (Vec::with_capacity(settlements.len()), Claimed::default());
        for (index, part) in parts.into_iter().enumerate() {
            let next = next.filter(|_| index == last);
            if part.is_empty() && next.is_none() {
                continue;
            }
            let mut call = self.call(&SETTLE);
            call.arg(&self.shared.retention[..]).arg(part.len());
            for settlement in part {
                let (head, body) = codec::settlement(settlement);
                call.arg(head).arg(body);
            }
            if let Some(request) = next {
                add_claim(&mut call, request);
            }
            let mut items = Items::of(SETTLE.operation, call.send(&self.shared.link).await?)?;
            for byte in items.bytes()? {
                answers.push(match byte {
                    b'a' => Settled::Applied,
                    b'd' => Settled::AlreadyDone,
                    b'g' => Settled::Gone,
                    b's' => Settled::Stale,
                    _ => return Err(corrupt(SETTLE.operation, "an answer of no known kind")),
                });
            }
            if let Some(request) = next {
                claimed = read_claim(&mut items, SETTLE.operation, request)?;
            }
        }
        if answers.len() != order.len() {
            return Err(corrupt(SETTLE.operation, "answers of another number"));
        }
        let mut in_order = vec![Settled::Gone; answers.len()];
        for (index, answer) in order.into_iter().zip(answers) {
            in_order[index] = answer;
        }
        Ok((in_order, claimed))
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<BeatReply>> {
        let mut answers = Vec::with_capacity(beat.leases.len());
        let mut parts: Vec<_> = beat.leases.chunks(MAX_ITEMS).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            let mut call = self.call(&BEAT);
            call.arg(beat.worker.as_str()).arg(codec::span(beat.lease));
            for lease in part {
                let fence = lease.fence.get().min(codec::MAX_48).to_be_bytes();
                call.arg([&lease.id.as_bytes()[..], &fence[2..]].concat());
            }
            let reply = reply::bytes(BEAT.operation, call.send(&self.shared.link).await?)?;
            for byte in reply {
                answers.push(match byte {
                    b'h' => BeatReply::Held,
                    b'c' => BeatReply::Cancel,
                    _ => BeatReply::Stale,
                });
            }
        }
        Ok(answers)
    }

    async fn wait(&self, queues: &[QueueName], max: Duration) -> Result<bool> {
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        let give_up = Instant::now() + max.min(FAR);
        // Registered before looking, so that a change in between is not missed.
        let mut woken = self.shared.wake.hear(&self.shared.link);
        let wanted = |names: &str| {
            names.is_empty() || names.lines().any(|name| queues.iter().any(|q| q.as_str() == name))
        };
        loop {
            let mut until = give_up.min(Instant::now() + self.shared.wake.floor());
            if let Some(due) = self.due_in(queues).await? {
                if due.is_zero() {
                    return Ok(true);
                }
                until = until.min(Instant::now() + due);
            }
            loop {
                tokio::select! {
                    // One that lagged behind has missed something: it looks.
                    heard = woken.recv() => match heard {
                        Ok(names) if !wanted(&names) => continue,
                        Ok(_) | Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => tokio::time::sleep_until(until).await,
                    },
                    () = tokio::time::sleep_until(until) => {}
                }
                break;
            }
            if Instant::now() >= give_up {
                return Ok(false);
            }
        }
    }

    async fn maintain(&self, budget: usize) -> Result<Maintained> {
        let mut maintained = Maintained::default();
        let mut left = budget;
        while left > 0 {
            let step = left.min(STEP);
            let mut call = self.call(&MAINTAIN);
            let kept = u64::try_from(WORKERS_KEPT.as_millis()).unwrap_or(u64::MAX);
            call.arg(&self.shared.retention[..]).arg(step).arg(kept);
            let mut items = Items::of(MAINTAIN.operation, call.send(&self.shared.link).await?)?;
            let (reaped, pruned, looked) = (items.number()?, items.number()?, items.number()?);
            let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            maintained.reaped += count(reaped);
            maintained.pruned += count(pruned);
            let did = count(looked);
            left = left.saturating_sub(did);
            if did < step {
                return Ok(maintained);
            }
        }
        maintained.more = true;
        Ok(maintained)
    }

    async fn alter(&self, select: &Select, alter: Alter) -> Result<Altered> {
        let altered = match (select, alter) {
            (Select::Batch(batch), Alter::Cancel) => self.alter_batch(batch, "cancel").await,
            (Select::Batch(batch), Alter::Pause) => self.alter_batch(batch, "pause").await,
            (Select::Batch(batch), Alter::Resume) => self.alter_batch(batch, "resume").await,
            (Select::Batch(batch), Alter::Replay) => self.alter_batch(batch, "replay").await,
            (Select::Jobs(ids), alter) => {
                let span = match alter {
                    Alter::Deadline(Some(span)) => codec::span(span).to_string(),
                    _ => String::new(),
                };
                let what = match alter {
                    Alter::Cancel => "cancel",
                    Alter::Deadline(_) => "deadline",
                    Alter::Delete => "delete",
                    Alter::Replay => "replay",
                    _ => return Err(misfit(alter, "single jobs")),
                };
                check_len(ALTER_JOBS.operation, ids.len())?;
                self.alter_jobs(ids, what, &span).await
            }
            (_, alter) => return Err(misfit(alter, "a batch")),
        };
        // Which queues it was is not known here.
        self.woken(std::iter::empty());
        altered
    }

    async fn configure(&self, queue: &QueueName, control: QueueControl) -> Result<()> {
        let paused = control.paused.map_or("", |paused| if paused { "1" } else { "0" });
        let max_len = match control.max_len {
            None => String::new(),
            Some(None) => "-".to_owned(),
            Some(Some(most)) => most.to_string(),
        };
        let mut call = self.call(&CONFIGURE);
        call.arg(queue.as_str()).arg(paused).arg(max_len);
        call.send(&self.shared.link).await?;
        self.woken(std::iter::once(queue.as_str()));
        Ok(())
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<JobView>>> {
        let mut views = Vec::with_capacity(ids.len());
        for some in ids.chunks(STEP) {
            let mut call = self.call(&LOOK);
            for id in some {
                call.arg(&id.as_bytes()[..]);
            }
            let mut items = Items::of(LOOK.operation, call.send(&self.shared.link).await?)?;
            while let Some(view) = items.list() {
                views.push(read_view(&mut view?, LOOK.operation)?);
            }
        }
        Ok(views)
    }

    async fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Page> {
        let mut page = Page::default();
        let mut from = after.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()));
        let state = match filter.state {
            None => "",
            Some(JobState::Cancelled) => "C",
            Some(JobState::Dead) => "F",
            Some(JobState::Done) => "D",
            Some(JobState::Leased) => "X",
            Some(JobState::Ready) => "R",
            Some(JobState::Scheduled) => "S",
            Some(_) => return Ok(page),
        };
        // One more than is wanted tells whether there is another page.
        while page.jobs.len() <= limit {
            let most = (limit - page.jobs.len()).saturating_add(1).min(STEP);
            let mut call = self.call(&LIST);
            call.arg(&from[..]).arg(LOOKS).arg(most);
            call.arg(filter.queue.as_ref().map_or("", QueueName::as_str));
            call.arg(filter.batch.as_ref().map_or(&[][..], |batch| &batch.as_bytes()[..]));
            call.arg(state).arg(filter.worker.as_ref().map_or("", WorkerId::as_str));
            let mut items = Items::of(LIST.operation, call.send(&self.shared.link).await?)?;
            from = items.bytes()?;
            while let Some(view) = items.list() {
                page.jobs.extend(read_view(&mut view?, LIST.operation)?);
            }
            if from.is_empty() {
                break;
            }
        }
        if page.jobs.len() > limit {
            page.jobs.truncate(limit);
            page.next = page.jobs.last().map(|job| job.id);
        }
        Ok(page)
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Stats> {
        let mut call = self.call(&STATS);
        match query {
            StatsQuery::Batches(ids) => {
                call.arg("batches");
                for id in ids {
                    call.arg(&id.as_bytes()[..]);
                }
            }
            StatsQuery::BatchesAfter { after, limit } => {
                let after = after.as_ref().map_or(&[][..], |after| &after.as_bytes()[..]);
                call.arg("after").arg(after).arg((*limit).min(1 << 31));
            }
            StatsQuery::Queues => _ = call.arg("queues"),
            StatsQuery::Workers => _ = call.arg("workers"),
            _ => return Err(Error::invalid(STATS.operation, "this store cannot count that")),
        }
        let mut rows = Items::of(STATS.operation, call.send(&self.shared.link).await?)?;
        let mut stats = Stats::default();
        while let Some(row) = rows.list() {
            let mut row = row?;
            match query {
                StatsQuery::Queues => {
                    let name = QueueName::new(row.text()?);
                    let (paused, limit) = (row.number()? == 1, row.text()?);
                    let mut queue = QueueStats::new(name, read_counts(&mut row)?);
                    queue.paused = paused;
                    queue.max_len = limit.parse().ok();
                    stats.queues.push(queue);
                }
                StatsQuery::Workers => {
                    let worker = WorkerId::new(row.text()?);
                    let seen_at = Timestamp::from_millis(row.number()?);
                    stats.workers.push(WorkerStats::new(worker, seen_at, row.number()?));
                }
                _ => {
                    let id = row.bytes()?[..].try_into().map(BatchId::from_bytes);
                    let id = id.map_err(|_| corrupt(STATS.operation, "an id of a batch"))?;
                    let (paused, cancelled) = (row.number()? == 1, row.number()? == 1);
                    let created_at = Timestamp::from_millis(row.number()?);
                    let changed_at = Timestamp::from_millis(row.number()?);
                    let mut batch = BatchStats::new(id, read_counts(&mut row)?, created_at);
                    (batch.paused, batch.cancelled) = (paused, cancelled);
                    batch.changed_at = changed_at;
                    stats.batches.push(batch);
                }
            }
        }
        stats.queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        stats.workers.sort_by(|a, b| a.worker.cmp(&b.worker));
        Ok(stats)
    }
}

fn misfit(alter: Alter, what: &str) -> Error {
    Error::invalid(ALTER_JOBS.operation, format!("{alter:?} is not for {what}"))
}
