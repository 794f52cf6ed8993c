//! One run: a list in, reports out, in the memory of what is in flight.
//!
//! ```text
//! reading thread ─ chunks ─ feeding task ─ engine ─ events ─ this loop ─ reports ─ writing thread
//!                                └─ what came too late ──────────┘
//! ```
//! Every arrow is bounded, so a slow reader of the output slows down the whole run.

mod feed;
mod outbox;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use story_checker_core::Report;
use story_checker_core::engine::{EngineHandle, Event, Overflow};
use story_checker_core::proxy::ProxyState;
use story_checker_core::session::SessionState;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::feed::{Feeder, spawn_reader};
use self::outbox::Outbox;
use crate::output::ReportWriter;
use crate::progress::Voice;
use crate::tally::Summary;
use crate::targets::TargetList;

/// Targets submitted and not yet reported: more than run at once (256 checks of 50).
const IN_FLIGHT: usize = 20_000;
/// How long the engine may take for its last reports after the deadline.
const LAST_WAIT: Duration = Duration::from_secs(15);

/// What a run needs.
pub(crate) struct Run {
    pub(crate) engine: EngineHandle,
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
    /// If the output cannot be written; [`io::ErrorKind::BrokenPipe`] if nobody reads it.
    pub(crate) async fn check(self, list: TargetList) -> io::Result<Summary> {
        let Self { engine, writer, voice, deadline, grace, interrupt } = self;
        let started = Instant::now();
        let mut events = engine.subscribe(1024, Overflow::Wait);
        let expected = list.expected();
        let (chunks, duplicates) = spawn_reader(list, voice.clone());
        let (late, mut late_reports) = mpsc::channel(256);
        let feeder = Feeder {
            engine: engine.clone(),
            deadline: started + deadline,
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            taken: Arc::default(),
            late,
            stop: CancellationToken::new(),
            voice: voice.clone(),
        };
        let (room, taken) = (Arc::clone(&feeder.room), Arc::clone(&feeder.taken));
        let stop = feeder.stop.clone();
        let mut feeding = tokio::spawn(feeder.feed(chunks));
        let mut out = Outbox::new(writer, voice.clone(), interrupt.clone(), grace);

        let mut summary = Summary::default();
        let mut ended: u64 = 0;
        let mut late_open = true;
        // What was accepted, once all is submitted; and the end of the wait for the last reports.
        let mut fed: Option<(u64, Instant)> = None;
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
            let last_wait = fed.map_or(started, |(_, until)| until);
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { break };
                    if let Some(report) = told(&event, &voice) {
                        out.send(report).await;
                    }
                    if let Event::Reported { .. } | Event::Dropped { .. } | Event::Cancelled { .. } = event {
                        ended += 1;
                        room.add_permits(1);
                    }
                }
                report = late_reports.recv(), if late_open => match report {
                    Some(report) => out.send(report).await,
                    None => late_open = false,
                },
                accepted = &mut feeding, if fed.is_none() => {
                    let until = Instant::now().max(started + deadline) + LAST_WAIT;
                    fed = Some((accepted.unwrap_or_default(), until));
                }
                () = interrupt.cancelled(), if !summary.interrupted => {
                    summary.interrupted = true;
                    voice.say(format_args!(
                        "stopping: what runs may finish within {}; once more stops at once",
                        humantime::format_duration(grace)
                    ));
                    ending = ending.or_else(|| end(grace));
                }
                () = sleep_until(last_wait), if fed.is_some() && ending.is_none() => {
                    tracing::error!("the engine did not answer in time");
                    ending = end(Duration::ZERO);
                }
            }
            let complete = !late_open && fed.is_some_and(|(accepted, _)| ended >= accepted);
            if ending.is_none() && (complete || out.closed) {
                ending = end(if out.closed { Duration::ZERO } else { grace });
            }
            let total = taken.load(Ordering::Relaxed);
            let total = if fed.is_some() { total } else { total.max(expected) };
            voice.progress(&out.tally, total, false);
        }
        // The engine has ended, so the feeder ends too.
        let accepted = match fed {
            Some((accepted, _)) => accepted,
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
        out.finish().await?;
        summary.unanswered = accepted.saturating_sub(ended);
        summary.duplicates = duplicates.load(Ordering::Relaxed);
        summary.bad_lines = voice.finish_problems();
        summary.took = started.elapsed();
        Ok(summary)
    }
}

/// Tells the user what needs to be told; returns the report of an event that has one.
fn told(event: &Event, voice: &Voice) -> Option<Arc<Report>> {
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
