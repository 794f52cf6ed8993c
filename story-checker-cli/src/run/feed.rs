//! From the lists to the engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use story_checker_core::engine::{EngineHandle, check_job, check_queue};
use story_checker_core::queue::{JobQueue, MAX_ITEMS, QueueName};
use story_checker_core::{
    BatchId, Cause, Certainty, Class, Evidence, Report, Scope, Target, TargetKind, Timestamp,
    Timings,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::progress::Voice;
use crate::targets::{Entry, TargetList};

/// Targets are submitted in chunks of this size.
pub(super) const CHUNK: usize = 500;
/// Between two tries when the store cannot be reached, and for what should come at once.
const PAUSE: Duration = Duration::from_millis(250);
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

/// Where the jobs of a run are.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) batch: BatchId,
    /// Queues that the engine serves.
    pub(crate) queues: Arc<BTreeSet<QueueName>>,
    /// They outlive the run, so that another one can continue it.
    pub(crate) kept: bool,
    /// Other processes may work on them.
    pub(crate) shared: bool,
    /// Some were there before the run.
    pub(crate) resumed: bool,
}

/// What became of the lists.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fed {
    /// Targets that were enqueued.
    pub(super) accepted: u64,
    /// Some of the lists was not read.
    pub(super) cut: bool,
}

/// Enqueues chunks as there is room, and reports what came too late.
pub(super) struct Feeder {
    pub(super) engine: EngineHandle,
    pub(super) jobs: Jobs,
    pub(super) deadline: Instant,
    pub(super) room: Arc<Semaphore>,
    /// Targets taken from the list.
    pub(super) taken: Arc<AtomicU64>,
    pub(super) late: mpsc::Sender<Arc<Report>>,
    pub(super) stop: CancellationToken,
    /// How long the rest of the lists may take after that, to be kept for another run.
    pub(super) grace: Duration,
    pub(super) voice: Voice,
}

impl Feeder {
    pub(super) async fn feed(self, mut chunks: mpsc::Receiver<Vec<Target>>) -> Fed {
        let mut fed = Fed::default();
        loop {
            let waits_until = self.deadline.max(Instant::now()) + PATIENCE;
            let chunk = tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.leave(None, chunks, fed).await,
                chunk = timeout_at(waits_until, chunks.recv()) => match chunk {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => return fed,
                    Err(_) => {
                        self.voice.say("the list did not end in time; the rest of it is not read");
                        return fed;
                    }
                },
            };
            let many = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            self.taken.fetch_add(many.into(), Ordering::Relaxed);
            let room = tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.leave(Some(chunk), chunks, fed).await,
                () = sleep_until(self.deadline) => None,
                room = self.room.acquire_many(many) => room.ok(),
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            let Some(room) = room.filter(|_| !left.is_zero()) else {
                if self.too_late(chunk).await.is_err() {
                    return fed;
                }
                continue;
            };
            let (served, refused): (Vec<_>, Vec<_>) =
                chunk.into_iter().partition(|target| is_served(&self.jobs, target));
            if !self.enqueue(&served, left).await {
                fed.cut = true;
                return fed;
            }
            // Each report gives one permit back.
            room.forget();
            self.room.add_permits(refused.len());
            fed.accepted += served.len() as u64;
            if self.refuse(refused).await.is_err() {
                return fed;
            }
        }
    }

    /// Keeps the rest of the lists for the run that continues this one.
    async fn leave(
        &self,
        chunk: Option<Vec<Target>>,
        mut chunks: mpsc::Receiver<Vec<Target>>,
        mut fed: Fed,
    ) -> Fed {
        let give_up = Instant::now() + self.grace;
        let mut next = chunk;
        while self.jobs.kept && Instant::now() < give_up {
            let chunk = match next.take() {
                Some(chunk) => chunk,
                // A file is read at once; for a pipe nobody wants to wait now.
                None => match timeout(PAUSE, chunks.recv()).await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => return fed,
                    Err(_) => break,
                },
            };
            if !self.enqueue(&chunk, self.grace).await {
                break;
            }
            fed.accepted += chunk.len() as u64;
        }
        fed.cut = true;
        fed
    }

    /// Enqueues targets, again and again while the store cannot be reached. False if it gave up.
    async fn enqueue(&self, targets: &[Target], deadline: Duration) -> bool {
        let jobs: Vec<_> = targets
            .iter()
            .map(|target| {
                let mut job = check_job(Uuid::now_v7().into(), target);
                job.batch = Some(self.jobs.batch);
                job.deadline = Some(deadline);
                job
            })
            .collect();
        for jobs in jobs.chunks(MAX_ITEMS) {
            while let Err(error) = self.jobs.queue.enqueue(jobs.to_vec()).await {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot enqueue targets");
                if error.certainty() == Certainty::Permanent || self.stop.is_cancelled() {
                    self.voice.say(format_args!("targets could not be taken up: {error}"));
                    return false;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        true
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
        for target in targets {
            let cause = cause(&target);
            let report = unknown(target, cause);
            self.late.send(Arc::new(report)).await.map_err(drop)?;
        }
        Ok(())
    }
}

/// A report without an answer.
pub(super) fn unknown(target: Target, cause: Cause) -> Report {
    let timings = Timings::new(Timestamp::from(std::time::SystemTime::now()), Duration::ZERO);
    Report::unknown(target, cause, Evidence::default(), timings)
}

/// Whether the engine of this run can check a target.
pub(super) fn is_served(jobs: &Jobs, target: &Target) -> bool {
    jobs.queues.contains(&check_queue(target.platform(), target.kind()))
}

/// Why nothing here can check a target, and what would have to be imported.
pub(super) fn missing(target: &Target) -> Cause {
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
