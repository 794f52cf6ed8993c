//! What comes back to the pool, and from it to the stores: lessons of checks, and idle sessions.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::line::Leased;
use super::{Condemned, LONGEST_PAUSE, Pair, Pool};
use crate::clock::Timestamp;
use crate::engine::event::Event;
use crate::engine::lesson::Lesson;
use crate::error::{Certainty, Result};
use crate::id::Fence;
use crate::session::{LeaseReply, SessionChange, SessionLease, SessionRecord, SessionState};

impl Pool {
    /// Gives a pair back with what its check has taught: stores what must be stored, and only then
    /// lets the session be used again.
    pub(in crate::engine) async fn give_back(&self, pair: Pair, lesson: Lesson) {
        self.learn(pair, lesson).await;
        self.returned.notify_waiters();
    }

    async fn learn(&self, mut pair: Pair, lesson: Lesson) {
        self.teach_proxy(pair.proxy.as_deref(), &lesson).await;
        let Some(mut session) = pair.session.take() else { return };
        drop(pair);
        session.used_at = self.clock.now();
        self.lock().note_use(&session.lease.id, &lesson, session.used_at);
        let changed = session.handle.take_change();
        if changed.is_none() && lesson.session.is_none() {
            self.lock().idle(session);
            return;
        }
        let state = lesson.session.unwrap_or_default();
        let change = session.change(state.clone());
        if state != SessionState::Valid {
            let credentials = Arc::clone(&change.credentials);
            let condemned = Condemned { state: state.clone(), credentials };
            self.lock().condemned.insert(session.lease.id.clone(), condemned);
        }
        let held = self.save_surely(change).await;
        if state == SessionState::Valid {
            let mut locked = self.lock();
            if held {
                locked.idle(session);
            } else {
                locked.forget(&session.lease);
            }
            return;
        }
        if held {
            // A session at rest goes back, so that whoever is there when the rest ends can have it.
            let released = self.sessions.release(std::slice::from_ref(&session.lease)).await;
            if let Err(error) = released {
                tracing::warn!(session = %session.handle.id(), error = &error as &dyn std::error::Error,
                    "a session's lease could not be given back; it ends by itself");
            }
        }
        {
            let mut locked = self.lock();
            if held {
                locked.condemned.remove(&session.lease.id);
            }
            locked.forget(&session.lease);
            locked.note_state(&session.lease.id, &state);
            // The store knows when it, or another, may be leased.
            let line = locked.kind(&session.kind);
            line.ask_at = Timestamp::default();
            line.blocking = None;
            if let SessionState::CoolingDown { until, .. } = state {
                line.next_at = Some(line.next_at.map_or(until, |at| at.min(until)));
            }
        }
        let session = session.handle.id().clone();
        tracing::warn!(%session, state = state.as_str(), "a session is out of use");
        self.bus.emit(Event::SessionChanged { session, state }).await;
    }

    /// Of freshly leased sessions, stores and gives back those that are known to be out of use: the
    /// store did not hear of it in time. The rest may be used.
    pub(super) async fn sort_out_condemned(
        &self,
        leased: Vec<(SessionRecord, Fence)>,
    ) -> Result<Vec<(SessionRecord, Fence)>> {
        let mut changes = Vec::new();
        let usable = {
            let condemned = &mut self.lock().condemned;
            let mut may = |(record, fence): &(SessionRecord, Fence)| {
                let Some(known) = condemned.get(&record.id) else { return true };
                if known.credentials != record.credentials {
                    // The operator has brought new ones.
                    condemned.remove(&record.id);
                    return true;
                }
                let lease = SessionLease::new(record.id.clone(), *fence);
                let home = record.home_proxy.clone();
                let credentials = Arc::clone(&record.credentials);
                changes.push(SessionChange::new(lease, known.state.clone(), credentials, home));
                false
            };
            leased.into_iter().filter(&mut may).collect()
        };
        if !changes.is_empty() {
            let leases: Vec<_> = changes.iter().map(|change| change.lease.clone()).collect();
            let replies = self.sessions.save(changes).await?;
            self.sessions.release(&leases).await?;
            let mut state = self.lock();
            for (lease, reply) in leases.iter().zip(replies) {
                if reply == LeaseReply::Held {
                    state.condemned.remove(&lease.id);
                }
            }
        }
        Ok(usable)
    }

    /// Stores a change, trying again while the store does not answer: a challenge must not be
    /// forgotten. False if the lease is over, or the engine stops without having reached the store.
    async fn save_surely(&self, change: SessionChange) -> bool {
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match self.sessions.save(vec![change.clone()]).await {
                Ok(replies) => return replies == [LeaseReply::Held],
                Err(error) => error,
            };
            tracing::error!(session = %change.lease.id, error = &error as &dyn std::error::Error,
                "a session's change could not be stored");
            if error.certainty() == Certainty::Permanent {
                return false;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = self.abort.cancelled() => return false,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives sessions back to the store that were not used since `before`; all of them for `None`.
    pub(in crate::engine) async fn release_idle(&self, before: Option<Timestamp>) {
        let is_old = |session: &Leased| before.is_none_or(|before| session.used_at < before);
        let mut idle = Vec::new();
        {
            let mut state = self.lock();
            for line in state.kinds.values_mut() {
                let waiting = line.waiting.drain().map(|Reverse(waiting)| waiting);
                let (old, young): (Vec<_>, Vec<_>) = waiting.partition(|waiting| {
                    before.is_none_or(|before| waiting.session.used_at < before)
                });
                line.waiting = young.into_iter().map(Reverse).collect();
                idle.extend(old.into_iter().map(|waiting| waiting.session));
                let ready = std::mem::take(&mut line.ready);
                let (old, young): (Vec<_>, Vec<_>) = ready.into_iter().partition(is_old);
                idle.extend(old);
                line.ready = young.into();
                line.ask_at = Timestamp::default();
            }
        }
        if idle.is_empty() {
            return;
        }
        let changes: Vec<_> = idle
            .iter()
            .filter(|session| session.handle.take_change().is_some())
            .map(|session| session.change(SessionState::Valid))
            .collect();
        let leases: Vec<_> = idle.iter().map(|session| session.lease.clone()).collect();
        let stored = async {
            if !changes.is_empty() {
                self.sessions.save(changes).await?;
            }
            self.sessions.release(&leases).await
        };
        if let Err(error) = stored.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "sessions could not be given back; their leases end by themselves"
            );
        }
        let mut state = self.lock();
        for lease in &leases {
            state.forget(lease);
        }
    }
}
