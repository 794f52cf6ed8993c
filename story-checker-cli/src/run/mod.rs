//! One run: a list in, reports out, in the memory of what is in flight.
//!
//! ```text
//! reading thread ─ chunks ─ feeding task ─ engine ─ events ─ this loop ─ reports ─ writing thread
//!                                └─ what came too late ──────────┘
//! ```
//! Every arrow is bounded, so a slow reader of the output slows down the whole run.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use story_checker_core::engine::{EngineHandle, Event, Overflow, SubmitOptions};
use story_checker_core::proxy::ProxyState;
use story_checker_core::session::SessionState;
use story_checker_core::{
    Cause, Class, ErrorKind, Evidence, Report, Scope, Target, Timestamp, Timings,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::output::ReportWriter;
use crate::progress::Voice;
use crate::tally::{Causes, Summary, Tally};
use crate::targets::{Entry, TargetList};

/// Targets are submitted in chunks of this size.
const CHUNK: usize = 500;
/// Targets submitted and not yet reported: more than run at once (256 checks of 50).
const IN_FLIGHT: usize = 20_000;
/// How long checks that run may go on after an interruption.
const GRACE: Duration = Duration::from_secs(8);
/// How long a list may keep us waiting after the deadline, and the engine with its last reports.
const PATIENCE: Duration = Duration::from_secs(2);
const LAST_WAIT: Duration = Duration::from_secs(15);

/// What a run needs.
pub(crate) struct Run {
    pub(crate) engine: EngineHandle,
    pub(crate) writer: Box<dyn ReportWriter>,
    pub(crate) voice: Voice,
    pub(crate) deadline: Duration,
    /// Cancelled when the user wants the run to end.
    pub(crate) interrupt: CancellationToken,
}

impl Run {
    /// Checks all targets of the list and writes their reports.
    ///
    /// # Errors
    /// If the output cannot be written; [`io::ErrorKind::BrokenPipe`] if nobody reads it.
    pub(crate) async fn check(self, list: TargetList) -> io::Result<Summary> {
        let Self { engine, writer, voice, deadline, interrupt } = self;
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
        let mut out = Outbox::new(writer, voice.clone());

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
                    ending = ending.or_else(|| end(GRACE));
                }
                () = sleep_until(last_wait), if fed.is_some() && ending.is_none() => {
                    tracing::error!("the engine did not answer in time");
                    ending = end(Duration::ZERO);
                }
            }
            let complete = !late_open && fed.is_some_and(|(accepted, _)| ended >= accepted);
            if ending.is_none() && (complete || out.closed) {
                ending = end(if out.closed { Duration::ZERO } else { GRACE });
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
        Event::PutOff { job, cause, until, .. } => {
            tracing::debug!(%job, ?cause, %until, "put off");
        }
        Event::Dropped { job, reason, .. } => tracing::error!(%job, %reason, "dropped"),
        other => tracing::info!(?other, "event"),
    }
    None
}

/// Reads the list in a thread of its own, because reading may block for any time. Ends when its
/// receiver is gone.
fn spawn_reader(
    mut list: TargetList,
    voice: Voice,
) -> (mpsc::Receiver<Vec<Target>>, Arc<AtomicU64>) {
    let (chunks, receiver) = mpsc::channel(2);
    let duplicates = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&duplicates);
    thread::spawn(move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(entry) = list.next() {
            let full = match entry {
                Entry::Target(target) => {
                    chunk.push(target);
                    chunk.len() == CHUNK
                }
                Entry::Wait => !chunk.is_empty(),
                Entry::Problem(problem) => {
                    voice.problem(problem);
                    false
                }
            };
            if full {
                counted.store(list.duplicates(), Ordering::Relaxed);
                let next = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                if chunks.blocking_send(next).is_err() {
                    return;
                }
            }
        }
        counted.store(list.duplicates(), Ordering::Relaxed);
        _ = chunks.blocking_send(chunk);
    });
    (receiver, duplicates)
}

/// Submits chunks as there is room, and reports what came too late.
struct Feeder {
    engine: EngineHandle,
    deadline: Instant,
    room: Arc<Semaphore>,
    /// Targets taken from the list.
    taken: Arc<AtomicU64>,
    late: mpsc::Sender<Arc<Report>>,
    stop: CancellationToken,
    voice: Voice,
}

impl Feeder {
    /// Returns how many targets the engine accepted.
    async fn feed(self, mut chunks: mpsc::Receiver<Vec<Target>>) -> u64 {
        let mut options = SubmitOptions::default();
        let mut accepted = 0;
        loop {
            let waits_until = self.deadline.max(Instant::now()) + PATIENCE;
            let chunk = tokio::select! {
                biased;
                () = self.stop.cancelled() => return accepted,
                chunk = timeout_at(waits_until, chunks.recv()) => match chunk {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => return accepted,
                    Err(_) => {
                        self.voice.say("the list did not end in time; the rest of it is not read");
                        return accepted;
                    }
                },
            };
            let many = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            self.taken.fetch_add(many.into(), Ordering::Relaxed);
            let room = tokio::select! {
                biased;
                () = self.stop.cancelled() => return accepted,
                () = sleep_until(self.deadline) => None,
                room = self.room.acquire_many(many) => room.ok(),
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            let Some(room) = room.filter(|_| !left.is_zero()) else {
                if self.too_late(chunk).await.is_err() {
                    return accepted;
                }
                continue;
            };
            match self.engine.submit(chunk, options.with_deadline(left)).await {
                Ok(submitted) => {
                    // Each report gives one permit back.
                    room.forget();
                    self.room.add_permits(submitted.refused.len());
                    accepted += submitted.accepted as u64;
                    options.batch = Some(submitted.batch);
                    if self.refuse(submitted.refused).await.is_err() {
                        return accepted;
                    }
                }
                Err(error) => {
                    if error.kind() != ErrorKind::Closed {
                        tracing::error!(error = &error as &dyn std::error::Error, "cannot submit");
                    }
                    return accepted;
                }
            }
        }
    }

    async fn too_late(&self, chunk: Vec<Target>) -> Result<(), ()> {
        let Some(first) = chunk.first() else { return Ok(()) };
        let turn = "its turn did not come before the deadline";
        let why = self.engine.why_not(first).await;
        let cause = why.unwrap_or_else(|| Cause::new(Class::Timeout, Scope::Ours, turn));
        self.unknown(chunk, &cause).await
    }

    async fn refuse(&self, refused: Vec<Target>) -> Result<(), ()> {
        let message = "nothing here can check this platform and kind";
        self.unknown(refused, &Cause::new(Class::Permanent, Scope::Ours, message)).await
    }

    async fn unknown(&self, targets: Vec<Target>, cause: &Cause) -> Result<(), ()> {
        let timings = Timings::new(Timestamp::from(std::time::SystemTime::now()), Duration::ZERO);
        for target in targets {
            let report = Report::unknown(target, cause.clone(), Evidence::default(), timings);
            self.late.send(Arc::new(report)).await.map_err(drop)?;
        }
        Ok(())
    }
}

/// Hands reports to a thread that writes them: writing may block for any time.
struct Outbox {
    reports: mpsc::Sender<Arc<Report>>,
    result: oneshot::Receiver<io::Result<()>>,
    tally: Tally,
    causes: Causes,
    /// Nobody takes the reports any more.
    closed: bool,
}

impl Outbox {
    fn new(mut writer: Box<dyn ReportWriter>, voice: Voice) -> Self {
        let (reports, mut inbox) = mpsc::channel::<Arc<Report>>(1024);
        let (done, result) = oneshot::channel();
        thread::spawn(move || {
            let result = write(&mut *writer, &mut inbox, &voice);
            drop(inbox);
            _ = done.send(result);
        });
        Self { reports, result, tally: Tally::default(), causes: Causes::default(), closed: false }
    }

    async fn send(&mut self, report: Arc<Report>) {
        self.tally.add(&report);
        self.causes.add(&report);
        self.closed |= self.reports.send(report).await.is_err();
    }

    async fn finish(self) -> io::Result<()> {
        drop(self.reports);
        self.result.await.unwrap_or_else(|_| Err(io::Error::other("writing has failed")))
    }
}

fn write(
    writer: &mut dyn ReportWriter,
    inbox: &mut mpsc::Receiver<Arc<Report>>,
    voice: &Voice,
) -> io::Result<()> {
    let terminal = io::stdout().is_terminal();
    let mut burst = Vec::new();
    while inbox.blocking_recv_many(&mut burst, 256) > 0 {
        let mut all = || {
            burst.drain(..).try_for_each(|report| writer.report(&report))?;
            // Reports that come one by one are seen one by one.
            if inbox.is_empty() { writer.pause() } else { Ok(()) }
        };
        if terminal { voice.aside(all)? } else { all()? }
    }
    voice.clear();
    writer.finish()
}

#[cfg(test)]
mod tests;
