use std::time::Duration;

use thiserror::Error;

/// When a breaker opens, for how long, and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// It opens after so many failures in a row. Default 5.
    pub in_a_row: u8,
    /// It opens when surely more than this share of the requests of the last minute have failed:
    /// the lower end of their 95 % interval (Wilson's) is above it, which a few requests can hardly
    /// reach. Default 0.5.
    pub share: f64,
    /// The share counts from so many requests on. Default 8.
    pub least: u32,
    /// How long it stays open the first time; each further time twice as long. Default 10 s.
    pub open: Duration,
    /// How long it stays open at most, give or take a tenth. Default 5 min.
    pub longest: Duration,
    /// One doubling is forgotten for each time so long that it stays closed. Default 10 min.
    pub quiet: Duration,
    /// Once the open time is over, it lets so many requests through at the same time. Default 1.
    pub probes: u8,
    /// It closes after so many of them have succeeded. Default 2.
    pub successes: u8,
    /// How long one request may take. One that nothing is heard of for twice as long does not keep
    /// others from probing. Default 60 s.
    pub attempt: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            in_a_row: 5,
            share: 0.5,
            least: 8,
            open: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            quiet: Duration::from_secs(600),
            probes: 1,
            successes: 2,
            attempt: Duration::from_secs(60),
        }
    }
}

/// A policy that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the breaker's `{field}` is no good: {rule}")]
pub struct InvalidBreakerPolicy {
    field: &'static str,
    rule: &'static str,
}

impl BreakerPolicy {
    /// Checks that it can be kept.
    ///
    /// # Errors
    /// [`InvalidBreakerPolicy`] that names the field and its rule.
    pub fn validate(&self) -> Result<(), InvalidBreakerPolicy> {
        const MINUTE: Duration = Duration::from_secs(60);
        const YEAR: Duration = Duration::from_secs(366 * 86_400);
        let rules = [
            (self.in_a_row > 0, "in_a_row", "it must be at least 1"),
            ((0.0..1.0).contains(&self.share), "share", "it must be from 0 to below 1"),
            ((1..=1_000).contains(&self.least), "least", "it must be 1 to 1000"),
            (!self.open.is_zero(), "open", "it must be more than 0"),
            (self.open <= self.longest, "longest", "it must not be shorter than `open`"),
            (self.longest <= YEAR, "longest", "it must be at most a year"),
            (self.quiet >= MINUTE, "quiet", "it must be at least a minute"),
            (self.quiet <= YEAR, "quiet", "it must be at most a year"),
            (self.probes > 0, "probes", "it must be at least 1"),
            (self.successes > 0, "successes", "it must be at least 1"),
            (!self.attempt.is_zero(), "attempt", "it must be more than 0"),
            (self.attempt <= YEAR, "attempt", "it must be at most a year"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, field, rule)) => Err(InvalidBreakerPolicy { field, rule }),
        }
    }
}

/// The policies of an engine.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breakers {
    /// Of each endpoint. Default: as [`BreakerPolicy::default`].
    pub endpoint: BreakerPolicy,
    /// Of each proxy. By default it rests for a minute the first time, for an hour at most.
    pub proxy: BreakerPolicy,
}

impl Default for Breakers {
    fn default() -> Self {
        let proxy = BreakerPolicy {
            open: Duration::from_secs(60),
            longest: Duration::from_secs(3_600),
            ..BreakerPolicy::default()
        };
        Self { endpoint: BreakerPolicy::default(), proxy }
    }
}

impl Breakers {
    /// Checks that all of them can be kept.
    ///
    /// # Errors
    /// As [`BreakerPolicy::validate`].
    pub fn validate(&self) -> Result<(), InvalidBreakerPolicy> {
        self.endpoint.validate()?;
        self.proxy.validate()
    }
}
