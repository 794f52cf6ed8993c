//! One key's token bucket, as the generic cell rate algorithm (ITU-T I.371): the whole state is one
//! "theoretical arrival time". All times are microseconds on the gate's own scale.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

/// At most `requests` in **every** window of this length, at most `burst` of them at once.
///
/// A usual token bucket of N per W lets almost 2N through in one window: a full burst and then the
/// refill. Here the refill is slower by the burst, `W / (N - burst + 1)`, so that N holds in every
/// window, wherever it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    requests: NonZeroU32,
    burst: NonZeroU32,
    window: Duration,
    interval: u64,
}

/// A quota that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{requests} requests per {window:?} with a burst of {burst} is no limit: {rule}")]
pub struct InvalidQuota {
    requests: u32,
    burst: u32,
    window: Duration,
    rule: &'static str,
}

impl Quota {
    /// `requests` in every `window`, one at a time.
    ///
    /// # Errors
    /// [`InvalidQuota`] if `requests` is 0, or `window` is shorter than a microsecond per request
    /// or longer than a year.
    pub fn new(requests: u32, window: Duration) -> Result<Self, InvalidQuota> {
        Self::with_burst(requests, window, 1)
    }

    /// `requests` in every `window`, up to `burst` of them at once.
    ///
    /// # Errors
    /// As [`Quota::new`], and if `burst` is 0 or more than `requests`.
    pub fn with_burst(requests: u32, window: Duration, burst: u32) -> Result<Self, InvalidQuota> {
        let invalid = |rule| InvalidQuota { requests, burst, window, rule };
        let (Some(n), Some(b)) = (NonZeroU32::new(requests), NonZeroU32::new(burst)) else {
            return Err(invalid("both numbers must be at least 1"));
        };
        if burst > requests {
            return Err(invalid("the burst must not be more than the requests"));
        }
        let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        if micros < u64::from(requests) || window > Duration::from_secs(366 * 86_400) {
            return Err(invalid("the window must be 1 µs per request to 366 days"));
        }
        let interval = micros.div_ceil(u64::from(requests - burst + 1));
        Ok(Self { requests: n, burst: b, window, interval })
    }

    /// The most requests in any window.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// The length of the window.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// The most requests at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// How far ahead of real time the arrival time may run.
    const fn tolerance(&self) -> u64 {
        self.interval * (self.burst.get() as u64 - 1)
    }
}

/// What is known of one key: 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    arrival: u64,
    blocked_until: u64,
}

impl Bucket {
    pub(super) fn ready_at(self, quota: Option<Quota>) -> u64 {
        let limited = quota.map_or(0, |quota| self.arrival.saturating_sub(quota.tolerance()));
        limited.max(self.blocked_until)
    }

    pub(super) fn count_at(self, quota: Option<Quota>, now: u64) -> u32 {
        if self.ready_at(quota) > now {
            return 0;
        }
        quota.map_or(u32::MAX, |quota| {
            let room = now + quota.tolerance() - self.arrival.max(now).min(now + quota.tolerance());
            u32::try_from(room / quota.interval).unwrap_or(u32::MAX).saturating_add(1)
        })
    }

    pub(super) fn take(&mut self, quota: Quota, now: u64) {
        self.arrival = self.arrival.max(now) + quota.interval;
    }

    pub(super) fn refund(&mut self, quota: Quota) {
        self.arrival = self.arrival.saturating_sub(quota.interval);
    }

    pub(super) fn block(&mut self, until: u64) {
        self.blocked_until = self.blocked_until.max(until);
    }

    pub(super) fn is_idle(self, now: u64) -> bool {
        self.arrival <= now && self.blocked_until <= now
    }
}
