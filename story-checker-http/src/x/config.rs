use std::num::NonZeroUsize;
use std::time::Duration;

use http::HeaderValue;

use crate::config::{BaseUrl, Fields, InvalidConfig, USER_AGENT};

/// Since when posts count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Since {
    /// Posts younger than this by the server's time: the same question whenever it is asked.
    Window(Duration),
    /// Posts that are new since the check before the last one. What the last check saw is asked for
    /// once more, because its report may have been lost: by a shutdown or a lease that ran out.
    ///
    /// So a post is in the reports of at least two checks that began 10 minutes apart, and of all
    /// between them: sooner than that the place to ask from does not move. Readers that want each post
    /// once know it by its item's id. A post is lost only if all these reports are; if it is among
    /// more posts than `max_pages` holds, which a fact of the report or the fault tells; or if the
    /// cache forgets the target, as it does when no check has an answer for 30 days.
    LastSeen {
        /// The window of the first checks, until a post was seen; and of every check after the
        /// cache has forgotten.
        first: Duration,
    },
}

/// Which names the API is asked with. Both are read in answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spelling {
    /// `post.fields`, as in the newest description of the API.
    Post,
    /// `tweet.fields`, as in its documentation.
    #[default]
    Tweet,
}

/// How an [`XChecker`](super::XChecker) asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct XConfig {
    /// Whether accounts that call themselves protected are asked for their posts: for tokens of
    /// users who may follow them. Without, such an account is private at once. No.
    pub ask_protected: bool,
    /// Where the API is.
    pub base_url: String,
    /// Whether an account's replies count. No.
    pub include_replies: bool,
    /// Whether what an account passes on counts. No.
    pub include_retweets: bool,
    /// The most targets per check. Each is at least one request of its own, so a small number keeps
    /// checks short; the names of all of them are looked up in one. 10.
    pub max_batch: NonZeroUsize,
    /// The longest answer in bytes, decoded. 8 MiB.
    pub max_body: usize,
    /// The most pages of 100 posts per target. 5.
    pub max_pages: NonZeroUsize,
    /// How long one request may take, from sending to the last byte. 15 s.
    pub request_timeout: Duration,
    /// Since when posts count. A window of 24 h.
    pub since: Since,
    /// Which names the API is asked with.
    pub spelling: Spelling,
    /// The user agent for sessions that bring none.
    pub user_agent: String,
    /// For how long an account's id, and whether it is protected, is believed. 6 h.
    pub user_ttl: Duration,
}

impl XConfig {
    /// The most names that one request may ask for.
    pub const MAX_NAMES: usize = 100;
}

impl Default for XConfig {
    fn default() -> Self {
        Self {
            ask_protected: false,
            base_url: "https://api.x.com".to_owned(),
            include_replies: false,
            include_retweets: false,
            max_batch: NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN),
            max_body: 8 << 20,
            max_pages: NonZeroUsize::new(5).unwrap_or(NonZeroUsize::MIN),
            request_timeout: Duration::from_secs(15),
            since: Since::Window(Duration::from_secs(24 * 3_600)),
            spelling: Spelling::Tweet,
            user_agent: USER_AGENT.to_owned(),
            user_ttl: Duration::from_secs(6 * 3_600),
        }
    }
}

/// A configuration that was checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) base: BaseUrl,
    /// What every request for an account's posts has in its query.
    pub(super) timeline: String,
    /// What every search has in its query.
    pub(super) search: String,
    pub(super) user_agent: HeaderValue,
}

impl XConfig {
    pub(super) fn check(&self) -> Result<Checked, InvalidConfig> {
        let fields = Fields("x-api");
        let base = fields.base_url(&self.base_url)?;
        let batch = self.max_batch.get() <= Self::MAX_NAMES;
        fields.require(batch, "max_batch", "must be 1 to 100")?;
        fields.require(!self.request_timeout.is_zero(), "request_timeout", "must not be 0")?;
        let (Since::Window(window) | Since::LastSeen { first: window }) = self.since;
        fields.require(!window.is_zero(), "since", "must be longer than 0")?;
        let spelling = match self.spelling {
            Spelling::Post => "post.fields",
            Spelling::Tweet => "tweet.fields",
        };
        let common = format!(
            "max_results=100&expansions=attachments.media_keys\
             &{spelling}=created_at,author_id,attachments\
             &media.fields=media_key,type,url,preview_image_url,variants,width,height,duration_ms"
        );
        let exclude = match (self.include_replies, self.include_retweets) {
            (false, false) => "&exclude=replies,retweets",
            (false, true) => "&exclude=replies",
            (true, false) => "&exclude=retweets",
            (true, true) => "",
        };
        Ok(Checked {
            base,
            timeline: format!("{common}{exclude}"),
            search: format!("{common}&sort_order=recency"),
            user_agent: fields.header("user_agent", &self.user_agent)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut XConfig)) -> Result<Checked, InvalidConfig> {
        let mut config = XConfig::default();
        change(&mut config);
        config.check()
    }

    #[test]
    fn settings_change_what_is_asked() {
        let plain = with(|_| {}).unwrap();
        assert!(plain.timeline.ends_with("&exclude=replies,retweets"));
        assert!(plain.timeline.contains("&tweet.fields=created_at,"));
        assert!(!plain.search.contains("exclude") && plain.search.contains("sort_order=recency"));
        assert!(with(|c| c.spelling = Spelling::Post).unwrap().search.contains("&post.fields="));
        let only = |replies, retweets| {
            let checked = with(|config| {
                config.include_replies = replies;
                config.include_retweets = retweets;
            });
            checked.unwrap().timeline
        };
        assert!(only(true, false).ends_with("&exclude=retweets"));
        assert!(only(false, true).ends_with("&exclude=replies"));
        assert!(!only(true, true).contains("exclude"));
    }

    #[test]
    fn mistakes_name_the_field() {
        let first = Since::LastSeen { first: Duration::ZERO };
        for (field, checked) in [
            ("base_url", with(|config| config.base_url = "api.x.com".into())),
            ("max_batch", with(|config| config.max_batch = NonZeroUsize::new(101).unwrap())),
            ("request_timeout", with(|config| config.request_timeout = Duration::ZERO)),
            ("since", with(|config| config.since = Since::Window(Duration::ZERO))),
            ("since", with(|config| config.since = first)),
            ("user_agent", with(|config| config.user_agent = "a\0b".into())),
        ] {
            assert!(checked.unwrap_err().to_string().contains(field));
        }
    }
}
