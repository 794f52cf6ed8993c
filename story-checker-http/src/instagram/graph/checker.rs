use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::gate::Quota;
use story_checker_core::session::SessionKind;
use story_checker_core::{Fault, Platform, Report, Target, TargetKind};

use super::api::{APP, DISCOVERY, Graph, REFRESH, SESSION_KIND, SOURCE, STORIES};
use super::check;
use super::config::GraphConfig;
use crate::config::InvalidConfig;
use crate::transport::Transport;

/// Asks Instagram's Graph API, the official one, with tokens that the accounts' owners gave.
///
/// A token shows the stories of its own account and of nobody else, so every target is asked for on
/// a loan of the session that speaks for it; see [`graph_session`](super::graph_session). A target
/// without one is a fault, which a fallback passes on.
///
/// "No story" is weak here: the API never shows live and re-shared stories.
///
/// # Limits
/// Per session 200 requests in every hour, at most 20 at once, and as many look-ups of others: the
/// published limit of an app with one user. The real ones are larger and come with the answers'
/// headers: from 75 % of them on requests are paced, and at 100 % they stop.
#[derive(Debug)]
pub struct GraphChecker {
    graph: Graph,
    profile: CheckerProfile,
    /// The profile of what runs on a loan.
    lent: CheckerProfile,
}

impl GraphChecker {
    /// The kind of session it borrows: see [`graph_session`](super::graph_session).
    pub const SESSION_KIND: SessionKind = SESSION_KIND;

    /// A checker that sends through `transport`.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a value of the configuration cannot be used; it names the field.
    pub fn new(transport: Arc<dyn Transport>, config: GraphConfig) -> Result<Self, InvalidConfig> {
        let graph = Graph::new(transport, config)?;
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.kinds = vec![TargetKind::Account];
        profile.max_batch = graph.config.max_batch;
        profile.app = APP.into();
        profile.endpoints = vec![DISCOVERY, REFRESH, STORIES];
        let quota = Quota::with_burst(200, Duration::from_secs(3_600), 20).ok();
        profile.limits.session = quota;
        profile.limits.endpoints.extend(quota.map(|quota| (DISCOVERY.to_owned(), quota)));
        let mut lent = profile.clone();
        lent.session = Some(Self::SESSION_KIND);
        Ok(Self { graph, profile, lent })
    }

    /// Asks the platform whether the session of the context is logged in and speaks for
    /// `account`: one request for the stories of its own, and one more if its token is near its end.
    ///
    /// # Errors
    /// The fault that stood in the way. Charged to the session it says what became of it.
    ///
    /// # Cancel safety
    /// Safe; the request may have been sent.
    pub async fn validate(&self, account: &str, cx: &CheckContext) -> Result<(), Fault> {
        check::validate(&self.graph, account, cx).await
    }
}

impl fmt::Display for GraphChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SOURCE)
    }
}

#[async_trait]
impl Checker for GraphChecker {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        let mut answers = Vec::with_capacity(targets.len());
        // One after the other: that bounds what a check holds, and the engine runs many checks.
        for target in targets {
            answers.push(check::run(&self.graph, &self.lent, target, cx).await);
        }
        answers
    }
}
