//! A checker that does what a test tells it, and an engine around it on paused time.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::engine::{
    Engine, EngineBuilder, EngineConfig, EngineHandle, Event, Overflow, Subscription,
};
use story_checker_core::gate::Gate;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::{InMemoryJobQueue, JobQueue};
use story_checker_core::session::{
    Cookie, Credentials, InMemorySessionStore, SessionHandle, SessionKind, SessionRecord,
    SessionState, SessionStore,
};
use story_checker_core::{
    Clock, Evidence, Fault, Platform, Report, SessionId, Target, Timestamp, Timings, Verdict,
    VirtualClock,
};

pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_251_600);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Answer = Result<Report, Fault>;
type Script = dyn Fn(&Target, &CheckContext, usize) -> Step + Send + Sync;

/// What a scripted check does for one target.
pub(crate) enum Step {
    /// Answers at once.
    Now(Answer),
    /// Answers after a while.
    After(Duration, Answer),
    Panic,
    /// Leaves the target without an answer.
    Nothing,
}

pub(crate) fn active(target: &Target) -> Step {
    Step::Now(report(target, Verdict::Active))
}

pub(crate) fn report(target: &Target, verdict: Verdict) -> Answer {
    Ok(Report::new(target.clone(), verdict, Evidence::new("scripted/1"), Timings::default()))
}

/// Runs a script per target; sees which sessions and proxies it is given.
pub(crate) struct Scripted {
    profile: CheckerProfile,
    script: Box<Script>,
    pub(crate) seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Calls with their number of targets.
    pub(crate) calls: Vec<usize>,
    /// How often each target was asked.
    pub(crate) asked: HashMap<String, usize>,
    /// Every (session, proxy) in the order of use.
    pub(crate) pairs: Vec<(Option<String>, Option<String>)>,
    busy: BTreeMap<String, usize>,
    /// A session was given to two calls at once.
    pub(crate) shared_session: bool,
    pub(crate) most_at_once: usize,
    at_once: usize,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted checker")
    }
}

pub(crate) fn kind() -> SessionKind {
    SessionKind::from_static("test")
}

impl Scripted {
    pub(crate) fn new(
        batch: usize,
        script: impl Fn(&Target, &CheckContext, usize) -> Step + Send + Sync + 'static,
    ) -> Arc<Self> {
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.max_batch = NonZeroUsize::new(batch).unwrap();
        profile.session = Some(kind());
        profile.endpoints = vec!["story"];
        Self::with_profile(profile, script)
    }

    pub(crate) fn with_profile(
        profile: CheckerProfile,
        script: impl Fn(&Target, &CheckContext, usize) -> Step + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { profile, script: Box::new(script), seen: Mutex::default() })
    }
}

/// Notes the end of a call also when it is dropped.
struct Busy<'a>(&'a Scripted, Option<String>);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.seen.lock().unwrap();
        seen.at_once -= 1;
        if let Some(session) = &self.1 {
            *seen.busy.get_mut(session).unwrap() -= 1;
        }
    }
}

#[async_trait]
impl Checker for Scripted {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Answer> {
        let session = cx.session().map(|session| session.id().to_string());
        let proxy = cx.proxy().map(ToString::to_string);
        let counts: Vec<_> = {
            let mut seen = self.seen.lock().unwrap();
            seen.calls.push(targets.len());
            seen.pairs.push((session.clone(), proxy));
            seen.at_once += 1;
            seen.most_at_once = seen.most_at_once.max(seen.at_once);
            if let Some(session) = &session {
                let busy = seen.busy.entry(session.clone()).or_default();
                *busy += 1;
                seen.shared_session |= seen.busy[session] > 1;
            }
            let ask = |target: &Target| {
                let asked = seen.asked.entry(target.handle().to_owned()).or_default();
                *asked += 1;
                *asked
            };
            targets.iter().map(ask).collect()
        };
        let _busy = Busy(self, session);
        let mut answers = Vec::new();
        for (target, count) in targets.iter().zip(counts) {
            match (self.script)(target, cx, count) {
                Step::Now(answer) => answers.push(answer),
                Step::After(time, answer) => {
                    tokio::time::sleep(time).await;
                    answers.push(answer);
                }
                Step::Panic => panic!("scripted panic"),
                Step::Nothing => {}
            }
        }
        answers
    }
}

type Act = dyn Fn(Vec<Target>, CheckContext) -> BoxFuture<'static, Vec<Answer>> + Send + Sync;

/// Runs an async function per call.
pub(crate) struct Acting {
    name: &'static str,
    profile: CheckerProfile,
    act: Box<Act>,
}

impl Acting {
    pub(crate) fn new<F: Future<Output = Vec<Answer>> + Send + 'static>(
        profile: CheckerProfile,
        act: impl Fn(Vec<Target>, CheckContext) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let act = move |targets: Vec<Target>, cx: CheckContext| act(targets, cx).boxed();
        Arc::new(Self { name: "acting/1", profile, act: Box::new(act) })
    }

    /// Answers at once for each target.
    pub(crate) fn each(
        name: &'static str,
        profile: CheckerProfile,
        answer: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        let act = move |targets: Vec<Target>, cx: CheckContext| {
            let answers = targets.iter().map(|target| answer(target, &cx)).collect();
            std::future::ready(answers).boxed()
        };
        Arc::new(Self { name, profile, act: Box::new(act) })
    }
}

impl fmt::Debug for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acting")
    }
}

impl fmt::Display for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[async_trait]
impl Checker for Acting {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Answer> {
        (self.act)(targets.to_vec(), cx.clone()).await
    }
}

/// The parts of a test engine, to look at from outside.
pub(crate) struct World {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) sessions: Arc<InMemorySessionStore>,
    pub(crate) checker: Arc<Scripted>,
    pub(crate) config: EngineConfig,
    pub(crate) proxies: Option<Arc<StaticProxySource>>,
}

impl World {
    pub(crate) async fn new(checker: Arc<Scripted>, sessions: usize) -> Self {
        let clock = Arc::new(VirtualClock::starting_at(START));
        let store = InMemorySessionStore::new(clock.clone());
        let record = |number: usize| {
            let cookie = Cookie::new("sessionid", format!("PLANTED-{number}"));
            let credentials = Credentials::from_cookies(vec![cookie]);
            SessionRecord::new(SessionId::new(format!("s{number}")), kind(), credentials)
        };
        store.put((0..sessions).map(record).collect()).await.unwrap();
        let mut config = EngineConfig::default();
        config.seed = Some(1);
        Self {
            queue: Arc::new(InMemoryJobQueue::new(clock.clone())),
            clock,
            sessions: Arc::new(store),
            checker,
            config,
            proxies: None,
        }
    }

    pub(crate) fn with_proxies(mut self, hosts: &[&str]) -> Self {
        let proxy = |host: &&str| Proxy::new(format!("{host}:1").parse().unwrap());
        self.proxies = Some(Arc::new(StaticProxySource::new(hosts.iter().map(proxy))));
        self
    }

    pub(crate) fn builder(&self) -> EngineBuilder {
        self.builder_of(self.checker.clone())
    }

    /// An engine around another checker than the world's own.
    pub(crate) fn builder_of(&self, checker: Arc<dyn Checker>) -> EngineBuilder {
        let builder = Engine::builder()
            .checker(checker)
            .queue(Arc::clone(&self.queue))
            .sessions(self.sessions.clone())
            .clock(self.clock.clone())
            .config(self.config.clone());
        match &self.proxies {
            Some(proxies) => builder.proxies(proxies.clone()),
            None => builder,
        }
    }

    pub(crate) async fn start(&self) -> (EngineHandle, Subscription) {
        let engine = self.builder().build().unwrap().start().await.unwrap();
        let events = engine.subscribe(10_000, Overflow::Wait);
        (engine, events)
    }

    pub(crate) async fn start_with(
        &self,
        checker: Arc<dyn Checker>,
    ) -> (EngineHandle, Subscription) {
        let engine = self.builder_of(checker).build().unwrap().start().await.unwrap();
        let events = engine.subscribe(10_000, Overflow::Wait);
        (engine, events)
    }

    pub(crate) async fn record(&self, session: &str) -> SessionRecord {
        let records = self.sessions.list(None, 1_000).await.unwrap();
        records.into_iter().find(|record| record.id.as_str() == session).unwrap()
    }

    pub(crate) async fn state(&self, session: &str) -> SessionState {
        self.record(session).await.state
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().since(START)
    }
}

/// A context for checkers without an engine, with a session of the [`kind`] of this name.
pub(crate) fn context(profile: &CheckerProfile, session: &str) -> CheckContext {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(START));
    let gate = Arc::new(Gate::new(Arc::clone(&clock)));
    let cache = Arc::new(InMemoryCache::new(Arc::clone(&clock)));
    let session = SessionHandle::new(SessionId::new(session.to_owned()), Arc::default());
    CheckContext::new(profile, gate, cache, clock).with_session(Some(Arc::new(session)))
}

pub(crate) fn targets(count: usize) -> Vec<Target> {
    (0..count).map(|number| target(&format!("acct_{number}"))).collect()
}

pub(crate) fn target(handle: &str) -> Target {
    format!("instagram/account/{handle}").parse().unwrap()
}

/// Receives until `count` reports are there; other events are passed to `also`.
pub(crate) async fn reports(
    events: &mut Subscription,
    count: usize,
    mut also: impl FnMut(&Event),
) -> Vec<Arc<Report>> {
    let mut reports = Vec::new();
    while reports.len() < count {
        let event = tokio::time::timeout(Duration::from_secs(100_000), events.next());
        match event.await.expect("the engine is stuck").expect("the engine has ended") {
            Event::Reported { report, .. } => reports.push(report),
            other => also(&other),
        }
    }
    reports
}
