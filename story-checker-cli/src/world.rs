//! Where to check and as whom, and the engine for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use async_trait::async_trait;
use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::Checker;
use story_checker_core::engine::{Engine, EngineConfig, EngineHandle};
use story_checker_core::gate::Limits;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::{InMemoryJobQueue, Retention};
use story_checker_core::session::{InMemorySessionStore, SessionRecord, SessionStore};
use story_checker_core::{Clock, SystemClock};
use story_checker_http::import;
use story_checker_http::instagram::{WebChecker, WebConfig};
use story_checker_http::{
    Request, ReqwestTransport, ReqwestTransportConfig, Response, Transport, TransportError,
};

use crate::credentials;
use crate::settings::Settings;

const NO_SESSION: &str = "there is no session, and the platform answers only to who is logged in
  A session is the cookies.txt of a browser that is logged in to instagram.com. Browser extensions
  that export cookies in the Netscape format write it. Then:
      story-checker check --session cookies.txt NAME...
  To try story-checker without an account, add --demo. More in README.md and docs/.";

/// Names whose ids are remembered. Every name comes once, so only what is in flight can profit.
const REMEMBERED: usize = 50_000;

/// Where to check, and as whom.
pub(crate) struct World {
    pub(crate) sessions: Vec<SessionRecord>,
    /// None: direct.
    pub(crate) proxies: Option<Vec<Proxy>>,
    pub(crate) base_url: Option<String>,
    pub(crate) extra_root_pem: Option<Vec<u8>>,
    /// None: those of the checker.
    pub(crate) limits: Option<Limits>,
}

impl World {
    /// The real platform, with the sessions and proxies of the settings.
    ///
    /// # Errors
    /// If there is no session, or one that cannot be used.
    pub(crate) fn real(settings: &Settings) -> anyhow::Result<Self> {
        if settings.sessions.is_empty() {
            bail!(NO_SESSION);
        }
        Ok(Self {
            sessions: credentials::sessions(&settings.sessions, import::sessions)?,
            proxies: settings.proxies.as_deref().map(credentials::proxies).transpose()?,
            base_url: settings.base_url.clone(),
            extra_root_pem: None,
            limits: None,
        })
    }

    /// Puts the engine together and starts it; `requests` counts what it sends.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub(crate) async fn engine(
        self,
        settings: &Settings,
        requests: Arc<AtomicU64>,
    ) -> anyhow::Result<EngineHandle> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut transport = ReqwestTransportConfig::default();
        transport.extra_root_pem = self.extra_root_pem;
        let transport = Counted { inner: ReqwestTransport::new(transport)?, requests };
        let mut web = WebConfig::default();
        if let Some(base_url) = self.base_url {
            web.base_url = base_url;
        }
        let checker = WebChecker::new(Arc::new(transport), web)?;
        let mut limits = self.limits.unwrap_or_else(|| checker.profile().limits.clone());
        if let Some(session) = settings.session_limit {
            limits.session = Some(session);
        }
        let mut config = EngineConfig::default();
        config.max_batch = settings.max_batch;
        config.max_in_flight = settings.concurrency.unwrap_or(config.max_in_flight);
        config.limits.insert(checker.profile().app.to_string(), limits);
        // Results are consumed as they come, and nobody repairs a session during a run.
        config.store_reports = false;
        config.give_up_early = true;
        let sessions = InMemorySessionStore::new(Arc::clone(&clock));
        let proxies = self.proxies.as_ref().map_or(0, Vec::len);
        tracing::info!(sessions = self.sessions.len(), proxies, "the engine starts");
        sessions.put(self.sessions).await?;
        let queue = InMemoryJobQueue::with_retention(Arc::clone(&clock), Retention::nothing());
        let mut engine = Engine::builder()
            .checker(Arc::new(checker))
            .queue(Arc::new(queue))
            .sessions(Arc::new(sessions))
            .cache(Arc::new(InMemoryCache::with_capacity(Arc::clone(&clock), REMEMBERED)))
            .clock(clock)
            .config(config);
        if let Some(proxies) = self.proxies {
            engine = engine.proxies(Arc::new(StaticProxySource::new(proxies)));
        }
        Ok(engine.build()?.start().await?)
    }
}

/// A transport that counts requests.
#[derive(Debug)]
struct Counted {
    inner: ReqwestTransport,
    requests: Arc<AtomicU64>,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.send(request).await
    }
}
