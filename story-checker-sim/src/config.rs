//! What a platform is made of.

mod graph;
mod x;

use std::num::{NonZeroU32, ParseIntError};
use std::str::FromStr;
use std::time::Duration;

pub use self::graph::GraphSettings;
pub use self::x::{XLimits, XProblemHost, XSettings, XSpelling};

/// The most sessions that one platform knows, and the most tokens of one API.
const MAX_SESSIONS: usize = 1_000_000;

/// The settings of a [`Platform`](crate::Platform).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SimConfig {
    /// Everything that looks random follows from it.
    pub seed: u64,
    /// How many sessions are known, numbered from 0 (default 1).
    pub sessions: usize,
    /// Which accounts there are and how they post.
    pub population: Population,
    /// How long an answer takes (default: no time at all).
    pub latency: Latency,
    /// Requests that one session may send (default: any number).
    pub session_limit: Option<Limit>,
    /// Requests that one address may send: a proxy, or the IP of a direct client (default: any number).
    pub address_limit: Option<Limit>,
    /// Whether a 429 says `Retry-After` (default: no, as the real platform).
    pub retry_after: bool,
    /// The size that an active reel is filled up to, in bytes of the answer for it alone (default 0:
    /// nothing is added).
    pub pad: usize,
    /// Whether a request that came past every proxy is a violation (default: no).
    pub expect_proxy: bool,
    /// How many requests the audit remembers one by one (default 1,000,000).
    pub audit_capacity: usize,
    /// The Instagram Graph API (default: no tokens).
    pub graph: GraphSettings,
    /// The X API (default: no tokens).
    pub x: XSettings,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            sessions: 1,
            population: Population::default(),
            latency: Latency::default(),
            session_limit: None,
            address_limit: None,
            retry_after: false,
            pad: 0,
            expect_proxy: false,
            audit_capacity: 1_000_000,
            graph: GraphSettings::default(),
            x: XSettings::default(),
        }
    }
}

impl SimConfig {
    /// The default settings with a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Sets the number of sessions.
    #[must_use]
    pub fn with_sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions;
        self
    }

    /// Sets the population.
    #[must_use]
    pub fn with_population(mut self, population: Population) -> Self {
        self.population = population;
        self
    }

    /// Sets the latency.
    #[must_use]
    pub fn with_latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the limit per session.
    #[must_use]
    pub fn with_session_limit(mut self, limit: Limit) -> Self {
        self.session_limit = Some(limit);
        self
    }

    /// Sets the limit per address.
    #[must_use]
    pub fn with_address_limit(mut self, limit: Limit) -> Self {
        self.address_limit = Some(limit);
        self
    }

    /// Sets whether a 429 says `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: bool) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Sets the size of an active reel.
    #[must_use]
    pub fn with_pad(mut self, pad: usize) -> Self {
        self.pad = pad;
        self
    }

    /// Sets whether a request past every proxy is a violation.
    #[must_use]
    pub fn with_expect_proxy(mut self, expect_proxy: bool) -> Self {
        self.expect_proxy = expect_proxy;
        self
    }

    /// Sets how many requests the audit remembers.
    #[must_use]
    pub fn with_audit_capacity(mut self, capacity: usize) -> Self {
        self.audit_capacity = capacity;
        self
    }

    /// Sets up the Graph API.
    #[must_use]
    pub fn with_graph(mut self, graph: GraphSettings) -> Self {
        self.graph = graph;
        self
    }

    /// Sets up the X API.
    #[must_use]
    pub fn with_x(mut self, x: XSettings) -> Self {
        self.x = x;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.sessions > MAX_SESSIONS {
            return Err(ConfigError::Sessions { sessions: self.sessions });
        }
        if self.latency.min > self.latency.max {
            return Err(ConfigError::Latency);
        }
        self.graph.check()?;
        self.x.check()?;
        self.population.check()
    }
}

fn check_tokens(api: &'static str, tokens: usize) -> Result<(), ConfigError> {
    if tokens > MAX_SESSIONS {
        return Err(ConfigError::Tokens { api, tokens });
    }
    Ok(())
}

fn check_shares(shares: &[(&'static str, u8)]) -> Result<(), ConfigError> {
    match shares.iter().find(|(_, percent)| *percent > 100) {
        Some(&(what, percent)) => Err(ConfigError::Share { what, percent }),
        None => Ok(()),
    }
}

/// Which accounts there are, in percent of all names, and how they post.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Population {
    /// Accounts that everybody may look at (default 85).
    pub public: u8,
    /// Private accounts that no session follows (default 6).
    pub private: u8,
    /// Private accounts that every session follows (default 4).
    pub private_followed: u8,
    /// Names that nobody has (default 5).
    pub not_found: u8,
    /// Accounts that ever post, in percent of those that exist (default 70).
    pub posting: u8,
    /// How often an account that posts does so: bursts of 1 to 4 stories per day (default 0.5).
    pub bursts_per_day: f64,
    /// How long a story lives, in whole seconds (default 24 hours).
    pub story_lifetime: Duration,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            public: 85,
            private: 6,
            private_followed: 4,
            not_found: 5,
            posting: 70,
            bursts_per_day: 0.5,
            story_lifetime: Duration::from_secs(86_400),
        }
    }
}

impl Population {
    /// The kinds in percent: private, private but followed, not found; the rest is public.
    #[must_use]
    pub fn with_mix(mut self, private: u8, private_followed: u8, not_found: u8) -> Self {
        self.public = 100u8
            .saturating_sub(private)
            .saturating_sub(private_followed)
            .saturating_sub(not_found);
        self.private = private;
        self.private_followed = private_followed;
        self.not_found = not_found;
        self
    }

    /// Sets how many accounts post (percent) and how often (bursts per day).
    #[must_use]
    pub fn with_posting(mut self, percent: u8, bursts_per_day: f64) -> Self {
        self.posting = percent;
        self.bursts_per_day = bursts_per_day;
        self
    }

    /// Sets how long a story lives.
    #[must_use]
    pub fn with_story_lifetime(mut self, lifetime: Duration) -> Self {
        self.story_lifetime = lifetime;
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        let sum: u32 = [self.public, self.private, self.private_followed, self.not_found]
            .into_iter()
            .map(u32::from)
            .sum();
        if sum != 100 {
            return Err(ConfigError::Mix { sum });
        }
        if self.posting > 100 {
            return Err(ConfigError::Posting { percent: self.posting });
        }
        if !(0.0..=48.0).contains(&self.bursts_per_day) {
            return Err(ConfigError::BurstsPerDay { bursts: self.bursts_per_day });
        }
        let lifetime = self.story_lifetime;
        if lifetime.subsec_nanos() != 0 || !(1..=7 * 86_400).contains(&lifetime.as_secs()) {
            return Err(ConfigError::StoryLifetime { lifetime });
        }
        Ok(())
    }
}

/// Settings that no platform can be made of.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The kinds of accounts are not everybody.
    #[error("the kinds of accounts add up to {sum} percent, not 100")]
    Mix {
        /// What they add up to.
        sum: u32,
    },
    /// More than all accounts post.
    #[error("{percent} percent of the accounts post: the most is 100")]
    Posting {
        /// How many should have posted.
        percent: u8,
    },
    /// The posting rate is out of range.
    #[error("{bursts} bursts per day: it must be 0 to 48")]
    BurstsPerDay {
        /// The rate asked for.
        bursts: f64,
    },
    /// The lifetime is out of range.
    #[error("stories live {lifetime:?}: it must be whole seconds, 1 second to 7 days")]
    StoryLifetime {
        /// The lifetime asked for.
        lifetime: Duration,
    },
    /// The shortest latency is longer than the longest.
    #[error("the shortest latency is longer than the longest")]
    Latency,
    /// More tokens than an API numbers.
    #[error("{tokens} tokens of the {api} API: the most is 1000000")]
    Tokens {
        /// Which API.
        api: &'static str,
        /// How many were asked for.
        tokens: usize,
    },
    /// A share is more than everything.
    #[error("{what} is {percent} percent: the most is 100")]
    Share {
        /// Which share.
        what: &'static str,
        /// How much it should be.
        percent: u8,
    },
    /// The kinds of accounts on X are more than everybody.
    #[error("the kinds of accounts on X add up to {sum} percent: the most is 100")]
    XMix {
        /// What they add up to.
        sum: u32,
    },
    /// The posting rate on X is out of range.
    #[error("{posts} posts per day: it must be 0 to 48")]
    PostsPerDay {
        /// The rate asked for.
        posts: f64,
    },
    /// More sessions than the platform numbers.
    #[error("{sessions} sessions: the most is 1000000")]
    Sessions {
        /// How many were asked for.
        sessions: usize,
    },
}

/// How long answers take, spread evenly by hash. Written `50` or `20..80`, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Latency {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// Always the same.
    pub const fn fixed(latency: Duration) -> Self {
        Self { min: latency, max: latency }
    }

    /// Anything from `min` to `max`.
    pub const fn between(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }
}

impl FromStr for Latency {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let latency = Self::between(
            Duration::from_millis(number("the latency", min)?),
            Duration::from_millis(number("the latency", max)?),
        );
        if latency.min > latency.max {
            return Err(ParseError::Order);
        }
        Ok(latency)
    }
}

/// At most so many requests in any window of that length. Written `200/3600`, the window in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// How many requests.
    pub requests: NonZeroU32,
    /// How long the window is.
    pub window: Duration,
}

impl Limit {
    /// At most `requests` in any `window`.
    pub const fn new(requests: NonZeroU32, window: Duration) -> Self {
        Self { requests, window }
    }
}

impl FromStr for Limit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (requests, window) = text.split_once('/').ok_or(ParseError::LimitShape)?;
        let requests = number("the number of requests", requests)?;
        let requests = u32::try_from(requests).ok().and_then(NonZeroU32::new);
        let window = number("the window", window)?;
        match requests {
            Some(requests) if window > 0 => Ok(Self::new(requests, Duration::from_secs(window))),
            _ => Err(ParseError::LimitRange),
        }
    }
}

/// Text that is not a [`Latency`], a [`Limit`] or an [`XSpelling`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A part is not a number.
    #[error("{what} is not a whole number: {text:?}")]
    Number {
        /// Which part.
        what: &'static str,
        /// What it says.
        text: String,
        /// Why it is none.
        source: ParseIntError,
    },
    /// A range that runs backwards.
    #[error("the shortest latency is longer than the longest")]
    Order,
    /// A limit without its window.
    #[error("a limit is written REQUESTS/SECONDS, for example 200/3600")]
    LimitShape,
    /// A limit that allows nothing or has no length.
    #[error("a limit allows 1 to 4294967295 requests in at least one second")]
    LimitRange,
    /// A spelling that is none.
    #[error("a spelling is tweet, post or either")]
    Spelling,
}

fn number(what: &'static str, text: &str) -> Result<u64, ParseError> {
    text.trim().parse().map_err(|source| ParseError::Number { what, text: text.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_values_or_say_why_not() {
        assert_eq!("50".parse(), Ok(Latency::fixed(Duration::from_millis(50))));
        let range = Latency::between(Duration::from_millis(20), Duration::from_millis(80));
        assert_eq!("20..80".parse(), Ok(range));
        assert_eq!("80..20".parse::<Latency>(), Err(ParseError::Order));
        assert!(matches!("fast".parse::<Latency>(), Err(ParseError::Number { .. })));
        let limit = Limit::new(NonZeroU32::new(200).unwrap(), Duration::from_secs(3600));
        assert_eq!("200/3600".parse(), Ok(limit));
        assert_eq!("200".parse::<Limit>(), Err(ParseError::LimitShape));
        assert_eq!("0/10".parse::<Limit>(), Err(ParseError::LimitRange));
        assert_eq!("5000000000/10".parse::<Limit>(), Err(ParseError::LimitRange));
        assert_eq!("5/0".parse::<Limit>(), Err(ParseError::LimitRange));
        assert_eq!("post".parse(), Ok(XSpelling::Post));
        assert_eq!("toot".parse::<XSpelling>(), Err(ParseError::Spelling));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let check = |population| SimConfig::new(1).with_population(population).check();
        assert_eq!(check(Population::default()), Ok(()));
        assert_eq!(check(Population::default().with_mix(10, 20, 30)), Ok(()));
        let sum = ConfigError::Mix { sum: 150 };
        assert_eq!(check(Population::default().with_mix(100, 50, 0)), Err(sum));
        let negative = Population::default().with_posting(50, -1.0);
        assert!(matches!(check(negative), Err(ConfigError::BurstsPerDay { .. })));
        let nan = Population::default().with_posting(50, f64::NAN);
        assert!(matches!(check(nan), Err(ConfigError::BurstsPerDay { .. })));
        let short = Population::default().with_story_lifetime(Duration::from_millis(1500));
        assert!(matches!(check(short), Err(ConfigError::StoryLifetime { .. })));
        let sessions = SimConfig::new(1).with_sessions(MAX_SESSIONS + 1).check();
        assert!(matches!(sessions, Err(ConfigError::Sessions { .. })));
        let latency = Latency::between(Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(SimConfig::new(1).with_latency(latency).check(), Err(ConfigError::Latency));
    }
}
