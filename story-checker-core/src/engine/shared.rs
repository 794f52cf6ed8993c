use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::EngineConfig;
use super::event::{Bus, Event};
use super::lane::Lane;
use super::meter::Meter;
use super::pool::Pool;
use super::running::Running;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::id::{IdSource, WorkerId};
use crate::queue::{JobQueue, Settlement};

/// What the engine's tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: EngineConfig,
    pub(super) worker: WorkerId,
    pub(super) lanes: Vec<Arc<Lane>>,
    pub(super) queue: Arc<dyn JobQueue>,
    pub(super) cache: Arc<dyn Cache>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Arc<Gate>,
    pub(super) pool: Arc<Pool>,
    pub(super) bus: Arc<Bus>,
    pub(super) ids: IdSource,
    pub(super) running: Running,
    pub(super) groups: AtomicUsize,
    /// Running calls of checkers, and what must not be dropped with them.
    pub(super) checks: TaskTracker,
    pub(super) counters: Counters,
    pub(super) meter: Meter,
    /// Where this worker says how it goes.
    pub(super) board: Arc<dyn Cache>,
    pub(super) paused: AtomicBool,
    /// Of the jobs that are dead once their worker dies again, one runs at a time.
    pub(super) last_try: Arc<Semaphore>,
    /// Something may go that could not before: a pair is back, the pause is over.
    pub(super) wake: Notify,
    /// The queue has become shorter.
    pub(super) space: Space,
    /// No more claims.
    pub(super) stop: CancellationToken,
    /// No more waiting for anything.
    pub(super) abort: CancellationToken,
}

/// How much shorter the queue has become since somebody found it full.
#[derive(Debug, Default)]
pub(super) struct Space {
    jobs: AtomicUsize,
    changed: Notify,
}

impl Space {
    /// Whoever waits is woken for so many jobs at once, or for all that they want.
    const WORTH_IT: usize = 64;
    /// What is counted at most: room that nobody waited for says little about the queue of today.
    const MOST: usize = 4_096;
    /// Few jobs may take long: then whatever room there is is taken.
    const MOMENT: Duration = Duration::from_millis(10);

    pub(super) fn add(&self, jobs: usize) {
        let more = |before: usize| Some((before + jobs).min(Self::MOST));
        let before = self.jobs.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        if before.is_ok_and(|before| before + jobs >= Self::WORTH_IT) {
            self.changed.notify_waiters();
        }
    }

    /// Waits for room and takes at most `most` of it: as soon as it is worth it, or what there is
    /// after a moment.
    pub(super) async fn take(&self, most: usize) -> usize {
        let worth = most.min(Self::WORTH_IT);
        loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.jobs.load(Ordering::Acquire) < worth {
                _ = tokio::time::timeout(Self::MOMENT, changed).await;
            }
            let left = |jobs: usize| Some(jobs.saturating_sub(most));
            let before = self.jobs.fetch_update(Ordering::AcqRel, Ordering::Acquire, left);
            let before = before.unwrap_or_else(|before| before);
            if before > 0 {
                return before.min(most);
            }
        }
    }
}

/// Counts since the engine's start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) reported: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) deferred: AtomicU64,
    pub(super) released: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) checks: AtomicU64,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A settlement on its way to the queue, with the event that follows once it is stored.
#[derive(Debug)]
pub(super) struct Settling {
    pub(super) settlement: Settlement,
    pub(super) event: Option<Event>,
}

/// Where settlements go. It is closed once every check has ended.
pub(super) type Settlements = mpsc::Sender<Vec<Settling>>;

/// One running call of a checker; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    /// Where it is counted besides.
    probes: Option<Arc<AtomicUsize>>,
}

impl Slot {
    pub(super) fn take(shared: &Arc<Shared>, probes: Option<Arc<AtomicUsize>>) -> Self {
        let slot = Self { shared: Arc::clone(shared), probes };
        for counter in slot.counters() {
            counter.fetch_add(1, Ordering::AcqRel);
        }
        slot
    }

    fn counters(&self) -> impl Iterator<Item = &AtomicUsize> {
        std::iter::once(&self.shared.groups).chain(self.probes.as_deref())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for counter in self.counters() {
            counter.fetch_sub(1, Ordering::AcqRel);
        }
        self.shared.wake.notify_one();
    }
}
