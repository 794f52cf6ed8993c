//! What time it is on the platform.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::time::Timestamp;

/// The clock of a served platform.
///
/// Only the time of the platform follows it (stories, limits, dates); latencies are waited for in
/// tokio time.
#[derive(Clone, Copy, Debug)]
pub struct SimClock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Virtual { start: Timestamp, origin: Instant, speed: f64 },
}

impl SimClock {
    /// The clock of the system.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and moves with tokio time, so that it stands still while a
    /// test has paused tokio.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Source::Virtual { start, origin: Instant::now(), speed: 1.0 })
    }

    /// The same clock, from now on so many times as fast. Speeds that are negative or not finite
    /// stop it.
    #[must_use]
    pub fn with_speed(self, speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.max(0.0) } else { 0.0 };
        Self(Source::Virtual { start: self.now(), origin: Instant::now(), speed })
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::System => SystemTime::now().into(),
            Source::Virtual { start, origin, speed } => {
                let elapsed = origin.elapsed().as_secs_f64() * speed;
                start.saturating_add(Duration::try_from_secs_f64(elapsed).unwrap_or(Duration::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_moves_with_tokio_time() {
        let start = Timestamp::from_unix_secs(1000);
        let clock = SimClock::starting_at(start);
        let fast = clock.with_speed(60.0);
        let stopped = clock.with_speed(f64::NAN);
        assert_eq!((clock.now(), fast.now()), (start, start));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), start.saturating_add(Duration::from_secs(2)));
        assert_eq!(fast.now(), start.saturating_add(Duration::from_secs(120)));
        assert_eq!(stopped.now(), start);
        let faster = fast.with_speed(f64::MAX);
        assert_eq!(faster.now(), fast.now());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(faster.now() > fast.now());
    }
}
