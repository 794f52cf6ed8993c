//! The settings of the simulated Graph API.

use std::time::Duration;

use super::{ConfigError, Limit};
use crate::time::Timestamp;

/// How long a token lives: 60 days. domain: Graph tokens, Meta docs.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 86_400);

/// The settings of the simulated Instagram Graph API.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GraphSettings {
    /// How many tokens are known (default 0). Token `i` speaks for the numbered account `i`.
    pub tokens: usize,
    /// When the tokens were issued.
    pub issued_at: Timestamp,
    /// How long a token lives (default 60 days).
    pub token_lifetime: Duration,
    /// Requests of all tokens together (default: any number). The platform's own is 200 per user of
    /// the app and hour.
    pub app_limit: Option<Limit>,
    /// Requests about the stories of one account (default: any number).
    pub account_limit: Option<Limit>,
    /// From how much of a limit on the usage headers appear, in percent (default 10).
    pub usage_from: u8,
    /// Stories whose media is withheld for its music, in percent (default 5).
    pub withheld: u8,
    /// Stories that re-share the post of somebody else, in percent (default 0): this API never shows
    /// them.
    pub reshared: u8,
    /// Public accounts that are professional, in percent (default 70): business discovery finds only
    /// these, and those that a token speaks for.
    pub professional: u8,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self {
            tokens: 0,
            issued_at: Timestamp::default(),
            token_lifetime: TOKEN_LIFETIME,
            app_limit: None,
            account_limit: None,
            usage_from: 10,
            withheld: 5,
            reshared: 0,
            professional: 70,
        }
    }
}

impl GraphSettings {
    /// The default settings with this many tokens, issued at this moment.
    pub fn new(tokens: usize, issued_at: Timestamp) -> Self {
        Self { tokens, issued_at, ..Self::default() }
    }

    /// Sets how long a token lives.
    #[must_use]
    pub fn with_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Sets the limit of all tokens together.
    #[must_use]
    pub fn with_app_limit(mut self, limit: Limit) -> Self {
        self.app_limit = Some(limit);
        self
    }

    /// Sets the limit per account.
    #[must_use]
    pub fn with_account_limit(mut self, limit: Limit) -> Self {
        self.account_limit = Some(limit);
        self
    }

    /// Sets from how much of a limit on the usage headers appear, in percent.
    #[must_use]
    pub fn with_usage_from(mut self, percent: u8) -> Self {
        self.usage_from = percent;
        self
    }

    /// Sets how many stories come without media and how many never come, in percent.
    #[must_use]
    pub fn with_hidden(mut self, withheld: u8, reshared: u8) -> Self {
        self.withheld = withheld;
        self.reshared = reshared;
        self
    }

    /// Sets how many public accounts are professional, in percent.
    #[must_use]
    pub fn with_professional(mut self, percent: u8) -> Self {
        self.professional = percent;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let shares = [
            ("usage_from", self.usage_from),
            ("withheld", self.withheld),
            ("reshared", self.reshared),
            ("professional", self.professional),
        ];
        super::check_tokens("Graph", self.tokens)?;
        super::check_shares(&shares)
    }
}
