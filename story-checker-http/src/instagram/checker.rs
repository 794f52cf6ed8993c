use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Quota;
use story_checker_core::session::SessionKind;
use story_checker_core::{Fault, Platform, Report, Target, TargetKind};

use super::check::Round;
use super::config::{Checked, InvalidConfig, WebConfig};
use crate::client::{ApiClient, ClientConfig, Jar, TokenEcho};
use crate::transport::Transport;

pub(super) const SOURCE: &str = "instagram-web/1";
pub(super) const PROFILE: &str = "profile";
pub(super) const REELS: &str = "reels";
pub(super) const VIEWER: &str = "viewer";

static COOKIE_ECHO: [(&str, HeaderName); 1] =
    [("csrftoken", HeaderName::from_static("x-csrftoken"))];
static TOKEN_ECHO: [TokenEcho; 1] = [TokenEcho {
    token: "www_claim",
    set_by: HeaderName::from_static("x-ig-set-www-claim"),
    sent_as: HeaderName::from_static("x-ig-www-claim"),
    unset: HeaderValue::from_static("0"),
}];

/// Asks Instagram's web API, with a session that its owner supplied.
///
/// A check looks up the names that are not remembered, one request each, and then asks for the
/// stories of all of them in one. Names that were looked up are remembered even if the check has to
/// stop before the end, so that the next one goes on where this one stopped.
///
/// # Limits
/// 75 requests in every 660 s per session, at most 15 at once: the window that instaloader found for
/// plain requests to the web API. There are no published ones.
#[derive(Debug)]
pub struct WebChecker {
    pub(super) api: ApiClient,
    pub(super) config: WebConfig,
    pub(super) urls: Checked,
    profile: CheckerProfile,
}

impl WebChecker {
    /// The kind of session it needs: see [`web_session`](super::web_session).
    pub const SESSION_KIND: SessionKind = SessionKind::from_static("instagram-web");

    /// A checker that sends through `transport`.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a value of the configuration cannot be used; it names the field.
    pub fn new(transport: Arc<dyn Transport>, config: WebConfig) -> Result<Self, InvalidConfig> {
        let urls = config.check()?;
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert("x-ig-app-id", urls.app_id.clone());
        headers.insert("x-requested-with", HeaderValue::from_static("XMLHttpRequest"));
        let host = urls.profile.host_str().unwrap_or_default();
        let client = ClientConfig {
            source: SOURCE,
            jar: Jar::new(host, &config.cookie_domain),
            headers,
            user_agent: urls.user_agent.clone(),
            cookie_echo: &COOKIE_ECHO,
            token_echo: &TOKEN_ECHO,
            max_body: config.max_body,
            timeout: config.request_timeout,
        };
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.kinds = vec![TargetKind::Account];
        profile.max_batch = config.max_batch;
        profile.session = Some(Self::SESSION_KIND);
        profile.endpoints = vec![PROFILE, REELS, VIEWER];
        profile.limits.session = Quota::with_burst(75, Duration::from_secs(660), 15).ok();
        Ok(Self { api: ApiClient::new(transport, client), config, urls, profile })
    }
}

impl fmt::Display for WebChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SOURCE)
    }
}

#[async_trait]
impl Checker for WebChecker {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        Round::run(self, targets, cx).await
    }
}
