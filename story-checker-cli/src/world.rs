//! Where to check and as whom, and the engine for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use async_trait::async_trait;
use story_checker_core::cache::InMemoryCache;
use story_checker_core::engine::{Engine, EngineConfig, EngineHandle};
use story_checker_core::gate::Limits;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::{InMemoryJobQueue, Retention};
use story_checker_core::session::{InMemorySessionStore, SessionRecord, SessionStore};
use story_checker_core::{Clock, SystemClock};
use story_checker_http::{
    Request, ReqwestTransport, ReqwestTransportConfig, Response, Transport, TransportError,
};

use crate::checkers::{Addresses, Checkers};
use crate::credentials;
use crate::progress::Voice;
use crate::settings::{Settings, shown};

const NO_SESSION: &str = "there is no session, and the platform answers only to who is logged in
  A session is a file with the cookies of a browser that is logged in to instagram.com: browser
  extensions export it as cookies.txt or JSON. The session files of instaloader and instagrapi,
  tokens of Instagram's Graph API and bearer tokens of X will do too. Then:
      story-checker check --session cookies.txt NAME...
  To try story-checker without an account, add --demo. More in docs/SESSIONS.md.";

/// Names whose ids are remembered. Every name comes once, so only what is in flight can profit.
const REMEMBERED: usize = 50_000;

/// Where to check, and as whom.
pub(crate) struct World {
    pub(crate) sessions: Vec<SessionRecord>,
    /// None: direct.
    pub(crate) proxies: Option<Vec<Proxy>>,
    pub(crate) addresses: Addresses,
    pub(crate) extra_root_pem: Option<Vec<u8>>,
    /// The platforms are simulated, and have no limits of their own.
    pub(crate) unlimited: bool,
}

impl World {
    /// The real platform, with the sessions and proxies of the settings.
    ///
    /// # Errors
    /// If there is no session, or one that cannot be used.
    pub(crate) fn real(settings: &Settings, voice: &Voice) -> anyhow::Result<Self> {
        let Some(paths) = settings.sessions.as_ref().filter(|paths| !paths.0.is_empty()) else {
            bail!(NO_SESSION);
        };
        let found = credentials::sessions(&paths.0)?;
        let (proxies, warning) =
            settings.proxies.as_deref().map(credentials::proxies).transpose()?.unzip();
        found.warnings.iter().chain(&warning.flatten()).for_each(|warning| voice.say(warning));
        Ok(Self {
            sessions: found.records,
            proxies,
            addresses: Addresses {
                graph: settings.graph_base_url.clone(),
                web: Some(settings.base_url.clone()),
                x: Some(settings.x_base_url.clone()),
            },
            extra_root_pem: settings.ca_file.as_deref().map(credentials::authority).transpose()?,
            unlimited: false,
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
        let inner = ReqwestTransport::new(transport).with_context(|| match &settings.ca_file {
            Some(path) => format!("certificate authority {}", shown(&path.display().to_string())),
            None => "cannot connect".to_owned(),
        })?;
        let transport = Counted { inner, requests };
        let kinds = self.sessions.iter().map(|session| session.kind.clone()).collect();
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let checkers = Checkers::new(&kinds, self.addresses, settings, &transport)?;
        let mut config = EngineConfig::default();
        config.max_batch = settings.max_batch;
        config.max_in_flight = settings.concurrency;
        for (app, limits) in checkers.limits {
            let mut limits = if self.unlimited { Limits::default() } else { limits };
            limits.session = settings.limit(&app).or(limits.session);
            config.limits.insert(app, limits);
        }
        // Results are consumed as they come, and nobody repairs a session during a run.
        config.store_reports = false;
        config.give_up_early = true;
        let sessions = InMemorySessionStore::new(Arc::clone(&clock));
        let proxies = self.proxies.as_ref().map_or(0, Vec::len);
        tracing::info!(sessions = self.sessions.len(), proxies, "the engine starts");
        sessions.put(self.sessions).await?;
        let queue = InMemoryJobQueue::with_retention(Arc::clone(&clock), Retention::nothing());
        let mut engine = Engine::builder()
            .queue(Arc::new(queue))
            .sessions(Arc::new(sessions))
            .cache(Arc::new(InMemoryCache::with_capacity(Arc::clone(&clock), REMEMBERED)))
            .clock(clock)
            .config(config);
        for checker in checkers.all {
            engine = engine.checker(checker);
        }
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
