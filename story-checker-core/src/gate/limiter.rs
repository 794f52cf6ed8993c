//! The gate itself: what is known of every key, and who waits for it, behind one mutex.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Breakers, InvalidBreakerPolicy};
use super::health::Health;
use super::key::{Key, KeyClass, Need};
use super::limit::Limit;
use super::line::Lines;
use super::state::Past;
use super::table::{Refusal, Table};
use crate::clock::{Clock, Timestamp};

/// The gate's own time begins here, so that there is a time before it.
const BEGINNING: u64 = 800 * 86_400_000_000;
/// Who is blocked for longer is parked: somebody should look at it.
const PARKED: Duration = Duration::from_secs(86_400);

/// How much may go now, and when something may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Availability {
    /// Requests that would pass at this moment.
    pub now: u32,
    /// When the next one may go; this moment if `now` is not 0.
    pub ready_at: Timestamp,
}

/// A refusal of the gate: nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} at {ready_at}", self.what())]
#[non_exhaustive]
pub struct NotReady {
    /// When all keys will be ready, if nobody takes them before but those who wait already.
    pub ready_at: Timestamp,
    /// The key that is ready last.
    pub key: Key,
    /// It is not its limit but its breaker: too many requests have failed.
    pub breaker: bool,
}

impl NotReady {
    fn what(&self) -> String {
        let key = &self.key;
        if self.breaker {
            format!("{key} has failed again and again, and is tried next")
        } else {
            format!("the limit of {key} allows the next request")
        }
    }
}

/// A key that nothing goes through for now, because the platform says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// What is blocked.
    pub key: Key,
    /// Until when.
    pub until: Timestamp,
    /// For more than a day: somebody should look at it.
    pub parked: bool,
}

/// What a gate assumes of requests that were sent before it was made, under keys that it has no
/// [snapshot](Gate::restore) of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColdStart {
    /// None were sent. Default.
    #[default]
    Fresh,
    /// Whoever was here before kept to the same limits: no burst goes at once.
    Lawful,
    /// As many as there are limits for, all of them just before: nothing goes for a window.
    Spent,
}

/// Limits per key, all-or-nothing over several keys.
///
/// It never waits while holding anything, and its critical sections are a few map look-ups.
#[derive(Debug)]
pub struct Gate {
    clock: Arc<dyn Clock>,
    started: Instant,
    /// Locked first, if both are.
    health: Mutex<Health>,
    inner: Mutex<Inner>,
    used: Notify,
    blocked: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) table: Table,
    pub(super) lines: Lines,
    /// Something was taken since the last snapshot.
    pub(super) used: bool,
}

impl Gate {
    /// A gate with nothing taken and nothing blocked.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            started: Instant::now(),
            health: Mutex::default(),
            inner: Mutex::default(),
            used: Notify::new(),
            blocked: Notify::new(),
        }
    }

    /// With other policies for its breakers.
    ///
    /// # Errors
    /// [`InvalidBreakerPolicy`] if one of them cannot be kept.
    pub fn with_breakers(self, policies: Breakers) -> Result<Self, InvalidBreakerPolicy> {
        policies.validate()?;
        self.health().policies = policies;
        Ok(self)
    }

    /// What it assumes of the time before.
    #[must_use]
    pub fn with_cold_start(self, assumed: ColdStart) -> Self {
        self.assume(assumed);
        self
    }

    /// The same for a gate that is shared already, but not in use yet.
    pub(crate) fn assume(&self, assumed: ColdStart) {
        let until = (assumed != ColdStart::Fresh).then(|| self.elapsed());
        self.lock().table.assume(Past { until, lawless: assumed == ColdStart::Spent });
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gate's own time, in microseconds: never jumps, follows a paused timer.
    pub(super) fn elapsed(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        elapsed.saturating_add(BEGINNING)
    }

    /// The same time as the timer knows it.
    pub(super) fn instant(&self, at: u64) -> Instant {
        self.started + Duration::from_micros(at.saturating_sub(BEGINNING))
    }

    /// The same time as people know it; rounded up, so that the request really passes then.
    pub(super) fn timestamp(&self, now: u64, at: u64) -> Timestamp {
        let wall = self.clock.now();
        match at.checked_sub(now) {
            Some(wait) => wall + Duration::from_millis(wait.div_ceil(1000)),
            None => wall - Duration::from_millis((now - at) / 1000),
        }
    }

    /// A time of people as the gate's own.
    pub(super) fn own_time(&self, now: u64, at: Timestamp) -> u64 {
        let wall = self.clock.now();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        now.saturating_add(micros(at.since(wall))).saturating_sub(micros(wall.since(at)))
    }

    pub(super) fn refusal(&self, now: u64, refusal: Refusal, needs: &[Need]) -> NotReady {
        let key = needs[refusal.need].key.clone();
        let ready_at = self.timestamp(now, refusal.at.max(now));
        NotReady { ready_at, key, breaker: refusal.breaker }
    }

    /// The first request since a snapshot is the one that has to be noted down soon.
    pub(super) fn note_use(&self, inner: &mut Inner) {
        if !std::mem::replace(&mut inner.used, true) {
            self.used.notify_one();
        }
    }

    /// Lets nothing through for `key` before `until`. A block is never shortened and never capped.
    pub fn block_until(&self, key: &Key, until: Timestamp) {
        let now = self.elapsed();
        let own = self.own_time(now, until);
        let mut inner = self.lock();
        let state = inner.table.state(key, now);
        let news = own > state.blocked_until.max(now);
        state.blocked_until = state.blocked_until.max(own);
        drop(inner);
        if news {
            if until.since(self.now()) > PARKED {
                tracing::warn!(%key, %until, "the platform lets nothing through for more than a day");
            }
            self.blocked.notify_one();
        }
    }

    /// All keys that are blocked now, the longest block first.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let now = self.elapsed();
        let inner = self.lock();
        let blocked = inner.table.all().filter(|(_, state)| state.blocked_until > now);
        let mut blocks: Vec<_> = blocked
            .map(|(key, state)| {
                let wait = Duration::from_micros(state.blocked_until - now);
                let until = self.timestamp(now, state.blocked_until);
                Block { key: key.clone(), until, parked: wait > PARKED }
            })
            .collect();
        drop(inner);
        blocks.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.key.cmp(&b.key)));
        blocks
    }

    /// Puts a limit in place of the one that the checkers bring for this key, at once and while it
    /// is in use; none gives them theirs back. What went out before counts under the new limit too.
    pub fn set_limit(&self, key: &Key, limit: Option<Limit>) {
        let mut inner = self.lock();
        inner.table.set_limit(key.clone(), limit);
        inner.lines.wake(key);
    }

    /// The same for all keys of a class that have no [own](Gate::set_limit).
    pub fn set_class_limit(&self, class: KeyClass, limit: Option<Limit>) {
        let mut inner = self.lock();
        inner.table.set_class_limit(class, limit);
        inner.lines.wake_all();
    }

    /// Waits for the first request that the last [snapshot](Gate::snapshot) does not know of.
    ///
    /// # Cancel safety
    /// Safe: what was not waited for is still there for the next call.
    pub async fn used(&self) {
        while !self.lock().used {
            self.used.notified().await;
        }
    }

    /// Waits for the next hint that blocks a key, or one that came since the last call.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn blocked(&self) {
        self.blocked.notified().await;
    }

    /// Forgets keys of which nothing matters any more. It happens by itself as keys are added; an
    /// engine calls it now and then, so that what one rush has left does not stay.
    pub fn tidy(&self) {
        let now = self.elapsed();
        self.lock().table.sweep(now);
    }

    /// How many keys have any memory now.
    #[must_use]
    pub fn tracked(&self) -> usize {
        let breakers = self.health().len();
        self.lock().table.len() + breakers
    }
}
