//! How long ended jobs are kept.

use std::time::Duration;

/// How long ended jobs are kept, by number and by age. Whatever is reached first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// At most so many jobs that ended well. Default 10,000.
    pub done: usize,
    /// At most so many dead and cancelled jobs. Default 100,000.
    pub dead: usize,
    /// Jobs that ended well: at most so long. Default 24 h.
    pub done_for: Duration,
    /// Dead and cancelled jobs: at most so long. Default 30 days.
    pub dead_for: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { done: 10_000, dead: 100_000, done_for: DAY, dead_for: DAY.saturating_mul(30) }
    }
}

impl Retention {
    /// Keeps nothing that has ended: for runs whose results are consumed as they come.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { done: 0, dead: 0, done_for: Duration::ZERO, dead_for: Duration::ZERO }
    }
}
