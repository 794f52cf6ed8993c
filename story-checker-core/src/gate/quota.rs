//! How much of something there is in every window of time, as the generic cell rate algorithm (ITU-T
//! I.371) counts it: the whole state is one "theoretical arrival time". Times are microseconds.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// At most `requests` in **every** window of this length, at most `burst` of them at once.
///
/// A usual token bucket of N per W lets almost 2N through in one window: a full burst and then the
/// refill. Here the refill is slower by the burst, `W / (N - burst + 1)`, so that N holds in every
/// window, wherever it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Quota {
    requests: NonZeroU32,
    burst: NonZeroU32,
    window: u64,
    slack: u64,
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

/// A quota as it is stored.
#[derive(Serialize, Deserialize)]
struct Written {
    requests: u32,
    window_us: u64,
    burst: u32,
    slack_us: u64,
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
        Self::checked(requests, window, burst, Duration::ZERO)
    }

    /// Keeps `slack` besides the window. The platform counts arrivals, and we count what we send:
    /// requests that travel for different times stand closer together when they arrive. The spread of
    /// the latency (its p99.9 less its shortest) is what to put here.
    ///
    /// # Errors
    /// [`InvalidQuota`] if the slack is longer than the window.
    pub fn with_slack(self, slack: Duration) -> Result<Self, InvalidQuota> {
        Self::checked(self.requests(), self.window(), self.burst(), slack)
    }

    fn checked(
        requests: u32,
        window: Duration,
        burst: u32,
        slack: Duration,
    ) -> Result<Self, InvalidQuota> {
        let invalid = |rule| InvalidQuota { requests, burst, window, rule };
        let (Some(n), Some(b)) = (NonZeroU32::new(requests), NonZeroU32::new(burst)) else {
            return Err(invalid("both numbers must be at least 1"));
        };
        if burst > requests {
            return Err(invalid("the burst must not be more than the requests"));
        }
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (length, slack) = (micros(window), micros(slack));
        if length < u64::from(requests) || window > Duration::from_secs(366 * 86_400) {
            return Err(invalid("the window must be 1 µs per request to 366 days"));
        }
        if slack > length {
            return Err(invalid("the slack must not be longer than the window"));
        }
        let interval = (length + slack).div_ceil(u64::from(requests - burst + 1));
        Ok(Self { requests: n, burst: b, window: length, slack, interval })
    }

    /// The most requests in any window.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// The length of the window.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_micros(self.window)
    }

    /// The most requests at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// What is kept besides the window.
    #[must_use]
    pub const fn slack(&self) -> Duration {
        Duration::from_micros(self.slack)
    }

    /// From one request to the next, while there is always one.
    pub(super) const fn interval(&self) -> u64 {
        self.interval
    }

    /// How far ahead of real time the arrival time may run.
    pub(super) const fn tolerance(&self) -> u64 {
        self.interval * (self.burst.get() as u64 - 1)
    }

    /// After so long a request counts no more.
    pub(super) const fn span(&self) -> u64 {
        self.window + self.slack
    }

    /// When the next one may go after `ahead` others that go as soon as they may, which is not
    /// before `start`.
    pub(super) fn ready_after(&self, arrival: u64, ahead: u32, start: u64) -> u64 {
        let base = if ahead == 0 { arrival } else { arrival.max(start) };
        (base + u64::from(ahead) * self.interval).saturating_sub(self.tolerance())
    }

    /// How many may go at once.
    pub(super) fn room(&self, arrival: u64, now: u64) -> u32 {
        let most = now + self.tolerance();
        match most.checked_sub(arrival.max(now)) {
            Some(room) => u32::try_from(room / self.interval).unwrap_or(u32::MAX).saturating_add(1),
            None => 0,
        }
    }
}

impl TryFrom<Written> for Quota {
    type Error = InvalidQuota;

    fn try_from(it: Written) -> Result<Self, InvalidQuota> {
        let (window, slack) = (it.window_us, it.slack_us);
        let [window, slack] = [window, slack].map(Duration::from_micros);
        Self::checked(it.requests, window, it.burst, slack)
    }
}

impl From<Quota> for Written {
    fn from(quota: Quota) -> Self {
        Self {
            requests: quota.requests(),
            window_us: quota.window,
            burst: quota.burst(),
            slack_us: quota.slack,
        }
    }
}
