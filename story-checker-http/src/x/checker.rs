use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Quota;
use story_checker_core::session::SessionKind;
use story_checker_core::{Fault, Platform, Report, Target, TargetKind};

use super::api::{SEARCH, SESSION_KIND, SOURCE, TIMELINE, USERS, X};
use super::check::{Round, validate};
use super::config::XConfig;
use crate::config::InvalidConfig;
use crate::transport::Transport;

/// The window of every limit that X publishes.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Asks the API v2 of X, with a bearer token that its owner supplied.
///
/// X has no stories: [`Verdict::Active`](story_checker_core::Verdict::Active) means posts with media
/// since [`XConfig::since`], which are the report's items, and
/// [`Verdict::NoStory`](story_checker_core::Verdict::NoStory) a complete answer without one.
///
/// A check looks up the names that are not remembered, all in one request, and then asks for the
/// posts of each target, one page or more.
///
/// # Limits
/// In every 15 min 300 requests for names, 10,000 for an account's posts and 450 searches: what X
/// gives to the token of an app (domain: documentation of the API, August 2026). A token of a user
/// has 900, 900 and 300. They hold for all tokens together; with several of them, or with those of
/// users, give the engine other ones. Whatever they are, a token that has used up a window rests
/// until the next one begins.
#[derive(Debug)]
pub struct XChecker {
    x: X,
    profile: CheckerProfile,
}

impl XChecker {
    /// The kind of session it needs: see [`x_session`](super::x_session).
    pub const SESSION_KIND: SessionKind = SESSION_KIND;

    /// A checker that sends through `transport`.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a value of the configuration cannot be used; it names the field.
    pub fn new(transport: Arc<dyn Transport>, config: XConfig) -> Result<Self, InvalidConfig> {
        let x = X::new(transport, config)?;
        let mut profile = CheckerProfile::new(Platform::X);
        profile.app = "x".into();
        profile.kinds = vec![TargetKind::Account, TargetKind::Hashtag, TargetKind::Query];
        profile.max_batch = x.config.max_batch;
        profile.session = Some(Self::SESSION_KIND);
        profile.endpoints = vec![SEARCH, TIMELINE, USERS];
        // A tenth of each at once.
        for (endpoint, requests) in [(SEARCH, 450), (TIMELINE, 10_000), (USERS, 300)] {
            let quota = Quota::with_burst(requests, WINDOW, requests / 10).ok();
            profile.limits.endpoints.extend(quota.map(|quota| (endpoint.to_owned(), quota)));
        }
        Ok(Self { x, profile })
    }

    /// Asks the platform whether it takes the token of the context's session: one look-up of an
    /// account of X itself.
    ///
    /// # Errors
    /// The fault that stood in the way. Charged to the session it says what became of it.
    ///
    /// # Cancel safety
    /// Safe; the request may have been sent.
    pub async fn validate(&self, cx: &CheckContext) -> Result<(), Fault> {
        validate(&self.x, cx).await
    }
}

impl fmt::Display for XChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SOURCE)
    }
}

#[async_trait]
impl Checker for XChecker {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        Round::run(&self.x, targets, cx).await
    }
}
