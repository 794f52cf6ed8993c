//! The engine's tasks: one that dispatches, one that settles, and those that watch.
//!
//! Where several things are waited for, the first of those that have happened counts, and not a random
//! one: so that a run on simulated time can be repeated.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::beat::{keep_jobs, keep_sessions, tidy_up};
use super::breakers::watch_breakers;
use super::doctor::Wait;
use super::event::Event;
use super::lane::Lane;
use super::probes::keep_probing;
use super::remember::keep_gate;
use super::run::{give_up, run};
use super::shared::{Settlements, Settling, Shared, Slot, count};
use super::status::publish;
use super::suspects::single_out;
use crate::clock::Timestamp;
use crate::error::{Certainty, Result};
use crate::queue::{ClaimRequest, MAX_ITEMS, Settled};
use crate::report::Verdict;

/// How often to look for jobs that are too late, at the least.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How often to look for jobs of dry lanes while others are busy.
const LOOK: Duration = Duration::from_millis(20);
/// How often to look for checks that take too long, at the most.
const WATCH: Duration = Duration::from_millis(250);
/// How often to count the time of a pause.
const HELD: Duration = Duration::from_secs(10);
/// The longest pause between two tries when a store does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs the engine until it is stopped and everything in flight has ended.
pub(super) async fn supervise(shared: Arc<Shared>) {
    let (settlements, inbox) = mpsc::channel(256);
    let helpers = TaskTracker::new();
    // Before the first request: no change is missed.
    let breakers = shared.gate.hear_breakers();
    let settler = tokio::spawn(settle(Arc::clone(&shared), inbox));
    helpers.spawn(keep_jobs(Arc::clone(&shared)));
    helpers.spawn(keep_sessions(Arc::clone(&shared)));
    helpers.spawn(tidy_up(Arc::clone(&shared)));
    helpers.spawn(watch_proxies(Arc::clone(&shared)));
    helpers.spawn(keep_gate(Arc::clone(&shared)));
    helpers.spawn(keep_probing(Arc::clone(&shared)));
    helpers.spawn(watch_breakers(Arc::clone(&shared), breakers));
    helpers.spawn(watch_checks(Arc::clone(&shared)));
    helpers.spawn(publish(Arc::clone(&shared)));
    dispatch(&shared, &settlements).await;
    shared.checks.close();
    shared.checks.wait().await;
    // Once the last sender is gone the settler writes what it has and ends.
    drop(settlements);
    if let Err(error) = settler.await {
        tracing::error!(%error, "the settling task failed");
    }
    shared.pool.release_idle(None).await;
    // Nothing is leased any more: the beat may end.
    shared.abort.cancel();
    helpers.close();
    helpers.wait().await;
    shared.bus.close();
}

/// Doubling pauses while a store does not answer.
#[derive(Debug, Default)]
struct Pause(u32);

impl Pause {
    fn next(&mut self) -> Duration {
        self.0 += 1;
        Duration::from_millis(50).saturating_mul(1 << self.0.min(10)).min(LONGEST_PAUSE)
    }
}

async fn dispatch(shared: &Arc<Shared>, settlements: &Settlements) {
    let mut lanes: Vec<_> = shared.lanes.iter().map(Line::new).collect();
    let mut housekeeping = Instant::now();
    let mut looked = Instant::now();
    let mut pause = Pause::default();
    let mut due = Due::default();
    while !shared.stop.is_cancelled() {
        let mut lap = Instant::now();
        let mut spent = |wait| {
            let now = Instant::now();
            shared.meter.waited(wait, now - lap, shared.clock.now());
            lap = now;
        };
        if shared.paused.load(Ordering::Acquire) {
            tokio::select! {
                biased;
                () = shared.wake.notified() => {}
                () = shared.stop.cancelled() => {}
                // So that it is counted in time.
                () = tokio::time::sleep(HELD) => {}
            }
            spent(Wait::Held);
            continue;
        }
        let mut more = false;
        let mut failed = None;
        // The lane that was served first is served last in the next round.
        lanes.rotate_left(1);
        for line in lanes.iter_mut().filter(|line| !line.dry) {
            match serve(shared, line, settlements).await {
                Ok(again) => more |= again,
                Err(error) => failed = Some(error),
            }
        }
        // While checks run, each of their ends comes by here: once in a while is enough.
        let idle = !more && shared.groups.load(Ordering::Acquire) == 0;
        if idle || housekeeping.elapsed() >= HOUSEKEEPING {
            housekeeping = Instant::now();
            if let Err(error) = sort_out(shared, settlements).await {
                failed = Some(error);
            }
        }
        spent(Wait::Store);
        if failed.is_none() && (!more || looked.elapsed() >= LOOK) {
            let wait = if more { Wait::Nothing } else { waits_for(shared, &lanes, &mut due).await };
            failed = look(shared, &mut lanes, more).await.err();
            looked = Instant::now();
            spent(wait);
        }
        match failed {
            None => pause = Pause::default(),
            Some(error) => {
                let wait = pause.next();
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    ?wait,
                    "dispatching pauses"
                );
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(wait) => {}
                    () = shared.stop.cancelled() => {}
                }
                spent(Wait::Store);
            }
        }
    }
}

/// Whether lanes that wait for pairs have jobs at all, and when that was seen.
#[derive(Debug, Default)]
struct Due(Option<(Instant, bool)>);

/// What the dispatcher is about to wait for, for statistics.
async fn waits_for(shared: &Shared, lanes: &[Line], due: &mut Due) -> Wait {
    let Some(line) = lanes.iter().find(|line| !line.dry) else { return Wait::Jobs };
    if shared.groups.load(Ordering::Acquire) >= shared.config.max_in_flight.get() {
        return Wait::Slots;
    }
    // Without a pair nothing is claimed, so nothing is known of jobs.
    let known = due.0.filter(|(at, _)| at.elapsed() < HOUSEKEEPING);
    let is_due = match known {
        Some((_, is_due)) => is_due,
        None => {
            let waiting = lanes.iter().filter(|line| !line.dry);
            let queues: Vec<_> = waiting.map(|line| line.lane.queue.clone()).collect();
            let is_due = shared.queue.wait(&queues, Duration::ZERO).await.unwrap_or(true);
            due.0 = Some((Instant::now(), is_due));
            is_due
        }
    };
    if is_due { shared.pool.wait_of(&line.lane) } else { Wait::Jobs }
}

/// A lane as its dispatcher sees it.
#[derive(Debug)]
struct Line {
    lane: Arc<Lane>,
    /// How many pairs to ask for: doubles while they all get work, so that a few targets do not
    /// lease a hundred sessions.
    appetite: usize,
    /// There was no due job for every pair: no session is leased before there is one again.
    dry: bool,
}

impl Line {
    fn new(lane: &Arc<Lane>) -> Self {
        Self { lane: Arc::clone(lane), appetite: 1, dry: false }
    }
}

/// Gives work to the pairs of one lane that are ready: pairs and gate first, and no more jobs are
/// claimed than can go now. True if there may be more of both.
async fn serve(shared: &Arc<Shared>, line: &mut Line, settlements: &Settlements) -> Result<bool> {
    let lane = &line.lane;
    let busy = shared.groups.load(Ordering::Acquire);
    let free = shared.config.max_in_flight.get().saturating_sub(busy);
    // Of an endpoint that was down, few ask at first whether it is back.
    let room = lane.keys.room(&shared.gate);
    let probes = (room < free).then(|| Arc::clone(&lane.probes));
    let room = room.saturating_sub(lane.probes.load(Ordering::Acquire));
    let most = free.min(MAX_ITEMS.div_ceil(lane.max_batch)).min(line.appetite).min(room);
    if most == 0 {
        return Ok(false);
    }
    let mut pairs = shared.pool.take(lane, most).await?;
    if pairs.is_empty() {
        return Ok(false);
    }
    let want = (pairs.len() * lane.max_batch).min(MAX_ITEMS);
    let wants = vec![(lane.queue.clone(), want)];
    let request = ClaimRequest::new(wants, shared.worker.clone(), shared.config.lease);
    let mut jobs = shared.queue.claim(&request).await?.jobs;
    let full = jobs.len() == want;
    let mut groups = 0;
    let mut go = |pair, group, turn| {
        let slot = Slot::take(shared, probes.clone());
        let (shared_too, lane) = (Arc::clone(shared), Arc::clone(lane));
        let check = run(shared_too, lane, pair, (group, turn), settlements.clone());
        // Boxed here: spawning moves a future half a dozen times, and this one is 2 kB.
        shared.checks.spawn(Box::pin(async move {
            check.await;
            drop(slot);
        }));
        groups += 1;
    };
    let room = (pairs.len() - 1) * lane.max_batch;
    if let Some((suspect, turn)) = single_out(shared, &mut jobs, room, settlements).await
        && let Some(pair) = pairs.pop()
    {
        go(pair, vec![suspect], Some(turn));
    }
    let mut jobs = jobs.into_iter();
    while jobs.len() > 0
        && let Some(pair) = pairs.pop()
    {
        go(pair, jobs.by_ref().take(lane.max_batch).collect(), None);
    }
    line.dry = !full;
    line.appetite = if full {
        line.appetite.saturating_mul(2).min(shared.config.max_in_flight.get())
    } else {
        groups.max(1)
    };
    Ok(full)
}

/// Ends jobs whose deadline has passed, or will before anything can go.
async fn sort_out(shared: &Arc<Shared>, settlements: &Settlements) -> Result<()> {
    for lane in &shared.lanes {
        let mut within = Duration::ZERO;
        let idle = shared.groups.load(Ordering::Acquire) == 0;
        if shared.config.give_up_early && idle {
            let now = shared.clock.now();
            let ready_at = shared.pool.ready_at(lane).unwrap_or(Timestamp::MAX);
            if ready_at > now && !shared.pool.may_lease(lane).await? {
                within = ready_at.since(now);
            }
        }
        let wants = vec![(lane.queue.clone(), MAX_ITEMS)];
        let mut request = ClaimRequest::new(wants, shared.worker.clone(), shared.config.lease);
        request.hopeless_within = Some(within);
        loop {
            let jobs = shared.queue.claim(&request).await?.jobs;
            if jobs.is_empty() {
                break;
            }
            give_up(shared, lane, jobs, settlements).await;
        }
    }
    Ok(())
}

/// Waits until something can have changed, or (`hurry`) only looks. Dry lanes wait for jobs, the
/// others for pairs.
async fn look(shared: &Shared, lanes: &mut [Line], hurry: bool) -> Result<()> {
    let now = shared.clock.now();
    let queues: Vec<_> =
        lanes.iter().filter(|line| line.dry).map(|line| line.lane.queue.clone()).collect();
    let times = lanes
        .iter()
        .filter(|line| !line.dry)
        .flat_map(|line| [shared.pool.ready_at(&line.lane), shared.pool.ask_at(&line.lane)]);
    let next = times.flatten().filter(|at| *at > now).min();
    let wait = match next {
        _ if hurry => Duration::ZERO,
        next => next.map_or(HOUSEKEEPING, |at| at.since(now)).min(HOUSEKEEPING),
    };
    if queues.is_empty() {
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => {}
            () = shared.wake.notified() => {}
            () = shared.stop.cancelled() => {}
        }
        return Ok(());
    }
    let due = tokio::select! {
        biased;
        due = shared.queue.wait(&queues, wait) => due?,
        () = shared.wake.notified() => false,
        () = shared.stop.cancelled() => false,
    };
    if due {
        for line in lanes {
            line.dry = false;
        }
    }
    Ok(())
}

/// Stores settlements in batches and hands out the events that follow.
async fn settle(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Vec<Settling>>) {
    let mut queue: Vec<Settling> = Vec::new();
    while let Some(first) = inbox.recv().await {
        // The checks that end now come along.
        tokio::task::yield_now().await;
        queue.extend(first);
        while queue.len() < MAX_ITEMS
            && let Ok(more) = inbox.try_recv()
        {
            queue.extend(more);
        }
        while !queue.is_empty() {
            let batch: Vec<_> = queue.drain(..queue.len().min(MAX_ITEMS)).collect();
            settle_batch(&shared, batch).await;
        }
    }
}

async fn settle_batch(shared: &Shared, batch: Vec<Settling>) {
    let (settlements, events): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.settlement, one.event)).unzip();
    let leases: Vec<_> = settlements.iter().map(|settlement| settlement.lease).collect();
    let mut pause = Pause::default();
    let replies = loop {
        let begun = Instant::now();
        let settled = shared.queue.settle(settlements.clone(), None).await;
        shared.meter.settled(begun.elapsed());
        match settled {
            Ok((replies, _)) => break replies,
            Err(error) => {
                let give_up =
                    error.certainty() == Certainty::Permanent || shared.abort.is_cancelled();
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    jobs = leases.len(),
                    give_up,
                    "settling failed"
                );
                if give_up {
                    break Vec::new();
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(pause.next()) => {}
                    () = shared.abort.cancelled() => {}
                }
            }
        }
    };
    shared.space.add(leases.len());
    shared.running.end(leases.into_iter());
    for (event, reply) in events.into_iter().zip(replies) {
        match reply {
            Settled::Applied | Settled::AlreadyDone => {}
            Settled::Gone | Settled::Stale => {
                count(&shared.counters.stale);
                continue;
            }
        }
        let Some(event) = event else { continue };
        match &event {
            Event::Reported { report, .. } => {
                count(&shared.counters.reported);
                if matches!(report.verdict, Verdict::Unknown { .. }) {
                    count(&shared.counters.unknown);
                }
            }
            Event::Cancelled { .. } => count(&shared.counters.cancelled),
            Event::Dropped { .. } => count(&shared.counters.dropped),
            Event::BreakerChanged(_)
            | Event::ProxyChanged { .. }
            | Event::PutOff { .. }
            | Event::SessionChanged { .. } => {}
        }
        tokio::select! {
            biased;
            () = shared.bus.emit(event) => {}
            () = shared.abort.cancelled() => {}
        }
    }
}

/// Stops checks that take too long, and all of them when the engine is aborted. One timer serves
/// them all: it sleeps until the first may be late, and does not tick while nothing runs.
async fn watch_checks(shared: Arc<Shared>) {
    let mut looked = Instant::now();
    loop {
        let late = shared.running.late_at().map(|at| at.max(looked + WATCH));
        tokio::select! {
            biased;
            () = until(late) => {
                looked = Instant::now();
                shared.running.stop_late(looked);
            }
            () = shared.running.sooner.notified() => {}
            () = shared.abort.cancelled() => return shared.running.stop_all(),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Reads the list of proxies anew whenever its source says so.
async fn watch_proxies(shared: Arc<Shared>) {
    let Some(source) = &shared.pool.source else { return };
    let mut pause = Pause::default();
    loop {
        let reload = async {
            source.changed().await?;
            shared.pool.reload_proxies().await
        };
        let reloaded = tokio::select! {
            biased;
            reloaded = reload => reloaded,
            () = shared.abort.cancelled() => return,
        };
        match reloaded {
            Ok(()) => {
                pause = Pause::default();
                shared.wake.notify_one();
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the list of proxies could not be read anew; the old one stays in use"
                );
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(pause.next()) => {}
                    () = shared.abort.cancelled() => return,
                }
            }
        }
    }
}
