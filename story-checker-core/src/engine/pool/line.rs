//! Leased sessions that are not in use, in line for the next check.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ASK_AGAIN;
use crate::clock::Timestamp;
use crate::id::{Fence, ProxyId};
use crate::report::Cause;
use crate::session::{
    Credentials, SessionChange, SessionHandle, SessionKind, SessionLease, SessionRecord,
    SessionState,
};

/// Sessions of one kind that are leased and not in use.
#[derive(Debug, Default)]
pub(super) struct Kind {
    pub(super) ready: VecDeque<Leased>,
    pub(super) waiting: BinaryHeap<Reverse<Waiting>>,
    /// Before this time the store has nothing new.
    pub(super) ask_at: Timestamp,
    /// When the store may have something by itself.
    pub(super) next_at: Option<Timestamp>,
    /// Why no session can be used, and until when that is believed without counting again.
    pub(super) blocking: Option<(Timestamp, Cause)>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) at: Timestamp,
    /// Nothing is known to change at that time.
    pub(super) only_looks: bool,
    order: u64,
    pub(super) session: Leased,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A leased session.
#[derive(Debug)]
pub(in crate::engine) struct Leased {
    pub(in crate::engine) handle: Arc<SessionHandle>,
    pub(super) kind: SessionKind,
    pub(super) account: Option<String>,
    pub(super) lease: SessionLease,
    pub(super) home: Option<ProxyId>,
    pub(super) used_at: Timestamp,
    pub(super) lost: CancellationToken,
}

impl Kind {
    /// Puts those in line again that have waited long enough.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.at > now {
                break;
            }
            self.ready.extend(self.waiting.pop().map(|Reverse(waiting)| waiting.session));
        }
    }

    /// Puts those in line again for which what they wait for may be over.
    pub(super) fn wake_if(&mut self, may_go: impl Fn(&Leased) -> bool) {
        let may_go = |waiting: &Reverse<Waiting>| may_go(&waiting.0.session);
        if self.waiting.iter().any(may_go) {
            let (woken, others): (Vec<_>, Vec<_>) = self.waiting.drain().partition(may_go);
            self.waiting = others.into();
            self.ready.extend(woken.into_iter().map(|Reverse(waiting)| waiting.session));
        }
    }

    pub(super) fn wait(&mut self, session: Leased, at: Option<Timestamp>, now: Timestamp) {
        let order = self.waiting.len() as u64;
        // Without a time only the operator helps: look again once in a while.
        let only_looks = at.is_none();
        let at = at.unwrap_or(now + ASK_AGAIN);
        self.waiting.push(Reverse(Waiting { at, only_looks, order, session }));
    }
}

impl Leased {
    pub(super) fn new(
        record: SessionRecord,
        fence: Fence,
        lost: CancellationToken,
        now: Timestamp,
    ) -> Self {
        Self {
            handle: Arc::new(SessionHandle::new(record.id.clone(), record.credentials)),
            kind: record.kind,
            account: record.account,
            lease: SessionLease::new(record.id, fence),
            home: record.home_proxy,
            used_at: now,
            lost,
        }
    }

    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    pub(super) fn change(&self, state: SessionState) -> SessionChange {
        let credentials: Arc<Credentials> = self.handle.credentials();
        SessionChange::new(self.lease.clone(), state, credentials, self.home.clone())
    }
}
