//! How large a run is, and what its platform allows.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::ValueEnum;
use story_checker_core::gate::{InvalidQuota, Limits, Quota};
use story_checker_sim::Limit;

/// Every target is checked once in this time.
pub(crate) const PERIOD: Duration = Duration::from_secs(1_800);
/// How many of them: 24 hours.
pub(crate) const PERIODS: usize = 48;

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// 200 accounts, 6 sessions, 20 proxies.
    Small,
    /// 5,000 accounts, 100 sessions, 500 proxies.
    Large,
}

impl Case {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    pub(crate) const fn accounts(self) -> u32 {
        match self {
            Self::Small => 200,
            Self::Large => 5_000,
        }
    }

    pub(crate) const fn sessions(self) -> usize {
        match self {
            Self::Small => 6,
            Self::Large => 100,
        }
    }

    pub(crate) const fn proxies(self) -> usize {
        match self {
            Self::Small => 20,
            Self::Large => 500,
        }
    }

    /// What the platform allows at the beginning.
    pub(crate) const fn allowed(self) -> Allowed {
        let app = match self {
            Self::Small => 400,
            Self::Large => 6_000,
        };
        Allowed {
            session: Allowance::new(75, 660, 15),
            proxy: Allowance::new(120, 660, 20),
            app: Allowance::new(app, 600, app / 10),
        }
    }
}

/// So many requests in every window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) requests: u32,
    pub(crate) window: Duration,
    /// So many at once: what the client makes of it.
    burst: u32,
}

impl Allowance {
    const fn new(requests: u32, secs: u64, burst: u32) -> Self {
        Self { requests, window: Duration::from_secs(secs), burst }
    }

    pub(crate) fn quota(self) -> Result<Quota, InvalidQuota> {
        Quota::with_burst(self.requests, self.window, self.burst)
    }

    /// The same in the words of the platform.
    pub(crate) fn limit(self) -> Limit {
        let requests = NonZeroU32::new(self.requests).unwrap_or(NonZeroU32::MIN);
        Limit::new(requests, self.window)
    }
}

/// What the platform allows, or the operator believes that it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// One session.
    pub(crate) session: Allowance,
    /// One proxy.
    pub(crate) proxy: Allowance,
    /// All requests together.
    pub(crate) app: Allowance,
}

impl Allowed {
    /// The same with another limit for sessions.
    pub(crate) const fn with_session(mut self, requests: u32) -> Self {
        self.session.requests = requests;
        self
    }

    /// The same as settings of an engine.
    pub(crate) fn limits(self) -> Result<Limits, InvalidQuota> {
        let mut limits = Limits::default();
        limits.session = Some(self.session.quota()?.into());
        limits.proxy = Some(self.proxy.quota()?.into());
        limits.app = Some(self.app.quota()?.into());
        Ok(limits)
    }
}
