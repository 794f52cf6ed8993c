//! A plain limiter of one key, by the crate governor.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as GovernorQuota, RateLimiter};
use tokio::time::Instant;

use super::quota::Quota;

/// Lets through as many requests as one quota allows, for one thing only: no keys, no hints, no order
/// among those who wait, nothing that survives a restart. Where that is enough, it takes no lock. For
/// all else there is the [`Gate`](super::Gate).
#[derive(Debug)]
pub struct PlainLimiter {
    limiter: RateLimiter<NotKeyed, InMemoryState, Timer, NoOpMiddleware<Nanos>>,
}

/// The time of tokio, which a test can pause; governor's own cannot be.
#[derive(Clone, Debug)]
struct Timer(Instant);

impl GovernorClock for Timer {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

impl PlainLimiter {
    /// A limiter that nothing went through yet. N holds in every window, as in the gate.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let burst = NonZeroU32::new(quota.burst()).unwrap_or(NonZeroU32::MIN);
        let interval = Duration::from_micros(quota.interval().max(1));
        let rate = GovernorQuota::with_period(interval)
            .unwrap_or_else(|| GovernorQuota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(rate, Timer(Instant::now())) }
    }

    /// Takes one, or says how long there will be none.
    ///
    /// # Errors
    /// The time to wait.
    pub fn try_take(&self) -> Result<(), Duration> {
        let now = self.limiter.clock().now();
        self.limiter.check().map_err(|refusal| {
            Duration::from_nanos(refusal.earliest_possible().duration_since(now).into())
        })
    }

    /// Takes one as soon as there is one.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken while waiting.
    pub async fn take(&self) {
        // Not governor's own waiting, which follows another clock than this one.
        while let Err(wait) = self.try_take() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_follows_the_paused_timer_and_holds_in_every_window() {
        let quota = Quota::with_burst(10, Duration::from_secs(60), 3).unwrap();
        let limiter = PlainLimiter::new(quota);
        let start = Instant::now();
        let mut sent = Vec::new();
        for _ in 0..60 {
            limiter.take().await;
            sent.push(start.elapsed());
        }
        assert!(limiter.try_take().is_err());
        assert_eq!(sent[2], Duration::ZERO, "the burst goes at once");
        for first in &sent {
            let end = *first + Duration::from_secs(60);
            assert!(sent.iter().filter(|&at| at >= first && *at < end).count() <= 10);
        }
    }
}
