//! What the caller may know and switch of the official APIs: tokens, and the truth behind them.

use crate::accounts::Truth;
use crate::graph::GraphToken;
use crate::platform::Platform;
use crate::time::Timestamp;
use crate::x::{XAccountScript, XTruth};

impl Platform {
    /// How many tokens of the Graph API there are.
    pub fn graph_tokens(&self) -> usize {
        self.graph().tokens()
    }

    /// A token of the Graph API, if there is such a token: the latest one where it was renewed.
    /// Token `i` speaks for the numbered account `i`, which exists whatever its kind is.
    pub fn graph_token(&self, index: usize) -> Option<GraphToken> {
        self.graph().token(index)
    }

    /// Refuses a token of the Graph API with a [catalogue row](crate::rows) (`G190-459`), or accepts
    /// it again (`None`): for good, or from a moment on; then what was to come before that moment
    /// still comes. Says whether there are such a token and such a row.
    pub fn set_graph_token(
        &self,
        index: usize,
        row: Option<&str>,
        from: Option<Timestamp>,
    ) -> bool {
        self.graph().set_token(index, row, from)
    }

    /// The row that a token of the Graph API is refused with at a moment. That it has expired is no
    /// refusal.
    pub fn graph_token_row(&self, index: usize, at: Timestamp) -> Option<&'static str> {
        self.graph().token_row(index, at)
    }

    /// What the Graph API shows of the account behind a token: `Active` or `NoStory`, without the
    /// stories that it never shows.
    pub fn graph_truth(&self, index: usize, at: Timestamp) -> Option<Truth> {
        self.graph().truth(self.accounts(), index, at)
    }

    /// Whether business discovery finds an account: it exists and is professional.
    pub fn graph_discovers(&self, name: &str, at: Timestamp) -> bool {
        let account = self.accounts().by_name(name.as_bytes(), at);
        account.is_some_and(|account| self.graph().is_professional(&account))
    }

    /// How many bearer tokens of the X API there are.
    pub fn x_tokens(&self) -> usize {
        self.x().tokens()
    }

    /// A bearer token of the X API, if there is such a token.
    pub fn x_token(&self, index: usize) -> Option<String> {
        self.x().token(index)
    }

    /// Refuses a token of the X API with a [catalogue row](crate::rows) (`X402`), or accepts it again
    /// (`None`): for good, or from a moment on; then what was to come before that moment still
    /// comes. Says whether there are such a token and such a row.
    pub fn set_x_token(&self, index: usize, row: Option<&str>, from: Option<Timestamp>) -> bool {
        self.x().set_token(index, row, from)
    }

    /// The row that a token of the X API is refused with at a moment.
    pub fn x_token_row(&self, index: usize, at: Timestamp) -> Option<&'static str> {
        self.x().token_row(index, at)
    }

    /// Makes the ids of names known to the timelines of X before anybody looked the names up, and
    /// returns them; `None` for a name that is not valid.
    pub fn x_register<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Option<u64>> {
        names.into_iter().map(|name| self.x().register(name)).collect()
    }

    /// Overrides what an account on X is and posts. Says whether the name is valid.
    pub fn set_x_account(&self, name: &str, script: XAccountScript) -> bool {
        self.x().script(name, Some(script))
    }

    /// Gives an overridden account on X back to the seed. Says whether the name is valid.
    pub fn reset_x_account(&self, name: &str) -> bool {
        self.x().script(name, None)
    }

    /// What is true about an account on X: its posts with media from `since` to `at`, without
    /// replies and retweets. It leaves no trace, and a name that is not valid is not found.
    pub fn x_truth(&self, name: &str, since: Timestamp, at: Timestamp) -> XTruth {
        self.x().truth(name, since, at)
    }

    /// What the search of X can show of a query (`#tea has:media -is:retweet`): the posts with media
    /// from `since` to `at`, but none that is older than 7 days or younger than 30 seconds. `None`
    /// for what is no query.
    pub fn x_search_truth(&self, query: &str, since: Timestamp, at: Timestamp) -> Option<XTruth> {
        self.x().search_truth(query, since, at)
    }
}
