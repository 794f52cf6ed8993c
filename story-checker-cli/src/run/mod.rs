//! One run: a list in, reports out, in the memory of what is in flight.
//!
//! ```text
//! reading thread ─ chunks ─ feeding task ─ queue ─ engine ─ events ─ this loop ─ reports ─ writing thread
//!                                └─ what came too late ──────────────┘
//! ```
//! Every arrow is bounded, so a slow reader of the output slows down the whole run. A queue that
//! outlives the run takes the whole list at once, so that another run can continue this one.

mod feed;
mod outbox;
mod restore;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use story_checker_core::Report;
use story_checker_core::engine::{Engine, Event, Overflow};
use story_checker_core::gate::BreakerState;
use story_checker_core::proxy::ProxyState;
use story_checker_core::session::SessionState;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use self::feed::Jobs;
use self::feed::{Fed, Feeder, spawn_reader};
use self::outbox::Outbox;
pub(crate) use self::restore::worker_name;
use self::restore::{Told, counts, restore};
use crate::output::ReportWriter;
use crate::progress::Voice;
use crate::tally::Summary;
use crate::targets::TargetList;

/// Targets in memory and not yet reported: more than run at once (256 checks of 50).
const IN_FLIGHT: usize = 20_000;
/// How long the engine may be silent after the deadline, with its last reports still missing.
const LAST_WAIT: Duration = Duration::from_secs(15);
/// How often to look for what other processes have done.
const LOOK: Duration = Duration::from_millis(500);

/// What a run needs.
pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) jobs: Jobs,
    pub(crate) writer: Box<dyn ReportWriter>,
    pub(crate) voice: Voice,
    pub(crate) deadline: Duration,
    /// How long checks that run may go on after an interruption, and then the writing of reports.
    pub(crate) grace: Duration,
    /// Cancelled when the user wants the run to end.
    pub(crate) interrupt: CancellationToken,
}

impl Run {
    /// Checks all targets of the list and writes their reports.
    ///
    /// # Errors
    /// If the output cannot be written, by an [`io::Error`](std::io::Error) of the kind
    /// [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) if nobody reads it; if the store cannot be
    /// read.
    pub(crate) async fn check(self, mut list: TargetList) -> anyhow::Result<Summary> {
        let Self { engine, jobs, writer, voice, deadline, grace, interrupt } = self;
        let started = Instant::now();
        let mut out = Outbox::new(writer, voice.clone(), interrupt.clone(), grace);
        let mut summary = Summary::default();
        let mut told = Told::default();
        let mut expected = list.expected();
        let mut restored = restore::Restored::default();
        if jobs.resumed {
            restored = restore(&jobs, deadline, &mut list, &mut told, &mut out)
                .await
                .context("cannot read what the earlier run has left")?;
            expected = restored.live + restored.answered;
            voice.say(format_args!("continuing: {restored}"));
        }
        let mut events = engine.subscribe(1024, Overflow::Wait);
        let engine = engine.start().await?;
        let (chunks, duplicates) = spawn_reader(list, voice.clone());
        let (late, mut late_reports) = mpsc::channel(256);
        // What is kept may lie in the queue; else it lies in memory.
        let room = if jobs.kept { Semaphore::MAX_PERMITS / 2 } else { IN_FLIGHT };
        let feeder = Feeder {
            engine: engine.clone(),
            jobs: jobs.clone(),
            deadline: started + deadline,
            room: Arc::new(Semaphore::new(room)),
            taken: Arc::default(),
            late,
            stop: CancellationToken::new(),
            grace,
            voice: voice.clone(),
        };
        let (room, taken) = (Arc::clone(&feeder.room), Arc::clone(&feeder.taken));
        let stop = feeder.stop.clone();
        let mut feeding = tokio::spawn(feeder.feed(chunks));
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);

        let mut ended: u64 = 0;
        let mut late_open = true;
        let mut fed: Option<Fed> = None;
        // The last sign of life, and of other processes.
        let (mut heard, mut looked) = (started, started);
        let mut ending: Option<JoinHandle<()>> = None;
        let end = |grace| {
            stop.cancel();
            let engine = engine.clone();
            Some(tokio::spawn(async move {
                let drained = engine.shutdown(grace).await;
                tracing::debug!(?drained, "the engine has ended");
            }))
        };
        loop {
            let last_wait = heard.max(started + deadline) + LAST_WAIT;
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { break };
                    heard = Instant::now();
                    if let Event::Reported { job, batch, .. } | Event::Dropped { job, batch, .. } | Event::Cancelled { job, batch, .. } = &event {
                        if jobs.kept && (*batch != Some(jobs.batch) || !told.insert(*job)) {
                            continue;
                        }
                        ended += 1;
                        room.add_permits(1);
                    }
                    if let Some(report) = report_of(&event, &voice) {
                        out.send(report).await;
                    }
                }
                report = late_reports.recv(), if late_open => match report {
                    Some(report) => out.send(report).await,
                    None => late_open = false,
                },
                done = &mut feeding, if fed.is_none() => {
                    heard = Instant::now();
                    fed = Some(done.unwrap_or_default());
                }
                () = interrupt.cancelled(), if !summary.interrupted => {
                    summary.interrupted = true;
                    ending = ending.or_else(|| end(grace));
                }
                _ = look.tick(), if jobs.kept && ending.is_none() => {
                    let idle = heard.elapsed() >= LOOK;
                    if idle || jobs.shared && looked.elapsed() >= 4 * LOOK {
                        let begun = Instant::now();
                        match told.catch_up(&jobs, &mut out).await {
                            Ok(0) => {}
                            Ok(found) => {
                                ended += found;
                                heard = Instant::now();
                            }
                            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot look for answers in the store"),
                        }
                        // Looking at everything must stay a small part of the work.
                        looked = Instant::now() + 16 * begun.elapsed();
                    }
                }
                () = sleep_until(last_wait), if fed.is_some() && ending.is_none() => {
                    tracing::error!("the engine did not answer in time");
                    ending = end(Duration::ZERO);
                }
            }
            let complete =
                !late_open && fed.is_some_and(|fed| ended >= fed.accepted + restored.live);
            if ending.is_none() && (complete || out.closed) {
                ending = end(if out.closed { Duration::ZERO } else { grace });
            }
            let total = taken.load(Ordering::Relaxed) + restored.live + restored.answered;
            let total = if fed.is_some() { total } else { total.max(expected) };
            voice.progress(&out.tally, total, false);
        }
        // The engine has ended, so the feeder ends too.
        let fed = match fed {
            Some(fed) => fed,
            None => feeding.await.unwrap_or_default(),
        };
        while let Some(report) = late_reports.recv().await {
            out.send(report).await;
        }
        if let Some(ending) = ending {
            _ = ending.await;
        }
        voice.clear();
        summary.tally = out.tally;
        summary.causes = std::mem::take(&mut out.causes);
        let closed = out.closed;
        let written = out.finish().await;
        if jobs.kept && !closed {
            let counts = counts(&*jobs.queue, jobs.batch).await;
            summary.left = counts.context("cannot see what is left")?.live();
        } else {
            summary.unanswered = (fed.accepted + restored.live).saturating_sub(ended);
        }
        written.context("cannot write the results")?;
        summary.cut = fed.cut;
        summary.duplicates = duplicates.load(Ordering::Relaxed);
        summary.bad_lines = voice.finish_problems();
        summary.took = started.elapsed();
        Ok(summary)
    }
}

/// Tells the user what needs to be told; returns the report of an event that has one.
pub(crate) fn report_of(event: &Event, voice: &Voice) -> Option<Arc<Report>> {
    match event {
        Event::Reported { report, .. } => return Some(Arc::clone(report)),
        Event::SessionChanged { session, state } => match state {
            SessionState::Valid => {}
            SessionState::CoolingDown { until, reason } => {
                voice.say(format_args!("session {session} rests until {until}: {reason}"));
            }
            SessionState::Challenged { reason }
            | SessionState::NeedsLogin { reason }
            | SessionState::Suspended { reason } => {
                let state = state.as_str().replace('_', " ");
                voice.say(format_args!("session {session} is out of use ({state}): {reason}"));
            }
            other => voice.say(format_args!("session {session} is {}", other.as_str())),
        },
        Event::ProxyChanged { proxy, state } => match state {
            ProxyState::Cooling { until, reason } => {
                voice.say(format_args!("proxy {proxy} rests until {until}: {reason}"));
            }
            ProxyState::Disabled { reason } => {
                voice.say(format_args!("proxy {proxy} is out of use: {reason}"));
            }
            _ => {}
        },
        Event::BreakerChanged(change) => {
            let (key, cause) = (&change.key, change.cause.as_str());
            match (change.to, change.until) {
                (BreakerState::Open, Some(until)) => {
                    voice.say(format_args!("{key} is left alone until {until}: {cause}"));
                }
                (BreakerState::Open, None) => {
                    voice.say(format_args!("{key} is left alone: {cause}"));
                }
                (BreakerState::Closed, _) => {
                    voice.say(format_args!("{key} is used again: {cause}"))
                }
                (to, _) => tracing::info!(%key, to = to.as_str(), cause, "a breaker changes"),
            }
        }
        Event::PutOff { job, cause, until, attempt_used, .. } => {
            tracing::info!(%job, %until, attempt_used, cause = cause.message, "a check is put off");
        }
        Event::Dropped { job, reason, .. } => tracing::error!(%job, %reason, "dropped"),
        other => tracing::info!(?other, "event"),
    }
    None
}

#[cfg(test)]
mod tests;
