//! Which jobs run now, so that the beat can renew, cancel and drop them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
pub(super) struct Running(Mutex<Entries>);

type Entries = HashMap<JobId, Entry, IdHash>;

impl Running {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        });
        let mut entries = self.lock();
        for JobLease { id, fence } in leases {
            let entry = Entry { fence, group: Arc::clone(&group), wanted: Wanted::Yes };
            entries.insert(id, entry);
        }
        drop(entries);
        group
    }

    pub(super) fn leases(&self) -> Vec<JobLease> {
        self.lock().iter().map(|(id, entry)| JobLease::new(*id, entry.fence)).collect()
    }

    /// Says that the answer of a job is not wanted any more.
    pub(super) fn stop(&self, lease: JobLease, why: Wanted) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&lease.id) else { return };
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

    /// Stops calls that take too long.
    pub(super) fn stop_late(&self, now: Instant) {
        self.stop_groups(Stop::Late, |group| group.late <= now);
    }

    /// Stops the call that uses this session.
    pub(super) fn stop_session(&self, session: &SessionId) {
        self.stop_groups(Stop::Session, |group| group.sessions().contains(session));
    }

    fn stop_groups(&self, why: Stop, which: impl Fn(&Group) -> bool) {
        for entry in self.lock().values().filter(|entry| which(&entry.group)) {
            entry.group.stop(why);
        }
    }

    pub(super) fn wanted(&self, lease: JobLease) -> Wanted {
        let entries = self.lock();
        let entry = entries.get(&lease.id).filter(|entry| entry.fence == lease.fence);
        entry.map_or(Wanted::Lost, |entry| entry.wanted)
    }

    pub(super) fn end(&self, leases: impl Iterator<Item = JobLease>) {
        let mut entries = self.lock();
        for lease in leases {
            if entries.get(&lease.id).is_some_and(|entry| entry.fence == lease.fence) {
                entries.remove(&lease.id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
