//! `--demo`: a simulated platform in this process, reached as the real one would be.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use story_checker_core::SessionId;
use story_checker_core::gate::Limits;
use story_checker_core::proxy::Proxy;
use story_checker_core::session::Cookie;
use story_checker_http::instagram::web_session_from_cookies;
use story_checker_sim::{
    Latency, Platform, Population, ProxyCredentials, ProxyKind, ProxySpec, Server, ServerConfig,
    SimClock, SimConfig,
};

use crate::progress::Voice;
use crate::settings::Settings;
use crate::world::World;

const SEED: u64 = 2026;
const SESSIONS: usize = 8;
const PROXIES: usize = 2;
/// Small, so that the bar moves even for a short list.
const BATCH: usize = 5;

/// A simulated platform with sessions and proxies of its own.
pub(crate) struct Demo {
    platform: Arc<Platform>,
    server: Server,
}

impl Demo {
    /// Starts the platform on loopback.
    ///
    /// # Errors
    /// If it cannot listen.
    pub(crate) async fn start(
        seed: Option<u64>,
        settings: &mut Settings,
        voice: &Voice,
    ) -> anyhow::Result<Self> {
        let seed = seed.unwrap_or(SEED);
        voice.say(format_args!(
            "demo: these accounts are simulated (seed {seed}); nothing leaves this machine"
        ));
        settings.max_batch = settings.max_batch.or(std::num::NonZeroUsize::new(BATCH));
        let latency = Latency::between(Duration::from_millis(20), Duration::from_millis(80));
        let config = SimConfig::new(seed)
            .with_sessions(SESSIONS)
            .with_population(Population::default().with_mix(8, 6, 8))
            .with_latency(latency)
            .with_expect_proxy(true);
        let platform = Arc::new(Platform::new(config)?);
        let proxy = ProxySpec::new(ProxyKind::Http)
            .with_credentials(ProxyCredentials::new("demo", "demo-password"));
        let listen =
            (0..PROXIES).fold(ServerConfig::new(), |config, _| config.with_proxy(proxy.clone()));
        let server = Server::start(Arc::clone(&platform), listen, SimClock::system())
            .await
            .context("cannot start the simulated platform")?;
        Ok(Self { platform, server })
    }

    /// Its sessions, proxies and address.
    ///
    /// # Errors
    /// If the platform and the checker do not understand each other, which is a bug.
    pub(crate) fn world(&self) -> anyhow::Result<World> {
        let session = |index| {
            let cookies = self.platform.session_credentials(index)?;
            let cookies = cookies.map(|(name, value)| Cookie::new(name, value)).to_vec();
            let id = self.platform.session_username(index)?;
            Some(web_session_from_cookies(SessionId::new(id), cookies))
        };
        let sessions = (0..self.platform.sessions()).filter_map(session);
        let proxies = self.server.proxies().into_iter().map(|proxy| {
            proxy.url.parse().map(Proxy::new).map_err(|error| anyhow!("a simulated proxy: {error}"))
        });
        Ok(World {
            sessions: sessions.collect::<Result<_, _>>()?,
            proxies: Some(proxies.collect::<Result<_, _>>()?),
            base_url: Some(self.server.https_url()),
            extra_root_pem: Some(self.server.ca_pem().into()),
            // The simulated platform has no limit here.
            limits: Some(Limits::default()),
        })
    }
}
