//! Where to check and as whom, and the engine for it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use async_trait::async_trait;
use story_checker_core::SystemClock;
use story_checker_core::engine::{Engine, EngineConfig, check_queue};
use story_checker_core::gate::Limits;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::QueueName;
use story_checker_core::session::SessionRecord;
use story_checker_http::{
    Request, ReqwestTransport, ReqwestTransportConfig, Response, Transport, TransportError,
};

use crate::checkers::{Addresses, Checkers};
use crate::credentials;
use crate::progress::Voice;
use crate::sessions;
use crate::settings::{Settings, shown};
use crate::stores::Stores;

pub(crate) const NO_SESSION: &str =
    "there is no session, and the platform answers only to who is logged in
  A session is a file with the cookies of a browser that is logged in to instagram.com: browser
  extensions export it as cookies.txt or JSON. The session files of instaloader and instagrapi,
  tokens of Instagram's Graph API and bearer tokens of X will do too. Then:
      story-checker check --session cookies.txt NAME...
  To try story-checker without an account, add --demo. More in docs/SESSIONS.md.";

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
    /// If one of them cannot be used.
    pub(crate) fn real(settings: &Settings, voice: &Voice) -> anyhow::Result<Self> {
        let paths = settings.sessions.as_ref().map_or(&[][..], |paths| &paths.0);
        let found = credentials::sessions(paths)?;
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

    /// Puts the engine together, for the jobs of these stores; `requests` counts what it sends.
    ///
    /// # Errors
    /// If there is no session, or a setting cannot be used.
    pub(crate) async fn engine(
        self,
        settings: &Settings,
        stores: &Stores,
        mut config: EngineConfig,
        requests: Arc<AtomicU64>,
        voice: &Voice,
    ) -> anyhow::Result<Built> {
        let mut transport = ReqwestTransportConfig::default();
        transport.extra_root_pem = self.extra_root_pem;
        let inner = ReqwestTransport::new(transport).with_context(|| match &settings.ca_file {
            Some(path) => format!("certificate authority {}", shown(&path.display().to_string())),
            None => "cannot connect".to_owned(),
        })?;
        let transport: Arc<dyn Transport> = Arc::new(Counted { inner, requests });
        let count = self.sessions.len();
        let kinds = sessions::take_in(&*stores.sessions, self.sessions, voice).await?.kinds;
        if kinds.is_empty() {
            bail!(NO_SESSION);
        }
        let checkers = Checkers::new(&kinds, self.addresses, settings, &transport)?;
        config.max_batch = settings.max_batch;
        config.max_in_flight = settings.concurrency;
        for (app, limits) in checkers.limits {
            let mut limits = if self.unlimited { Limits::default() } else { limits };
            limits.session = settings.limit(&app).or(limits.session);
            config.limits.insert(app, limits);
        }
        let proxies = self.proxies.as_ref().map_or(0, Vec::len);
        tracing::info!(sessions = count, proxies, queue = %stores.queue, "the engine is put together");
        let mut engine = Engine::builder()
            .queue(Arc::clone(&stores.queue))
            .sessions(Arc::clone(&stores.sessions))
            .cache(Arc::clone(&stores.cache))
            .board(Arc::clone(&stores.board))
            .clock(Arc::new(SystemClock::new()))
            .config(config);
        let mut queues = BTreeSet::new();
        for checker in checkers.all {
            let profile = checker.profile();
            let kinds = profile.kinds.iter();
            queues.extend(kinds.map(|kind| check_queue(&profile.platform, *kind)));
            engine = engine.checker(checker);
        }
        if let Some(proxies) = self.proxies {
            engine = engine.proxies(stores.proxies(Arc::new(StaticProxySource::new(proxies))));
        }
        Ok(Built { engine: engine.build()?, queues })
    }
}

/// An engine that is put together.
pub(crate) struct Built {
    pub(crate) engine: Engine,
    /// Where it takes jobs from.
    pub(crate) queues: BTreeSet<QueueName>,
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
