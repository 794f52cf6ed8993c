//! A platform, what workers share, and the worker itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::engine::{Engine, EngineConfig, EngineHandle, Event, Overflow};
use story_checker_core::gate::Gate;
use story_checker_core::proxy::ProxySource;
use story_checker_core::queue::{InMemoryJobQueue, JobQueue};
use story_checker_core::retry::Schedule;
use story_checker_core::session::{
    Cookie, InMemorySessionStore, PutReply, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{Clock, SessionId, Timestamp, VirtualClock, WorkerId};
use story_checker_http::Transport;
use story_checker_http::instagram::{WebChecker, WebConfig, web_session_from_cookies};
use story_checker_sim::{
    Latency, Platform, Population, SessionState as Standing, SimClock, SimConfig, SimTransport,
    Timestamp as SimTime,
};

use crate::cable::Cable;
use crate::case::{Allowed, Case};
use crate::diary::Diary;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::proxies::{ProxyList, ProxyReader};
use crate::wire::Wire;

/// When every run begins, in seconds since the Unix epoch.
pub(crate) const START: u64 = 1_795_251_600;
/// How many workers there are at a time.
pub(crate) const WORKERS: usize = 2;
/// How long a worker that is told to stop may take.
const GRACE: Duration = Duration::from_secs(10);

/// Everything that outlives a worker.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) case: Case,
    pub(crate) seed: u64,
    pub(crate) diary: Arc<Diary>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sessions: Arc<InMemorySessionStore>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) proxies: Arc<ProxyList>,
    pub(crate) wire: Arc<Wire>,
    pub(crate) gate: Arc<Gate>,
    cache: Arc<InMemoryCache>,
    /// What the operator believes to be allowed.
    pub(crate) limits: Allowed,
    /// How many workers there were.
    started: u64,
    workers: [Option<Worker>; WORKERS],
}

#[derive(Debug)]
struct Worker {
    name: String,
    engine: EngineHandle,
    cable: Cable,
}

impl World {
    /// A world in which nothing has happened yet.
    pub(crate) async fn new(seed: u64, case: Case, plan: &Plan, trace: bool) -> Result<Self> {
        let allowed = case.allowed();
        let start = SimTime::from_unix_secs(START);
        let config = SimConfig::new(seed)
            .with_sessions(case.sessions())
            .with_expect_proxy(true)
            .with_retry_after(true)
            .with_session_limit(allowed.session.limit())
            .with_address_limit(allowed.proxy.limit())
            .with_population(Population::default().with_posting(70, 1.5))
            .with_audit_capacity(4_096)
            .with_latency(Latency::between(Duration::from_millis(20), Duration::from_millis(400)));
        let platform = Arc::new(Platform::new(config)?);
        for rule in &plan.rules {
            platform.add_rule(rule.clone())?;
        }
        let diary = Arc::new(Diary::new(trace));
        let clock: Arc<dyn Clock> =
            Arc::new(VirtualClock::starting_at(Timestamp::from_secs(START)));
        let proxies = Arc::new(ProxyList::new(Arc::clone(&diary), case.proxies())?);
        let transport = SimTransport::new(Arc::clone(&platform), SimClock::starting_at(start))
            .with_proxies(proxies.names());
        let wire = Wire::new(
            transport,
            Arc::clone(&platform),
            Arc::clone(&proxies),
            Arc::clone(&diary),
            (start, allowed),
        );
        let queue = InMemoryJobQueue::new(Arc::clone(&clock));
        let ledger = Arc::new(Ledger::new(queue, Arc::clone(&platform), Arc::clone(&diary)));
        let sessions = Arc::new(InMemorySessionStore::new(Arc::clone(&clock)));
        let records = (0..case.sessions()).map(|index| record(&platform, index));
        sessions.put(records.collect::<Result<_>>()?).await?;
        Ok(Self {
            case,
            seed,
            diary,
            platform,
            sessions,
            ledger,
            proxies,
            wire: Arc::new(wire),
            gate: Arc::new(Gate::new(Arc::clone(&clock))),
            cache: Arc::new(InMemoryCache::new(Arc::clone(&clock))),
            clock,
            limits: allowed,
            started: 0,
            workers: [None, None],
        })
    }

    /// Whether there is a worker.
    pub(crate) fn works(&self) -> bool {
        self.workers.iter().any(Option::is_some)
    }

    /// Starts the workers that are not there.
    pub(crate) async fn start_all(&mut self) -> Result<()> {
        for place in 0..WORKERS {
            self.start(place).await?;
        }
        Ok(())
    }

    /// Starts a worker in this place, if there is none.
    pub(crate) async fn start(&mut self, place: usize) -> Result<()> {
        if self.workers[place].is_some() {
            return Ok(());
        }
        self.started += 1;
        let name = format!("worker-{}", self.started);
        self.diary.note(format_args!("{name} starts"));
        let cable = Cable::new();
        let mut config = EngineConfig::default();
        config.seed = Some(self.seed << 16 | self.started);
        config.worker = Some(WorkerId::new(name.as_str()));
        // Targets are asked about for half an hour, not for seconds.
        config.retry.max_attempts = 12;
        config.retry.schedule =
            Schedule::Exponential { base: Duration::from_secs(2), cap: Duration::from_secs(120) };
        config.limits.insert("instagram-web".into(), self.limits.limits()?);
        let proxies = ProxyReader::new(Arc::clone(&self.proxies));
        let transport = cable.to(Arc::clone(&self.wire)) as Arc<dyn Transport>;
        let engine = Engine::builder()
            .checker(Arc::new(WebChecker::new(transport, WebConfig::default())?))
            .queue(cable.to(Arc::clone(&self.ledger)) as Arc<dyn JobQueue>)
            .sessions(cable.to(Arc::clone(&self.sessions)) as Arc<dyn SessionStore>)
            .proxies(cable.to(Arc::new(proxies)) as Arc<dyn ProxySource>)
            .cache(cable.to(Arc::clone(&self.cache)) as Arc<dyn Cache>)
            .gate(Arc::clone(&self.gate))
            .clock(Arc::clone(&self.clock))
            .config(config)
            .build()?;
        let mut events = engine.subscribe(256, Overflow::Wait);
        let diary = Arc::clone(&self.diary);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::SessionChanged { session, state } => {
                        diary.note(format_args!("session {session} is {state:?}"));
                    }
                    Event::ProxyChanged { proxy, state } => {
                        diary.note(format_args!("proxy {proxy} is {state:?}"));
                    }
                    // The ledger has seen what became of jobs.
                    _ => {}
                }
            }
        });
        let engine = engine.start().await?;
        self.workers[place] = Some(Worker { name, engine, cable });
        Ok(())
    }

    /// A worker dies without a word.
    pub(crate) fn crash(&mut self, place: usize) {
        if let Some(Worker { name, engine, cable }) = self.workers[place].take() {
            self.diary.note(format_args!("{name} crashes"));
            cable.cut();
            self.wire.crashed();
            drop(engine);
        }
    }

    /// A worker is told to stop, and does.
    pub(crate) async fn stop(&mut self, place: usize) {
        if let Some(Worker { name, engine, .. }) = self.workers[place].take() {
            self.diary.note(format_args!("{name} is told to stop"));
            let drained = engine.shutdown(GRACE).await;
            self.diary.note(format_args!("{name} has stopped, in time: {}", drained.in_time));
        }
    }

    /// All workers are told to stop, one after the other.
    pub(crate) async fn stop_all(&mut self) {
        for place in 0..WORKERS {
            self.stop(place).await;
        }
    }

    /// The platform has new limits.
    pub(crate) fn allow(&self, allowed: Allowed) {
        self.platform.set_limits(Some(allowed.session.limit()), Some(allowed.proxy.limit()));
        self.wire.allow(allowed);
    }

    /// The platform thinks differently of a session from now on.
    pub(crate) fn judge_session(&self, session: usize, standing: Standing) {
        let at = Duration::from_millis(self.diary.now());
        let now = SimTime::from_unix_secs(START).saturating_add(at);
        self.platform.set_session_state(session, standing, Some(now));
    }

    /// The sessions that wait for their owner: out of use, and not by themselves back.
    pub(crate) async fn fallen(&self) -> Result<Vec<usize>> {
        let records = self.sessions.list(None, usize::MAX).await?;
        let fallen = records.iter().filter(|record| {
            !matches!(record.state, SessionState::Valid | SessionState::CoolingDown { .. })
        });
        Ok(fallen.filter_map(|record| number(&record.id)).collect())
    }

    /// The owner has dealt with what the platform wants of a session, and imports it anew.
    pub(crate) async fn reinstate(&self, session: usize) -> Result<()> {
        self.judge_session(session, Standing::LoggedIn);
        let mut fresh = record(&self.platform, session)?;
        let records = self.sessions.list(None, usize::MAX).await?;
        let old = records.into_iter().find(|old| old.id == fresh.id).context("it is stored")?;
        fresh.version = old.version;
        fresh.home_proxy = old.home_proxy;
        if matches!(self.sessions.put(vec![fresh]).await?[..], [PutReply::Stored { .. }]) {
            self.wire.reinstated(session);
        }
        Ok(())
    }
}

/// A session as its owner imports it.
fn record(platform: &Platform, index: usize) -> Result<SessionRecord> {
    let cookies = platform.session_credentials(index).context("there is such a session")?;
    let cookies = cookies.map(|(name, value)| Cookie::new(name, value)).to_vec();
    Ok(web_session_from_cookies(SessionId::new(format!("viewer_{index}")), cookies)?)
}

/// The number of a session.
fn number(id: &SessionId) -> Option<usize> {
    id.as_str().strip_prefix("viewer_")?.parse().ok()
}
