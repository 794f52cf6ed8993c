//! The gate: the one place that every outgoing request goes through.
//!
//! A request needs several keys at once (its session, its proxy, its endpoint, the app). The gate
//! takes all of them or none, and answers with a [`Pass`]. A pass that is dropped before its request
//! was sent gives everything back.

mod breaker;
mod bucket;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

pub use self::breaker::{
    BreakerCause, BreakerMode, BreakerPolicy, BreakerState, Breakers, InvalidBreakerPolicy,
};
use self::bucket::Bucket;
pub use self::bucket::{InvalidQuota, Quota};
use crate::charge::charge;
use crate::clock::{Clock, Timestamp};
use crate::fault::{Fault, Scope};

/// What kind of thing a limit is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyClass {
    /// The registered application, or all use of one platform.
    App,
    /// One route of a platform.
    Endpoint,
    /// One proxy.
    Proxy,
    /// One session.
    Session,
}

/// What one limit is counted for: a class and a name. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    class: KeyClass,
    name: Arc<str>,
}

impl Key {
    /// The key of this class and name.
    #[must_use]
    pub fn new(class: KeyClass, name: impl Into<Arc<str>>) -> Self {
        Self { class, name: name.into() }
    }

    /// What kind of thing it is.
    #[must_use]
    pub fn class(&self) -> KeyClass {
        self.class
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            KeyClass::App => "app",
            KeyClass::Endpoint => "endpoint",
            KeyClass::Proxy => "proxy",
            KeyClass::Session => "session",
        };
        write!(f, "{class} {}", self.name)
    }
}

/// A key with the quota that holds for it; without one only blocks count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Need {
    /// What is counted.
    pub key: Key,
    /// How much of it there is.
    pub quota: Option<Quota>,
}

impl Need {
    /// One unit of `key`, under `quota`.
    #[must_use]
    pub const fn new(key: Key, quota: Option<Quota>) -> Self {
        Self { key, quota }
    }
}

/// The quotas of one checker's requests. A class without a quota is not limited, only blocked when
/// the platform says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// All requests of the checker together.
    pub app: Option<Quota>,
    /// Each named endpoint.
    pub endpoints: BTreeMap<String, Quota>,
    /// Each proxy.
    pub proxy: Option<Quota>,
    /// Each session.
    pub session: Option<Quota>,
}

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

/// The permission to send one request. Dropped before [`Pass::mark_sent`], it gives back what it
/// took.
#[derive(Debug)]
#[must_use = "a pass that is dropped gives its place back"]
pub struct Pass {
    gate: Arc<Gate>,
    needs: Box<[Need]>,
    sent: bool,
}

impl Pass {
    /// The request is on its way: what was taken is spent, whatever happens now.
    pub fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// The platform wants the key of this class left alone until then, whatever became of the
    /// request: usage headers near their end, a window without anything left.
    pub fn hold(&self, class: KeyClass, until: Timestamp) {
        if let Some(need) = self.needs.iter().find(|need| need.key.class == class) {
            self.gate.block_until(&need.key, until);
        }
    }

    /// The request has ended. A fault that blocks (see [`charge`](crate::charge)) blocks the key of
    /// its scope until its hint, or for `otherwise` if it has none.
    pub fn settle(mut self, fault: Option<&Fault>, otherwise: Duration) {
        self.sent = true;
        let Some(fault) = fault.filter(|fault| charge(fault.class, fault.scope).block) else {
            return;
        };
        let class = match fault.scope {
            Scope::Endpoint => KeyClass::Endpoint,
            _ => KeyClass::App,
        };
        self.hold(class, fault.until.unwrap_or_else(|| self.gate.clock.now() + otherwise));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.sent {
            let mut buckets = self.gate.lock();
            for need in &self.needs {
                if let (Some(quota), Some(bucket)) = (need.quota, buckets.map.get_mut(&need.key)) {
                    bucket.refund(quota);
                }
            }
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

    /// Takes one unit of every key, or nothing.
    ///
    /// # Errors
    /// [`NotReady`] with the exact time at which all keys will be ready.
    pub fn try_pass(self: &Arc<Self>, needs: Box<[Need]>) -> Result<Pass, NotReady> {
        self.take(&needs)?;
        Ok(Pass { gate: Arc::clone(self), needs, sent: false })
    }

    fn take(&self, needs: &[Need]) -> Result<(), NotReady> {
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

    /// Waits until every key is ready and takes one unit of each, if that is within `patience`.
    ///
    /// # Errors
    /// [`NotReady`] at once if the wait would be longer.
    ///
    /// # Cancel safety
    /// Safe: nothing is held while waiting.
    pub async fn pass(
        self: &Arc<Self>,
        needs: Box<[Need]>,
        patience: Duration,
    ) -> Result<Pass, NotReady> {
        self.pass_before(needs, patience, None).await
    }

    /// The same, but never waits beyond `end`. Reads no clock if it need not wait.
    pub(crate) async fn pass_before(
        self: &Arc<Self>,
        needs: Box<[Need]>,
        patience: Duration,
        end: Option<tokio::time::Instant>,
    ) -> Result<Pass, NotReady> {
        let mut give_up = None;
        loop {
            let Err(refusal) = self.take(&needs) else {
                return Ok(Pass { gate: Arc::clone(self), needs, sent: false });
            };
            let now = tokio::time::Instant::now();
            let wait = refusal.ready_at.since(self.clock.now()).max(Duration::from_millis(1));
            let give_up = *give_up.get_or_insert(now + patience);
            if now + wait > end.map_or(give_up, |end| end.min(give_up)) {
                return Err(refusal);
            }
            tokio::time::sleep_until(now + wait).await;
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

#[cfg(test)]
mod tests;
