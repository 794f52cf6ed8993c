//! Which jobs run now, so that the beat can renew, cancel and drop them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::id::{Fence, IdHash, JobId, SessionId};
use crate::queue::JobLease;

/// One call of a checker. It has one token, whatever the reason for stopping it: a check waits for
/// its answer and for this, and for nothing else.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) cancel: CancellationToken,
    stopped: OnceLock<Stop>,
    wanted: AtomicUsize,
    /// Its own session, and those that it has borrowed.
    sessions: Mutex<Vec<SessionId>>,
    /// The checker sees its own deadline; past this time it is stopped.
    late: Instant,
    /// The turn of a job that has its last try: over once its settlement is stored.
    turn: OnceLock<OwnedSemaphorePermit>,
}

/// Why a call of a checker is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The engine ends.
    Engine,
    /// It takes too long.
    Late,
    /// The lease of a session that it uses is lost.
    Session,
    /// None of its jobs is wanted any more.
    Unwanted,
}

impl Group {
    /// Stops the call; the first reason counts.
    fn stop(&self, why: Stop) {
        self.stopped.get_or_init(|| why);
        self.cancel.cancel();
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<SessionId>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the turn until none of its jobs is running any more.
    pub(super) fn keep(&self, turn: OwnedSemaphorePermit) {
        _ = self.turn.set(turn);
    }

    /// From now on the call needs the lease of this session.
    pub(super) fn depend_on(&self, session: &SessionId) {
        self.sessions().push(session.clone());
    }

    /// It does not need it any more.
    pub(super) fn let_go(&self, session: &SessionId) {
        self.sessions().retain(|used| used != session);
    }

    /// Why it was stopped, once it was.
    pub(super) fn stopped(&self) -> Stop {
        self.stopped.get().copied().unwrap_or(Stop::Unwanted)
    }
}

/// Whether a running job's answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Cancelled,
    /// The lease is lost: somebody else answers.
    Lost,
    Yes,
}

#[derive(Debug)]
struct Entry {
    fence: Fence,
    group: Arc<Group>,
    wanted: Wanted,
}

#[derive(Debug, Default)]
pub(super) struct Running {
    jobs: Mutex<Jobs>,
    /// [`Running::late_at`] has come nearer.
    pub(super) sooner: Notify,
}

#[derive(Debug, Default)]
struct Jobs {
    entries: HashMap<JobId, Entry, IdHash>,
    /// No call is late before; none if nothing runs.
    late_at: Option<Instant>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(
        &self,
        leases: impl ExactSizeIterator<Item = JobLease>,
        session: Option<SessionId>,
        late: Instant,
    ) -> Arc<Group> {
        let group = Arc::new(Group {
            cancel: CancellationToken::new(),
            stopped: OnceLock::new(),
            wanted: AtomicUsize::new(leases.len()),
            sessions: Mutex::new(session.into_iter().collect()),
            late,
            turn: OnceLock::new(),
        });
        let mut jobs = self.lock();
        for JobLease { id, fence } in leases {
            let entry = Entry { fence, group: Arc::clone(&group), wanted: Wanted::Yes };
            jobs.entries.insert(id, entry);
        }
        let sooner = jobs.late_at.is_none_or(|at| late < at);
        if sooner {
            jobs.late_at = Some(late);
        }
        drop(jobs);
        if sooner {
            self.sooner.notify_one();
        }
        group
    }

    pub(super) fn leases(&self) -> Vec<JobLease> {
        self.lock().entries.iter().map(|(id, entry)| JobLease::new(*id, entry.fence)).collect()
    }

    /// Says that the answer of a job is not wanted any more.
    pub(super) fn stop(&self, lease: JobLease, why: Wanted) {
        let mut jobs = self.lock();
        let Some(entry) = jobs.entries.get_mut(&lease.id) else { return };
        if entry.fence == lease.fence
            && std::mem::replace(&mut entry.wanted, why) == Wanted::Yes
            && entry.group.wanted.fetch_sub(1, Ordering::AcqRel) == 1
        {
            entry.group.stop(Stop::Unwanted);
        }
    }

    /// Stops every call.
    pub(super) fn stop_all(&self) {
        self.stop_groups(Stop::Engine, |_| true);
    }

    /// When the first call may be too late; none while nothing runs. A time that has come only
    /// means that it is worth [looking](Running::stop_late).
    pub(super) fn late_at(&self) -> Option<Instant> {
        self.lock().late_at
    }

    /// Stops calls that take too long.
    pub(super) fn stop_late(&self, now: Instant) {
        let mut jobs = self.lock();
        let mut next = None;
        for Entry { group, .. } in jobs.entries.values() {
            if group.late <= now {
                group.stop(Stop::Late);
            } else {
                next = Some(next.map_or(group.late, |next: Instant| next.min(group.late)));
            }
        }
        jobs.late_at = next;
    }

    /// Stops the call that uses this session.
    pub(super) fn stop_session(&self, session: &SessionId) {
        self.stop_groups(Stop::Session, |group| group.sessions().contains(session));
    }

    fn stop_groups(&self, why: Stop, which: impl Fn(&Group) -> bool) {
        for entry in self.lock().entries.values().filter(|entry| which(&entry.group)) {
            entry.group.stop(why);
        }
    }

    pub(super) fn wanted(&self, lease: JobLease) -> Wanted {
        let jobs = self.lock();
        let entry = jobs.entries.get(&lease.id).filter(|entry| entry.fence == lease.fence);
        entry.map_or(Wanted::Lost, |entry| entry.wanted)
    }

    pub(super) fn end(&self, leases: impl Iterator<Item = JobLease>) {
        let mut jobs = self.lock();
        for lease in leases {
            let entry = jobs.entries.get(&lease.id);
            if entry.is_some_and(|entry| entry.fence == lease.fence) {
                jobs.entries.remove(&lease.id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(number: u8) -> JobLease {
        JobLease::new(JobId::from_bytes([number; 16]), Fence::default())
    }

    fn start(running: &Running, number: u8, late: Instant) -> Arc<Group> {
        running.start([lease(number)].into_iter(), None, late)
    }

    /// Whether the watcher was told, since the last time.
    async fn told(running: &Running) -> bool {
        tokio::time::timeout(Duration::ZERO, running.sooner.notified()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_watcher_is_told_of_an_earlier_time_only() {
        let (running, now) = (Running::default(), Instant::now());
        assert_eq!(running.late_at(), None);
        for (number, seconds, sooner) in [(1, 60, true), (2, 70, false), (3, 5, true)] {
            start(&running, number, now + SECOND * seconds);
            assert_eq!(told(&running).await, sooner, "{seconds} s");
        }
        assert_eq!(running.late_at(), Some(now + SECOND * 5));
    }

    #[tokio::test(start_paused = true)]
    async fn late_calls_are_stopped_once_and_the_next_time_is_that_of_the_others() {
        let (running, now) = (Running::default(), Instant::now());
        let groups =
            [5, 60, 70].map(|seconds| start(&running, seconds, now + SECOND * u32::from(seconds)));
        running.stop_late(now + SECOND * 5);
        assert_eq!(groups.map(|group| group.cancel.is_cancelled()), [true, false, false]);
        assert_eq!(running.late_at(), Some(now + SECOND * 60), "it need not have ended by now");
        running.end([lease(60), lease(70)].into_iter());
        running.stop_late(now + SECOND * 60);
        assert_eq!((running.late_at(), running.len()), (None, 1));
    }
}
