//! Where this worker's time goes: cheap sums, and the last minute or two of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::doctor::{Shares, Wait};
use crate::clock::Timestamp;
use crate::id::ProxyId;

/// How long one window of the sums is.
const WINDOW: Duration = Duration::from_secs(60);
/// How many points of the past are kept for jobs that have waited long.
const POINTS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    since: Option<Instant>,
    before: Shares,
    now: Shares,
    /// Jobs that were put off lately: until when, and for what.
    put_off: Option<(Timestamp, Wait)>,
    past: VecDeque<Point>,
    total: Point,
}

/// How long pairs and limits were waited for, ever, at some time.
#[derive(Clone, Copy, Debug, Default)]
struct Point {
    at: Timestamp,
    pair: Duration,
    limit: Duration,
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Sums> {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = *sums.since.get_or_insert(now);
        if now - since >= WINDOW {
            sums.since = Some(now);
            let last = std::mem::take(&mut sums.now);
            // What is older than two windows says nothing of now.
            sums.before = if now - since < 2 * WINDOW { last } else { Shares::default() };
        }
        sums
    }

    /// The dispatcher has spent `time` so, until now.
    pub(super) fn waited(&self, wait: Wait, time: Duration, now: Timestamp) {
        if time.is_zero() {
            return;
        }
        let mut sums = self.lock();
        let wait = match (wait, sums.put_off) {
            // Nothing was due because it had all been put off.
            (Wait::Jobs, Some((until, why))) if until > now => why,
            _ => wait,
        };
        *sums.now.waits.entry(wait).or_default() += time;
        let total = &mut sums.total;
        match wait {
            Wait::Sessions | Wait::SessionsAway | Wait::SessionsOut | Wait::Proxies => {
                total.pair += time;
            }
            Wait::AppLimit
            | Wait::Blocked
            | Wait::EndpointLimit
            | Wait::ProxyLimit
            | Wait::SessionLimit => total.limit += time,
            _ => return,
        }
        total.at = now;
        let point = *total;
        sums.past.push_back(point);
        if sums.past.len() > POINTS {
            // Every second one is left: of what is long ago less is known.
            let mut odd = false;
            sums.past.retain(|_| {
                odd = !odd;
                odd
            });
        }
    }

    /// How long pairs and limits have been waited for since then.
    pub(super) fn since(&self, then: Timestamp) -> (Duration, Duration) {
        let sums = self.lock();
        let before = sums.past.partition_point(|point| point.at <= then);
        let point = before.checked_sub(1).and_then(|index| sums.past.get(index).copied());
        let point = point.unwrap_or_default();
        (sums.total.pair - point.pair, sums.total.limit - point.limit)
    }

    /// A job waits until then.
    pub(super) fn put_off(&self, wait: Wait, until: Timestamp) {
        let mut sums = self.lock();
        if wait == Wait::Retries {
            sums.now.failed += 1;
        }
        if sums.put_off.is_none_or(|(known, _)| known < until) {
            sums.put_off = Some((until, wait));
        }
    }

    pub(super) fn called(&self, proxy: Option<&ProxyId>, took: Duration, passing: Duration) {
        let took = took.saturating_sub(passing);
        let mut sums = self.lock();
        let shares = &mut sums.now;
        shares.calls += 1;
        shares.calling += took;
        shares.passing += passing;
        let Some(proxy) = proxy else { return };
        if let Some(used) = shares.proxies.get_mut(proxy) {
            used.calls += 1;
            used.time += took;
        } else {
            let used = shares.proxies.entry(proxy.clone()).or_default();
            (used.calls, used.time) = (1, took);
        }
    }

    /// So many targets were asked about in a call.
    pub(super) fn asked(&self, targets: usize) {
        self.lock().now.asked += targets as u64;
    }

    pub(super) fn settled(&self, took: Duration) {
        self.lock().now.settling += took;
    }

    /// The last minute or two.
    pub(super) fn shares(&self) -> Shares {
        let sums = self.lock();
        let mut shares = sums.before.clone();
        shares.add(&sums.now);
        shares
    }
}
