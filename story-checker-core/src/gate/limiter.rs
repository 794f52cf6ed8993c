//! The gate itself: what is known of every key, behind one mutex.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::breaker::{Breakers, InvalidBreakerPolicy};
use super::health::Health;
use super::key::{Key, Need};
use super::quota::Bucket;
use crate::clock::{Clock, Timestamp};

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
    /// When all keys will be ready, if nobody else takes them before.
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

/// Limits per key, all-or-nothing over several keys.
///
/// It never waits while holding anything, and its critical sections are a few map look-ups.
#[derive(Debug)]
pub struct Gate {
    clock: Arc<dyn Clock>,
    started: tokio::time::Instant,
    buckets: Mutex<Buckets>,
    /// Locked first, if both are.
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Buckets {
    map: HashMap<Key, Bucket>,
    /// Idle buckets are swept out when the map has grown to this size.
    sweep_at: usize,
}

impl Gate {
    /// A gate with nothing taken and nothing blocked.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let started = tokio::time::Instant::now();
        Self { clock, started, buckets: Mutex::default(), health: Mutex::default() }
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

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the gate was made, in microseconds: never jumps, follows a paused timer.
    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn timestamp(&self, elapsed_now: u64, at: u64) -> Timestamp {
        // Rounded up: at the promised millisecond the request really passes.
        self.clock.now() + Duration::from_millis(at.saturating_sub(elapsed_now).div_ceil(1000))
    }

    /// Looks at several keys at once without taking anything.
    #[must_use]
    pub fn availability(&self, needs: &[Need]) -> Availability {
        let health = self.health();
        let now = self.elapsed();
        let mut count = health.permits(needs, now);
        let mut ready = health.ready_at(needs, now).map_or(now, |(at, _)| at);
        drop(health);
        let buckets = self.lock();
        for need in needs {
            let bucket = buckets.map.get(&need.key).copied().unwrap_or_default();
            ready = ready.max(bucket.ready_at(need.quota));
            count = count.min(bucket.count_at(need.quota, now));
        }
        drop(buckets);
        Availability { now: count, ready_at: self.timestamp(now, ready) }
    }

    /// Takes one unit of every key and a permit of every breaker, or nothing.
    pub(super) fn take(&self, needs: &mut [Need]) -> Result<(), NotReady> {
        let mut health = self.health();
        let now = self.elapsed();
        if let Some((at, key)) = health.ready_at(needs, now) {
            let (ready_at, key) = (self.timestamp(now, at), key.clone());
            drop(health);
            let ready_at = ready_at.max(self.availability(needs).ready_at);
            return Err(NotReady { ready_at, key, breaker: true });
        }
        self.take_limits(needs)?;
        health.acquire(needs, now);
        self.publish(&mut health, now);
        Ok(())
    }

    fn take_limits(&self, needs: &[Need]) -> Result<(), NotReady> {
        let now = self.elapsed();
        let mut buckets = self.lock();
        let last = needs
            .iter()
            .map(|need| {
                let bucket = buckets.map.get(&need.key).copied().unwrap_or_default();
                (bucket.ready_at(need.quota), need)
            })
            .max_by_key(|(ready, _)| *ready);
        if let Some((ready, need)) = last.filter(|(ready, _)| *ready > now) {
            let key = need.key.clone();
            drop(buckets);
            return Err(NotReady { ready_at: self.timestamp(now, ready), key, breaker: false });
        }
        for need in needs {
            if let Some(quota) = need.quota {
                match buckets.map.get_mut(&need.key) {
                    Some(bucket) => bucket.take(quota, now),
                    None => {
                        buckets.sweep(now);
                        buckets.map.entry(need.key.clone()).or_default().take(quota, now);
                    }
                }
            }
        }
        drop(buckets);
        Ok(())
    }

    pub(super) fn give_back(&self, needs: &[Need]) {
        let mut buckets = self.lock();
        for need in needs {
            if let (Some(quota), Some(bucket)) = (need.quota, buckets.map.get_mut(&need.key)) {
                bucket.refund(quota);
            }
        }
    }

    /// Lets nothing through for `key` before `until`. A block is never shortened and never capped.
    pub fn block_until(&self, key: &Key, until: Timestamp) {
        let wait = until.since(self.clock.now());
        let now = self.elapsed();
        let until = now.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        let mut buckets = self.lock();
        buckets.sweep(now);
        buckets.map.entry(key.clone()).or_default().block(until);
    }

    /// How many keys have any memory now.
    #[must_use]
    pub fn tracked(&self) -> usize {
        let breakers = self.health().len();
        self.lock().map.len() + breakers
    }
}

impl Buckets {
    fn sweep(&mut self, now: u64) {
        if self.map.len() >= self.sweep_at.max(1024) {
            self.map.retain(|_, bucket| !bucket.is_idle(now));
            self.sweep_at = self.map.len() * 2;
        }
    }
}
