//! The settings of the simulated X API.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::{ConfigError, Limit, ParseError};

/// What the limits of X count in.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// The settings of the simulated X API v2.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct XSettings {
    /// How many bearer tokens are known (default 0).
    pub tokens: usize,
    /// Names that nobody has, in percent (default 5).
    pub not_found: u8,
    /// Accounts that were suspended, in percent of all names (default 3).
    pub suspended: u8,
    /// Accounts whose posts only their followers see, in percent of all names (default 6).
    pub protected: u8,
    /// Accounts that ever post, in percent of those that exist (default 70).
    pub posting: u8,
    /// How often an account that posts does so per day, at most 48 (default 1).
    pub posts_per_day: f64,
    /// Posts with media, in percent (default 50).
    pub media: u8,
    /// How many numbered accounts the search looks at, beside those that a query names and those
    /// that are scripted (default 200).
    pub searchable: u32,
    /// What one token may ask per endpoint (default: as published for an app).
    pub limits: XLimits,
    /// How many posts all tokens together may read (default: any number).
    pub usage_cap: Option<u64>,
    /// How fields with `tweet` or `post` in their name are spelled (default: either).
    pub spelling: XSpelling,
    /// Which host the types of problems name (default: either).
    pub problem_host: XProblemHost,
    /// Media that an answer names but does not include, in percent (default 2).
    pub partial: u8,
}

impl Default for XSettings {
    fn default() -> Self {
        Self {
            tokens: 0,
            not_found: 5,
            suspended: 3,
            protected: 6,
            posting: 70,
            posts_per_day: 1.0,
            media: 50,
            searchable: 200,
            limits: XLimits::default(),
            usage_cap: None,
            spelling: XSpelling::default(),
            problem_host: XProblemHost::default(),
            partial: 2,
        }
    }
}

impl XSettings {
    /// The default settings with this many tokens.
    pub fn new(tokens: usize) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// The kinds of accounts in percent: protected, suspended, not found; the rest is public.
    #[must_use]
    pub fn with_mix(mut self, protected: u8, suspended: u8, not_found: u8) -> Self {
        self.protected = protected;
        self.suspended = suspended;
        self.not_found = not_found;
        self
    }

    /// Sets how many accounts post (percent), how often (per day) and with media (percent).
    #[must_use]
    pub fn with_posting(mut self, percent: u8, posts_per_day: f64, media: u8) -> Self {
        self.posting = percent;
        self.posts_per_day = posts_per_day;
        self.media = media;
        self
    }

    /// Sets how many numbered accounts the search looks at.
    #[must_use]
    pub fn with_searchable(mut self, accounts: u32) -> Self {
        self.searchable = accounts;
        self
    }

    /// Sets what one token may ask per endpoint.
    #[must_use]
    pub fn with_limits(mut self, limits: XLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many posts all tokens together may read.
    #[must_use]
    pub fn with_usage_cap(mut self, posts: u64) -> Self {
        self.usage_cap = Some(posts);
        self
    }

    /// Sets how fields are spelled and which host problems name.
    #[must_use]
    pub fn with_dialect(mut self, spelling: XSpelling, problem_host: XProblemHost) -> Self {
        self.spelling = spelling;
        self.problem_host = problem_host;
        self
    }

    /// Sets how much media an answer names but does not include, in percent.
    #[must_use]
    pub fn with_partial(mut self, percent: u8) -> Self {
        self.partial = percent;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        super::check_tokens("X", self.tokens)?;
        let sum = [self.protected, self.suspended, self.not_found].into_iter().map(u32::from).sum();
        if sum > 100 {
            return Err(ConfigError::XMix { sum });
        }
        if !(0.0..=48.0).contains(&self.posts_per_day) {
            return Err(ConfigError::PostsPerDay { posts: self.posts_per_day });
        }
        let shares = [("posting", self.posting), ("media", self.media), ("partial", self.partial)];
        super::check_shares(&shares)
    }
}

/// What one token may ask per endpoint, in windows that begin with the first request.
/// domain: X limits per app and 15 minutes, X docs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct XLimits {
    /// `/2/users/by/username/NAME` (default 300 in 15 minutes).
    pub user_by_name: Limit,
    /// `/2/users/by` (default 300 in 15 minutes).
    pub users_by: Limit,
    /// `/2/users/ID/tweets` (default 10,000 in 15 minutes).
    pub timeline: Limit,
    /// `/2/tweets/search/recent` (default 450 in 15 minutes).
    pub search: Limit,
}

impl Default for XLimits {
    fn default() -> Self {
        let limit = |requests| {
            Limit::new(NonZeroU32::new(requests).expect("the numbers below are not 0"), WINDOW)
        };
        Self {
            user_by_name: limit(300),
            users_by: limit(300),
            timeline: limit(10_000),
            search: limit(450),
        }
    }
}

impl XLimits {
    /// The same limit for every endpoint.
    pub const fn all(limit: Limit) -> Self {
        Self { user_by_name: limit, users_by: limit, timeline: limit, search: limit }
    }
}

/// How fields with `tweet` or `post` in their name are spelled: the API is moving from one to the
/// other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum XSpelling {
    /// `edit_history_tweet_ids`, `referenced_tweets`.
    Tweet,
    /// `edit_history_post_ids`, `referenced_posts`.
    Post,
    /// Now this, now that.
    #[default]
    Either,
}

impl FromStr for XSpelling {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "tweet" => Ok(Self::Tweet),
            "post" => Ok(Self::Post),
            "either" => Ok(Self::Either),
            _ => Err(ParseError::Spelling),
        }
    }
}

/// Which host the types of problems name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum XProblemHost {
    /// `https://api.x.com/2/problems/…`.
    X,
    /// `https://api.twitter.com/2/problems/…`.
    Twitter,
    /// Now this, now that.
    #[default]
    Either,
}
