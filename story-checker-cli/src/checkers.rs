//! Which APIs can be asked, by the sessions there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use story_checker_core::checker::{Checker, Fallback};
use story_checker_core::gate::Limits;
use story_checker_core::session::SessionKind;
use story_checker_http::Transport;
use story_checker_http::instagram::{GraphChecker, GraphConfig, WebChecker, WebConfig};
use story_checker_http::x::{Since, XChecker, XConfig};

use crate::settings::{Settings, shown};

/// Where the APIs are; none: where everybody finds them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) graph: Option<String>,
    pub(crate) web: Option<String>,
    pub(crate) x: Option<String>,
}

/// Checkers, and the limits that each API has by itself.
#[derive(Debug, Default)]
pub(crate) struct Checkers {
    pub(crate) all: Vec<Arc<dyn Checker>>,
    /// By the name of the app.
    pub(crate) limits: BTreeMap<String, Limits>,
}

impl Checkers {
    /// A checker for each kind of session there is; Instagram's official API goes first.
    ///
    /// # Errors
    /// If a setting cannot be used; the text names it.
    pub(crate) fn new(
        kinds: &BTreeSet<SessionKind>,
        addresses: Addresses,
        settings: &Settings,
        transport: &Arc<dyn Transport>,
    ) -> anyhow::Result<Self> {
        let mut checkers = Self::default();
        let mut instagram: Vec<Arc<dyn Checker>> = Vec::new();
        if kinds.contains(&GraphChecker::SESSION_KIND) {
            let mut config = GraphConfig::default();
            if let Some(url) = addresses.graph {
                config.login_base_url.clone_from(&url);
                config.base_url = url;
            }
            let named = named("graph_base_url", &config.base_url);
            let checker = GraphChecker::new(Arc::clone(transport), config).with_context(named)?;
            instagram.push(checkers.learn(Arc::new(checker)));
        }
        if kinds.contains(&WebChecker::SESSION_KIND) {
            let mut config = WebConfig::default();
            config.base_url = addresses.web.unwrap_or(config.base_url);
            let named = named("base_url", &config.base_url);
            let checker = WebChecker::new(Arc::clone(transport), config).with_context(named)?;
            instagram.push(checkers.learn(Arc::new(checker)));
        }
        match instagram.len() {
            0 | 1 => checkers.all.append(&mut instagram),
            _ => checkers.all.push(Arc::new(Fallback::new(instagram)?)),
        }
        if kinds.contains(&XChecker::SESSION_KIND) {
            let mut config = XConfig::default();
            config.base_url = addresses.x.unwrap_or(config.base_url);
            config.since = Since::Window(settings.x_since.0);
            let named = named("x_base_url", &config.base_url);
            let checker = XChecker::new(Arc::clone(transport), config).with_context(named)?;
            let checker = checkers.learn(Arc::new(checker));
            checkers.all.push(checker);
        }
        Ok(checkers)
    }

    /// Takes note of a checker's limits.
    fn learn(&mut self, checker: Arc<dyn Checker>) -> Arc<dyn Checker> {
        let profile = checker.profile();
        self.limits.insert(profile.app.to_string(), profile.limits.clone());
        checker
    }
}

/// The setting that an error is about: the checkers know only their own names.
fn named(setting: &'static str, url: &str) -> impl FnOnce() -> String + use<> {
    let url = shown(url);
    move || format!("{setting} = {url:?}")
}
