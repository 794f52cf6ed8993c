//! `story-checker check`: puts a run together.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, anyhow, bail};
use async_trait::async_trait;
use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::Checker;
use story_checker_core::engine::{Engine, EngineConfig, EngineHandle};
use story_checker_core::gate::Limits;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::{InMemoryJobQueue, Retention};
use story_checker_core::session::{InMemorySessionStore, SessionRecord, SessionStore};
use story_checker_core::{Clock, Platform, SystemClock};
use story_checker_http::instagram::{WebChecker, WebConfig, account, web_session};
use story_checker_http::{
    Request, ReqwestTransport, ReqwestTransportConfig, Response, Transport, TransportError,
};
use tracing_subscriber::EnvFilter;

use crate::args::CheckArgs;
use crate::credentials;
use crate::demo::Demo;
use crate::output;
use crate::progress::Voice;
use crate::run::Run;
use crate::settings::Settings;
use crate::signals;
use crate::targets::TargetList;

const NO_TARGETS: &str = "there is nothing to check: name accounts, a list, or - for standard input
  for example: story-checker check --demo examples/accounts.txt";

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

/// Checks what was asked for; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no run.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let mut settings = Settings::resolve(args.layer(), args.config.as_deref())?;
    let voice = Voice::new(settings.progress, settings.quiet);
    start_log(&settings.log, &voice)?;
    let mut names = args.targets.clone();
    if names.is_empty() && args.files.is_empty() {
        if io::stdin().is_terminal() {
            bail!(NO_TARGETS);
        }
        names.push("-".to_owned());
    }
    let list = TargetList::open(&names, &args.files, account)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let demo = match args.demo {
            true => Some(Demo::start(args.demo_seed, &mut settings, &voice).await?),
            false => None,
        };
        let world = match &demo {
            Some(demo) => demo.world()?,
            None => World::real(&settings)?,
        };
        run(list, world, &settings, voice).await
    });
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    code
}

impl World {
    fn real(settings: &Settings) -> anyhow::Result<Self> {
        if settings.sessions.is_empty() {
            bail!(NO_SESSION);
        }
        Ok(Self {
            sessions: credentials::sessions(&settings.sessions, web_session)?,
            proxies: settings.proxies.as_deref().map(credentials::proxies).transpose()?,
            base_url: settings.base_url.clone(),
            extra_root_pem: None,
            limits: None,
        })
    }
}

async fn run(
    list: TargetList,
    world: World,
    settings: &Settings,
    voice: Voice,
) -> anyhow::Result<u8> {
    let requests = Arc::new(AtomicU64::new(0));
    let engine = engine(world, settings, Arc::clone(&requests)).await?;
    let interrupt = signals::listen(voice.clone()).context("cannot listen for signals")?;
    let run = Run {
        engine,
        writer: output::standard(settings.format),
        voice: voice.clone(),
        deadline: settings.deadline,
        interrupt,
    };
    match run.check(list).await {
        Ok(mut summary) => {
            summary.requests = Some(requests.load(Ordering::Relaxed));
            summary.causes.lines().into_iter().for_each(|line| voice.say(line));
            voice.say(&summary);
            Ok(summary.exit_code())
        }
        // Who reads the results has enough of them.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => {
            crate::complain(&anyhow!(error).context("cannot write the results"));
            Ok(1)
        }
    }
}

async fn engine(
    world: World,
    settings: &Settings,
    requests: Arc<AtomicU64>,
) -> anyhow::Result<EngineHandle> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut transport = ReqwestTransportConfig::default();
    transport.extra_root_pem = world.extra_root_pem;
    let transport = Counted { inner: ReqwestTransport::new(transport)?, requests };
    let mut web = WebConfig::default();
    if let Some(base_url) = world.base_url {
        web.base_url = base_url;
    }
    let checker = WebChecker::new(Arc::new(transport), web)?;
    let mut limits = world.limits.unwrap_or_else(|| checker.profile().limits.clone());
    if let Some(session) = settings.session_limit {
        limits.session = Some(session);
    }
    let mut config = EngineConfig::default();
    config.max_batch = settings.max_batch;
    config.max_in_flight = settings.concurrency.unwrap_or(config.max_in_flight);
    config.limits.insert(Platform::INSTAGRAM, limits);
    // Results are consumed as they come, and nobody repairs a session during a run.
    config.store_reports = false;
    config.give_up_early = true;
    let sessions = InMemorySessionStore::new(Arc::clone(&clock));
    for reply in sessions.put(world.sessions).await? {
        tracing::debug!(?reply, "session");
    }
    let queue = InMemoryJobQueue::with_retention(Arc::clone(&clock), Retention::nothing());
    let mut engine = Engine::builder()
        .checker(Arc::new(checker))
        .queue(Arc::new(queue))
        .sessions(Arc::new(sessions))
        .cache(Arc::new(InMemoryCache::with_capacity(Arc::clone(&clock), REMEMBERED)))
        .clock(clock)
        .config(config);
    if let Some(proxies) = world.proxies {
        engine = engine.proxies(Arc::new(StaticProxySource::new(proxies)));
    }
    Ok(engine.build()?.start().await?)
}

fn start_log(filter: &str, voice: &Voice) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| anyhow!("{filter:?} is no filter for the log: {error}"))?;
    let voice = voice.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let log = log.with_writer(move || voice.clone()).try_init();
    log.map_err(|error| anyhow!("cannot start the log: {error}"))
}

/// A transport that counts requests.
#[derive(Debug)]
struct Counted {
    inner: ReqwestTransport,
    requests: Arc<AtomicU64>,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
