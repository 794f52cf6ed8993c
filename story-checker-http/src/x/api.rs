//! The API: where it is, and how it is spoken to.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use story_checker_core::session::SessionKind;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::config::{Checked, XConfig};
use super::limit::told;
use crate::client::{ApiClient, ClientConfig};
use crate::config::InvalidConfig;
use crate::transport::Transport;

pub(super) const SESSION_KIND: SessionKind = SessionKind::from_static("x-api");
pub(super) const SOURCE: &str = "x-api/1";
/// The name of the bearer token in the credentials.
pub(super) const TOKEN: &str = "access_token";
pub(super) const SEARCH: &str = "search";
pub(super) const TIMELINE: &str = "timeline";
pub(super) const USERS: &str = "users";

/// What every check works with.
#[derive(Debug)]
pub(super) struct X {
    pub(super) client: ApiClient,
    pub(super) config: XConfig,
    checked: Checked,
}

impl X {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        config: XConfig,
    ) -> Result<Self, InvalidConfig> {
        let checked = config.check()?;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let client = ClientConfig {
            source: SOURCE,
            jar: None,
            bearer: Some(TOKEN),
            headers,
            user_agent: checked.user_agent.clone(),
            cookie_echo: &[],
            token_echo: &[],
            usage: told,
            max_body: config.max_body,
            timeout: config.request_timeout,
        };
        Ok(Self { client: ApiClient::new(transport, client), config, checked })
    }

    /// Asks for accounts by name: at most [`XConfig::MAX_NAMES`].
    pub(super) fn users_url(&self, names: &[&str]) -> Url {
        let mut url = self.checked.base.route("/2/users/by");
        url.set_query(Some(&format!("usernames={}&user.fields=protected", names.join(","))));
        url
    }

    /// Asks for the posts of the account with this id.
    pub(super) fn timeline_url(&self, id: &str) -> Url {
        let mut url = self.checked.base.route(&format!("/2/users/{id}/tweets"));
        url.set_query(Some(&self.checked.timeline));
        url
    }

    /// Asks for the posts that a query finds.
    pub(super) fn search_url(&self, query: &str) -> Url {
        let mut url = self.checked.base.route("/2/tweets/search/recent");
        url.set_query(Some(&format!("query={}&{}", encoded(query), self.checked.search)));
        url
    }
}

/// Adds a parameter to a URL that has some.
pub(super) fn with(mut url: Url, name: &str, value: &str) -> Url {
    let query = format!("{}&{name}={}", url.query().unwrap_or_default(), encoded(value));
    url.set_query(Some(&query));
    url
}

/// The value of a parameter. A space is `%20`: not everybody reads `+` as one.
fn encoded(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_parameters_are_encoded() {
        assert_eq!(
            encoded("#tee has:media&x=1 +a% é"),
            "%23tee%20has%3Amedia%26x%3D1%20%2Ba%25%20%C3%A9"
        );
        let url = Url::parse("https://api.x.com/2?a=1").unwrap();
        assert_eq!(with(url, "b", "2 3").as_str(), "https://api.x.com/2?a=1&b=2%203");
    }
}
