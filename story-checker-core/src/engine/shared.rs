use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::EngineConfig;
use super::event::{Bus, Event};
use super::lane::Lane;
use super::pool::Pool;
use super::running::Running;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::id::{IdSource, WorkerId};
use crate::queue::{ClaimRequest, ClaimedJob, JobQueue, Settlement};

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
    pub(super) paused: AtomicBool,
    /// Something may go that could not before: a pair is back, the pause is over.
    pub(super) wake: Notify,
    /// Settlements and claims in one.
    pub(super) ride: Ride,
    /// The queue has become shorter.
    pub(super) space: Space,
    /// No more claims.
    pub(super) stop: CancellationToken,
    /// No more waiting for anything.
    pub(super) abort: CancellationToken,
}

/// A claim that goes with the next settlements: one round trip for both.
#[derive(Debug, Default)]
pub(super) struct Ride(Mutex<Leaving>);

/// Who asks, and where the answer goes.
type Passenger = (ClaimRequest, oneshot::Sender<Vec<ClaimedJob>>);

#[derive(Debug, Default)]
struct Leaving {
    soon: bool,
    passenger: Option<Passenger>,
}

impl Ride {
    fn lock(&self) -> MutexGuard<'_, Leaving> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settlements will go in a moment.
    pub(super) fn announce(&self) {
        self.lock().soon = true;
    }

    /// They go now, with the claim that has joined them.
    pub(super) fn leave(&self) -> Option<Passenger> {
        std::mem::take(&mut *self.lock()).passenger
    }

    /// Lets a claim go with settlements that are about to. None if there are none; no answer if
    /// they could not be stored.
    pub(super) fn join(
        &self,
        request: &ClaimRequest,
    ) -> Option<oneshot::Receiver<Vec<ClaimedJob>>> {
        let mut leaving = self.lock();
        if !leaving.soon || leaving.passenger.is_some() {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        leaving.passenger = Some((request.clone(), sender));
        Some(answer)
    }
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
pub(super) struct Slot(Arc<Shared>);

impl Slot {
    pub(super) fn take(shared: &Arc<Shared>) -> Self {
        shared.groups.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.groups.fetch_sub(1, Ordering::AcqRel);
        self.0.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ClaimRequest {
        ClaimRequest::new(Vec::new(), WorkerId::from("w"), Duration::from_secs(1))
    }

    #[tokio::test]
    async fn a_claim_joins_settlements_that_are_about_to_go_and_no_others() {
        let ride = Ride::default();
        assert!(ride.join(&request()).is_none(), "nothing goes");
        ride.announce();
        let answer = ride.join(&request()).unwrap();
        assert!(ride.join(&request()).is_none(), "one claim a trip");
        let (_, sender) = ride.leave().unwrap();
        assert!(ride.join(&request()).is_none(), "they have gone");
        sender.send(Vec::new()).unwrap();
        assert!(answer.await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_claim_whose_settlements_were_not_stored_hears_of_it() {
        let ride = Ride::default();
        ride.announce();
        let answer = ride.join(&request()).unwrap();
        drop(ride.leave());
        assert!(answer.await.is_err());
    }
}
