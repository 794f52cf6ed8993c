//! From the lists to the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use story_checker_core::engine::{EngineHandle, SubmitOptions};
use story_checker_core::{
    Cause, Class, ErrorKind, Evidence, Report, Scope, Target, TargetKind, Timestamp, Timings,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::progress::Voice;
use crate::targets::{Entry, TargetList};

/// Targets are submitted in chunks of this size.
pub(super) const CHUNK: usize = 500;
/// How long a list may keep us waiting after the deadline.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads the list in a thread of its own, because reading may block for any time. Ends when its
/// receiver is gone.
pub(super) fn spawn_reader(
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
pub(super) struct Feeder {
    pub(super) engine: EngineHandle,
    pub(super) deadline: Instant,
    pub(super) room: Arc<Semaphore>,
    /// Targets taken from the list.
    pub(super) taken: Arc<AtomicU64>,
    pub(super) late: mpsc::Sender<Arc<Report>>,
    pub(super) stop: CancellationToken,
    pub(super) voice: Voice,
}

impl Feeder {
    /// Returns how many targets the engine accepted.
    pub(super) async fn feed(self, mut chunks: mpsc::Receiver<Vec<Target>>) -> u64 {
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
        self.unknown(chunk, |_| cause.clone()).await
    }

    async fn refuse(&self, refused: Vec<Target>) -> Result<(), ()> {
        self.unknown(refused, missing).await
    }

    async fn unknown(
        &self,
        targets: Vec<Target>,
        cause: impl Fn(&Target) -> Cause,
    ) -> Result<(), ()> {
        let timings = Timings::new(Timestamp::from(std::time::SystemTime::now()), Duration::ZERO);
        for target in targets {
            let cause = cause(&target);
            let report = Report::unknown(target, cause, Evidence::default(), timings);
            self.late.send(Arc::new(report)).await.map_err(drop)?;
        }
        Ok(())
    }
}

/// Why nothing here can check a target, and what would have to be imported.
fn missing(target: &Target) -> Cause {
    let need = match (target.platform().as_str(), target.kind()) {
        ("instagram", TargetKind::Account) => {
            "there is no session for Instagram: import one with --session, such as a cookies.txt"
        }
        ("x", _) => {
            "there is no bearer token for X: import one with --session, as a file with \
             {\"bearer_token\": \"...\"}"
        }
        _ => {
            let message = "nothing here can check this platform and kind";
            return Cause::new(Class::Permanent, Scope::Target, message);
        }
    };
    Cause::new(Class::AuthRequired, Scope::Ours, need)
}
