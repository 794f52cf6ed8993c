use std::num::NonZeroUsize;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use crate::config::{BaseUrl, Fields, InvalidConfig, USER_AGENT};

/// How a [`WebChecker`](super::WebChecker) asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebConfig {
    /// The public id of the web application, sent as `X-IG-App-ID`.
    pub app_id: String,
    /// Where the API is. A host outside [`WebConfig::cookie_domain`] is taken for a stand-in, and
    /// gets the cookies of `www` in that domain.
    pub base_url: String,
    /// Whether an account that is not found by its name is looked for in a second way, by search,
    /// before "not found" is said: one more request for each. Yes. A name whose id is remembered is
    /// asked for by that in any case.
    pub confirm_not_found: bool,
    /// The domain whose cookies belong to the session.
    pub cookie_domain: String,
    /// For how long the id of a name is remembered after its profile is not believed any more: by
    /// that an account is asked for whose name is not found. 30 days.
    pub id_ttl: Duration,
    /// The most targets per check, up to the 50 that one request may ask for. 50.
    pub max_batch: NonZeroUsize,
    /// The longest answer in bytes, decoded. 8 MiB.
    pub max_body: usize,
    /// For how long a name that was not found need not be looked up again by the same session, while
    /// the proof for it is still missing. 15 min. A report never rests on that alone.
    pub missing_ttl: Duration,
    /// For how long a profile (id, privacy) is believed. 6 h.
    pub profile_ttl: Duration,
    /// How long one request may take, from sending to the last byte. 15 s.
    pub request_timeout: Duration,
    /// The user agent for sessions that bring none.
    pub user_agent: String,
}

impl WebConfig {
    /// The most ids that one request may ask for.
    pub const MAX_REELS: usize = 50;
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            app_id: "936619743392459".to_owned(),
            base_url: "https://www.instagram.com".to_owned(),
            confirm_not_found: true,
            cookie_domain: "instagram.com".to_owned(),
            id_ttl: Duration::from_secs(30 * 24 * 3_600),
            max_batch: NonZeroUsize::new(Self::MAX_REELS).unwrap_or(NonZeroUsize::MIN),
            max_body: 8 << 20,
            missing_ttl: Duration::from_secs(15 * 60),
            profile_ttl: Duration::from_secs(6 * 3_600),
            request_timeout: Duration::from_secs(15),
            user_agent: USER_AGENT.to_owned(),
        }
    }
}

/// A configuration that was checked.
#[derive(Debug)]
pub(super) struct Checked {
    base: BaseUrl,
    pub(super) profile: Url,
    pub(super) reels: Url,
    pub(super) search: Url,
    pub(super) viewer: Url,
    pub(super) app_id: HeaderValue,
    pub(super) user_agent: HeaderValue,
}

impl WebConfig {
    pub(super) fn check(&self) -> Result<Checked, InvalidConfig> {
        let fields = Fields("instagram-web");
        let base = fields.base_url(&self.base_url)?;
        fields.require(self.max_batch.get() <= Self::MAX_REELS, "max_batch", "must be 1 to 50")?;
        let domain = !self.cookie_domain.is_empty() && !self.cookie_domain.starts_with('.');
        fields.require(domain, "cookie_domain", "must be a domain such as instagram.com")?;
        fields.require(!self.request_timeout.is_zero(), "request_timeout", "must not be 0")?;
        let mut viewer = base.route("/graphql/query/");
        viewer.set_query(Some("query_hash=d6f4427fbe92d846298cf93df0b937d3&variables=%7B%7D"));
        Ok(Checked {
            profile: base.route("/api/v1/users/web_profile_info/"),
            reels: base.route("/api/v1/feed/reels_media/"),
            search: base.route("/web/search/topsearch/"),
            base,
            viewer,
            app_id: fields.header("app_id", &self.app_id)?,
            user_agent: fields.header("user_agent", &self.user_agent)?,
        })
    }
}

impl Checked {
    /// Where an account is asked for by its id.
    pub(super) fn info(&self, id: &str) -> Url {
        self.base.route(&format!("/api/v1/users/{id}/info/"))
    }

    /// Where the stories of one account are.
    pub(super) fn story(&self, id: &str) -> Url {
        self.base.route(&format!("/api/v1/feed/user/{id}/story/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut WebConfig)) -> Result<Checked, InvalidConfig> {
        let mut config = WebConfig::default();
        change(&mut config);
        config.check()
    }

    #[test]
    fn the_base_url_may_have_a_path() {
        let checked = with(|config| config.base_url = "http://127.0.0.1:8080/ig/".into()).unwrap();
        assert_eq!(
            checked.profile.as_str(),
            "http://127.0.0.1:8080/ig/api/v1/users/web_profile_info/"
        );
        assert!(checked.viewer.as_str().ends_with(
            "/ig/graphql/query/?query_hash=d6f4427fbe92d846298cf93df0b937d3&variables=%7B%7D"
        ));
    }

    #[test]
    fn mistakes_name_the_field() {
        for (field, checked) in [
            ("base_url", with(|config| config.base_url = "ftp://x".into())),
            ("base_url", with(|config| config.base_url = "nonsense".into())),
            ("base_url", with(|config| config.base_url = "http://u:p@x/".into())),
            ("base_url", with(|config| config.base_url = "http://x/?a".into())),
            ("max_batch", with(|config| config.max_batch = NonZeroUsize::new(51).unwrap())),
            ("cookie_domain", with(|config| config.cookie_domain.clear())),
            ("request_timeout", with(|config| config.request_timeout = Duration::ZERO)),
            ("app_id", with(|config| config.app_id = "a\nb".into())),
            ("user_agent", with(|config| config.user_agent = "a\0b".into())),
        ] {
            assert!(checked.unwrap_err().to_string().contains(field));
        }
    }
}
