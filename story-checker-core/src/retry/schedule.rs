//! How long to wait after each attempt.

use std::time::Duration;

use crate::clock::millis;

/// The pause after each failed attempt: a pure function of the attempt's number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schedule {
    /// Doubles from `base` up to `cap`, and takes a random half of it away ("equal jitter").
    Exponential {
        /// The pause after the first failure, before jitter.
        base: Duration,
        /// No pause is longer.
        cap: Duration,
    },
    /// Exactly these pauses; the last one goes on for ever. An empty list means no pause.
    Listed(Vec<Duration>),
}

impl Default for Schedule {
    /// 2 s, 4 s, 8 s … at most 10 min, each with equal jitter.
    fn default() -> Self {
        Self::Exponential { base: Duration::from_secs(2), cap: Duration::from_secs(600) }
    }
}

impl Schedule {
    /// Plays a schedule of any other library into a list: `pauses` may be a `backon` iterator, for
    /// instance. At most 64 pauses are taken.
    #[must_use]
    pub fn replay(pauses: impl IntoIterator<Item = Duration>) -> Self {
        Self::Listed(pauses.into_iter().take(64).collect())
    }

    /// Plays a policy of the `backoff` crate into a list, until it gives up or 64 pauses are taken.
    ///
    /// The policy's own jitter is drawn once, here, so the result is a pure schedule like any
    /// other. Its limit on elapsed time reads the real clock and has no effect on a replay: use
    /// [`RetryPolicy::max_attempts`](super::RetryPolicy::max_attempts) or a deadline.
    #[cfg(feature = "backoff")]
    #[must_use]
    pub fn from_backoff(policy: &mut dyn backoff::backoff::Backoff) -> Self {
        policy.reset();
        Self::replay(std::iter::from_fn(|| policy.next_backoff()))
    }

    /// The pause after the attempt with this number, the first being 0. `random` decides the
    /// jitter.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        match self {
            Self::Exponential { base, cap } => {
                let full = millis(base.saturating_mul(1 << attempt.min(30)).min(*cap));
                let half = full / 2;
                Duration::from_millis(half + random % (full - half + 1))
            }
            Self::Listed(pauses) => {
                let index = usize::try_from(attempt).unwrap_or(usize::MAX);
                pauses.get(index).or(pauses.last()).copied().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn listed_pauses_repeat_the_last() {
        let schedule = Schedule::replay([1, 5].map(Duration::from_secs));
        let pauses = [0, 1, 2, 99].map(|attempt| schedule.delay(attempt, 3).as_secs());
        assert_eq!(pauses, [1, 5, 5, 5]);
        assert_eq!(Schedule::replay([]).delay(0, 0), Duration::ZERO);
    }

    #[test]
    fn endless_schedules_are_cut() {
        let endless = std::iter::repeat(Duration::from_secs(1));
        assert!(
            matches!(Schedule::replay(endless), Schedule::Listed(pauses) if pauses.len() == 64)
        );
    }

    /// The contract of the `backoff` feature: its schedule arrives unchanged, and an end is an end.
    #[cfg(feature = "backoff")]
    #[test]
    fn a_backoff_policy_is_replayed_pause_by_pause() {
        use backoff::backoff::{Constant, Stop};

        let mut exponential = backoff::ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_secs(1))
            .with_multiplier(3.0)
            .with_randomization_factor(0.0)
            .with_max_interval(Duration::from_secs(20))
            .with_max_elapsed_time(None)
            .build();
        let schedule = Schedule::from_backoff(&mut exponential);
        let pauses = [0, 1, 2, 3, 4].map(|attempt| schedule.delay(attempt, 9).as_secs());
        assert_eq!(pauses, [1, 3, 9, 20, 20]);

        let constant = Schedule::from_backoff(&mut Constant::new(Duration::from_secs(7)));
        assert_eq!(constant.delay(1_000, 0), Duration::from_secs(7));
        assert_eq!(Schedule::from_backoff(&mut Stop {}), Schedule::Listed(vec![]));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_half_and_full(attempt in 0u32..200, random: u64) {
            let schedule = Schedule::default();
            let pause = schedule.delay(attempt, random);
            let full = Duration::from_secs(2).saturating_mul(1 << attempt.min(30)).min(Duration::from_secs(600));
            prop_assert!(pause >= full / 2 && pause <= full);
        }
    }
}
