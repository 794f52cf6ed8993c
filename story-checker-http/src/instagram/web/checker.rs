use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Quota;
use story_checker_core::session::SessionKind;
use story_checker_core::{Fault, Platform, Report, Target, TargetKind};

use super::api::{INFO, PROFILE, REELS, SEARCH, SESSION_KIND, SOURCE, STORY, VIEWER, Web};
use super::check::{Round, validate};
use super::config::WebConfig;
use crate::config::InvalidConfig;
use crate::transport::Transport;

/// Asks Instagram's web API, with a session that its owner supplied.
///
/// A check looks up the names that are not remembered, one request each, and then asks for the
/// stories of all of them in one. Names that were looked up are remembered even if the check has to
/// stop before the end, so that the next one goes on where this one stopped. A name that is not found
/// is looked for in a second way, and a reel that comes without its items is asked for alone.
///
/// # Limits
/// 75 requests in every 660 s per session, at most 15 at once: the window that instaloader found for
/// plain requests to the web API. There are no published ones.
#[derive(Debug)]
pub struct WebChecker {
    web: Web,
    profile: CheckerProfile,
}

impl WebChecker {
    /// The kind of session it needs: see [`web_session`](super::web_session).
    pub const SESSION_KIND: SessionKind = SESSION_KIND;

    /// A checker that sends through `transport`.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a value of the configuration cannot be used; it names the field.
    pub fn new(transport: Arc<dyn Transport>, config: WebConfig) -> Result<Self, InvalidConfig> {
        let web = Web::new(transport, config)?;
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.app = "instagram-web".into();
        profile.kinds = vec![TargetKind::Account];
        profile.max_batch = web.config.max_batch;
        profile.session = Some(Self::SESSION_KIND);
        profile.endpoints = vec![INFO, PROFILE, REELS, SEARCH, STORY, VIEWER];
        profile.vital = vec![PROFILE, REELS];
        profile.limits.session = Quota::with_burst(75, Duration::from_secs(660), 15).ok();
        Ok(Self { web, profile })
    }

    /// Asks the platform whether the session of the context is logged in: one request.
    ///
    /// # Errors
    /// The fault that stood in the way. Charged to the session it says what became of it.
    ///
    /// # Cancel safety
    /// Safe; the request may have been sent.
    pub async fn validate(&self, cx: &CheckContext) -> Result<(), Fault> {
        validate(&self.web, cx).await
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
        Round::run(&self.web, targets, cx).await
    }
}
