//! The gate itself: what is known of every key, behind one mutex.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

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
#[error("the limit of {key} allows the next request at {ready_at}")]
#[non_exhaustive]
pub struct NotReady {
    /// When all keys will be ready, if nobody else takes them before.
    pub ready_at: Timestamp,
    /// The key that is ready last.
    pub key: Key,
}

/// Limits per key, all-or-nothing over several keys.
///
/// It never waits while holding anything, and its critical sections are a few map look-ups.
#[derive(Debug)]
pub struct Gate {
    clock: Arc<dyn Clock>,
    started: tokio::time::Instant,
    buckets: Mutex<Buckets>,
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
        Self { clock, started: tokio::time::Instant::now(), buckets: Mutex::default() }
    }

    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the gate was made, in microseconds: never jumps, follows a paused timer.
    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn timestamp(&self, elapsed_now: u64, at: u64) -> Timestamp {
        // Rounded up: at the promised millisecond the request really passes.
        self.clock.now() + Duration::from_millis(at.saturating_sub(elapsed_now).div_ceil(1000))
    }

    /// Looks at several keys at once without taking anything.
    #[must_use]
    pub fn availability(&self, needs: &[Need]) -> Availability {
        let now = self.elapsed();
        let (mut count, mut ready) = (u32::MAX, now);
        let buckets = self.lock();
        for need in needs {
            let bucket = buckets.map.get(&need.key).copied().unwrap_or_default();
            ready = ready.max(bucket.ready_at(need.quota));
            count = count.min(bucket.count_at(need.quota, now));
        }
        drop(buckets);
        Availability { now: count, ready_at: self.timestamp(now, ready) }
    }

    pub(super) fn take(&self, needs: &[Need]) -> Result<(), NotReady> {
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
            return Err(NotReady { ready_at: self.timestamp(now, ready), key });
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
        self.lock().map.len()
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
