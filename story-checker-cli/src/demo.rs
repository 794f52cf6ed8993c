//! `--demo`: a simulated platform in this process, reached as the real one would be.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use story_checker_core::proxy::Proxy;
use story_checker_core::session::{Cookie, SessionRecord};
use story_checker_core::{SessionId, Timestamp};
use story_checker_http::instagram::{GraphToken, graph_session, web_session_from_cookies};
use story_checker_http::x::x_session;
use story_checker_sim::{
    GraphSettings, Latency, Platform, Population, ProxyCredentials, ProxyKind, ProxySpec, Server,
    ServerConfig, SimClock, SimConfig, XSettings,
};

use crate::checkers::Addresses;
use crate::progress::Voice;
use crate::settings::Settings;
use crate::world::World;

const SEED: u64 = 2026;
const SESSIONS: usize = 8;
/// Tokens of Instagram's Graph API, which speak for the numbered accounts acct_000000 and so on.
const GRAPH_TOKENS: usize = 3;
const X_TOKENS: usize = 2;
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
            .with_graph(GraphSettings::new(GRAPH_TOKENS, SystemTime::now().into()))
            .with_x(XSettings::new(X_TOKENS))
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
        let url = self.server.https_url();
        let proxies = self.server.proxies().into_iter().map(|proxy| {
            proxy.url.parse().map(Proxy::new).map_err(|error| anyhow!("a simulated proxy: {error}"))
        });
        Ok(World {
            sessions: self.sessions()?,
            proxies: Some(proxies.collect::<Result<_, _>>()?),
            addresses: Addresses { graph: Some(url.clone()), web: Some(url.clone()), x: Some(url) },
            extra_root_pem: Some(self.server.ca_pem().into()),
            unlimited: true,
        })
    }

    fn sessions(&self) -> anyhow::Result<Vec<SessionRecord>> {
        let platform = &self.platform;
        let mut sessions = Vec::new();
        for index in 0..platform.sessions() {
            let cookies = platform.session_credentials(index).into_iter().flatten();
            let cookies = cookies.map(|(name, value)| Cookie::new(name, value)).collect();
            let id = platform.session_username(index).unwrap_or_default();
            sessions.push(web_session_from_cookies(SessionId::new(id), cookies)?);
        }
        for token in (0..platform.graph_tokens()).filter_map(|index| platform.graph_token(index)) {
            let id = SessionId::new(format!("graph_{}", token.username));
            let mut known = GraphToken::new(token.access_token, token.ig_user_id, token.username);
            known.expires_at = Some(Timestamp::from_secs(token.expires_at.unix_secs()));
            sessions.push(graph_session(id, known)?);
        }
        for (index, token) in (0..platform.x_tokens()).map(|index| (index, platform.x_token(index)))
        {
            let id = SessionId::new(format!("x_{index}"));
            sessions.push(x_session(id, &token.unwrap_or_default())?);
        }
        Ok(sessions)
    }
}
