//! Which jobs run now, so that the beat can renew, cancel and drop them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::id::{Fence, JobId};
use crate::queue::JobLease;

/// One call of a checker: it stops when none of its jobs is wanted any more.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) cancel: CancellationToken,
    wanted: AtomicUsize,
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
pub(super) struct Running(Mutex<HashMap<JobId, Entry>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self, leases: impl ExactSizeIterator<Item = JobLease>) -> Arc<Group> {
        let wanted = AtomicUsize::new(leases.len());
        let group = Arc::new(Group { cancel: CancellationToken::new(), wanted });
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
            entry.group.cancel.cancel();
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
