//! The web API: where it is, and how it is spoken to.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use story_checker_core::session::SessionKind;

use super::config::{Checked, WebConfig};
use super::strikes::Strikes;
use crate::client::{ApiClient, ClientConfig, Jar, TokenEcho, of_draft};
use crate::config::InvalidConfig;
use crate::transport::Transport;

pub(super) const SESSION_KIND: SessionKind = SessionKind::from_static("instagram-web");
pub(super) const SOURCE: &str = "instagram-web/2";
/// The cookie that makes a session.
pub(super) const LOGIN: &str = "sessionid";
pub(super) const INFO: &str = "info";
pub(super) const PROFILE: &str = "profile";
pub(super) const REELS: &str = "reels";
pub(super) const SEARCH: &str = "search";
pub(super) const STORY: &str = "story";
pub(super) const VIEWER: &str = "viewer";

static COOKIE_ECHO: [(&str, HeaderName); 1] =
    [("csrftoken", HeaderName::from_static("x-csrftoken"))];
static TOKEN_ECHO: [TokenEcho; 1] = [TokenEcho {
    token: "www_claim",
    set_by: HeaderName::from_static("x-ig-set-www-claim"),
    sent_as: HeaderName::from_static("x-ig-www-claim"),
    unset: HeaderValue::from_static("0"),
}];

/// What every check works with.
#[derive(Debug)]
pub(super) struct Web {
    pub(super) api: ApiClient,
    pub(super) config: WebConfig,
    pub(super) urls: Checked,
    pub(super) strikes: Strikes,
}

impl Web {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        config: WebConfig,
    ) -> Result<Self, InvalidConfig> {
        let urls = config.check()?;
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert("x-ig-app-id", urls.app_id.clone());
        headers.insert("x-requested-with", HeaderValue::from_static("XMLHttpRequest"));
        let host = urls.profile.host_str().unwrap_or_default();
        let client = ClientConfig {
            source: SOURCE,
            jar: Some(Jar::new(host, &config.cookie_domain, LOGIN)),
            bearer: None,
            headers,
            user_agent: urls.user_agent.clone(),
            cookie_echo: &COOKIE_ECHO,
            token_echo: &TOKEN_ECHO,
            usage: of_draft,
            max_body: config.max_body,
            timeout: config.request_timeout,
        };
        Ok(Self {
            api: ApiClient::new(transport, client),
            config,
            urls,
            strikes: Strikes::default(),
        })
    }
}
