//! What the sessions of this worker were used for, for people.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Pool, State};
use crate::clock::Timestamp;
use crate::engine::lesson::Lesson;
use crate::fault::{Class, Scope};
use crate::id::{ProxyId, SessionId};
use crate::session::{SessionKind, SessionRecord, SessionState};
use crate::usage::{Faults, Tally, Usage};

/// Outcomes that are kept of each session.
const OUTCOMES: usize = 20;

/// How long a session is remembered that this worker has not used.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// One session as a worker knows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionView {
    /// Its label.
    pub id: SessionId,
    /// What it can be used for.
    pub kind: SessionKind,
    /// The account that it speaks for, if it is tied to one.
    pub account: Option<String>,
    /// Whether it may be used, and why not, as this worker has last seen it.
    pub state: SessionState,
    /// Whether this worker has it leased.
    pub leased: bool,
    /// Whether a check of this worker runs on it now.
    pub in_flight: bool,
    /// The only proxy that it is seen through.
    pub home: Option<ProxyId>,
    /// What this worker used it for.
    pub usage: Usage,
    /// How its latest uses ended, the oldest first; 20 at most.
    pub outcomes: Vec<SessionOutcome>,
}

/// How one use of a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOutcome {
    /// When.
    pub at: Timestamp,
    /// Targets that were answered.
    pub ok: u64,
    /// The first thing that went wrong, if any, and whose fault it was.
    pub fault: Option<(Class, Scope)>,
}

#[derive(Debug)]
pub(super) struct History {
    kind: SessionKind,
    account: Option<String>,
    pub(super) home: Option<ProxyId>,
    state: SessionState,
    /// When anything of it was seen last.
    seen_at: Timestamp,
    tally: Tally,
    faults: Faults,
    outcomes: VecDeque<SessionOutcome>,
}

impl State {
    pub(super) fn note_lease(&mut self, record: &SessionRecord, now: Timestamp) {
        let new = || History {
            kind: record.kind.clone(),
            account: None,
            home: None,
            state: SessionState::Valid,
            seen_at: now,
            tally: Tally::default(),
            faults: Faults::default(),
            outcomes: VecDeque::new(),
        };
        let history = self.histories.entry(record.id.clone()).or_insert_with(new);
        history.kind.clone_from(&record.kind);
        history.account.clone_from(&record.account);
        history.home.clone_from(&record.home_proxy);
        history.state = SessionState::Valid;
        history.seen_at = now;
    }

    pub(super) fn note_use(&mut self, id: &SessionId, lesson: &Lesson, now: Timestamp) {
        let Some(history) = self.histories.get_mut(id) else { return };
        history.seen_at = now;
        history.tally.add(lesson.ok, now);
        for (class, _) in lesson.faults.iter().filter(|(_, scope)| *scope == Scope::Session) {
            history.faults.add(*class);
        }
        if history.outcomes.len() == OUTCOMES {
            history.outcomes.pop_front();
        }
        let fault = lesson.faults.first().copied();
        history.outcomes.push_back(SessionOutcome { at: now, ok: lesson.ok, fault });
    }

    pub(super) fn note_state(&mut self, id: &SessionId, state: &SessionState) {
        if let Some(history) = self.histories.get_mut(id) {
            history.state = state.clone();
        }
    }
}

impl Pool {
    /// The sessions that are leased, or were used within a day.
    pub(in crate::engine) fn sessions(&self) -> Vec<SessionView> {
        self.forget_old();
        let state = self.lock();
        let State { kinds, held, histories, condemned, .. } = &*state;
        let ready = kinds.values().flat_map(|line| &line.ready);
        let waiting = kinds.values().flat_map(|line| &line.waiting);
        let waiting = waiting.map(|Reverse(waiting)| &waiting.session);
        let idle: BTreeSet<_> = ready.chain(waiting).map(|session| &session.lease.id).collect();
        let view = |(id, history): (&SessionId, &History)| {
            let lease = held.get(id);
            let condemned = condemned.get(id).map(|condemned| &condemned.state);
            SessionView {
                id: id.clone(),
                kind: history.kind.clone(),
                account: history.account.clone(),
                state: condemned.unwrap_or(&history.state).clone(),
                leased: lease.is_some(),
                in_flight: lease.is_some() && !idle.contains(id),
                home: lease.and_then(|held| held.home.clone()).or_else(|| history.home.clone()),
                usage: history.tally.usage(Some(&history.faults)),
                outcomes: history.outcomes.iter().copied().collect(),
            }
        };
        histories.iter().map(view).collect()
    }

    /// Forgets sessions that were not used for a day.
    pub(super) fn forget_old(&self) {
        let since = self.clock.now() - REMEMBERED;
        let State { held, histories, .. } = &mut *self.lock();
        histories.retain(|id, history| history.seen_at >= since || held.contains_key(id));
    }
}
