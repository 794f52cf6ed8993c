//! The official APIs: every answer of their checkers against the truth, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::Checker;
use story_checker_core::engine::{
    Engine, EngineConfig, EngineHandle, Event, Overflow, SubmitOptions, Subscription,
};
use story_checker_core::gate::Limits;
use story_checker_core::proxy::{Proxy, StaticProxySource};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::{InMemorySessionStore, SessionRecord, SessionStore};
use story_checker_core::{Clock, Report, Target, Timestamp, Verdict, VirtualClock};
use story_checker_http::instagram::{
    GraphChecker, GraphConfig, GraphLogin, GraphToken, graph_session,
};
use story_checker_http::x::{self, XChecker, XConfig, x_session};
use story_checker_sim::{
    AuditSummary, GraphSettings, Platform, Population, Rule, SimClock, SimConfig, SimTransport,
    Timestamp as SimTime, TruthKind, XSettings, XTruthKind, graph_item_id, numbered_name,
};

use super::world::{assert_clean, target};

/// Noon of a day in 2026.
const START: u64 = 1_795_262_400;

struct World {
    platform: Arc<Platform>,
    engine: EngineHandle,
    events: Subscription,
}

impl World {
    async fn start(
        config: SimConfig,
        checker: impl FnOnce(Arc<SimTransport>) -> Arc<dyn Checker>,
        records: impl FnOnce(&Platform) -> Vec<SessionRecord>,
    ) -> Self {
        let platform = Arc::new(Platform::new(config.with_expect_proxy(true)).unwrap());
        let clock: Arc<dyn Clock> =
            Arc::new(VirtualClock::starting_at(Timestamp::from_secs(START)));
        let sim_clock = SimClock::starting_at(SimTime::from_unix_secs(START));
        let transport = Arc::new(SimTransport::new(Arc::clone(&platform), sim_clock));
        let sessions = Arc::new(InMemorySessionStore::new(Arc::clone(&clock)));
        sessions.put(records(&platform)).await.unwrap();
        let proxies: Vec<_> =
            (0..12).map(|number| Proxy::new(format!("p{number}:1").parse().unwrap())).collect();
        let mut config = EngineConfig::default();
        for app in ["instagram-graph", "x-api"] {
            config.limits.insert(app.into(), Limits::default());
        }
        let engine = Engine::builder()
            .checker(checker(transport))
            .queue(Arc::new(InMemoryJobQueue::new(Arc::clone(&clock))))
            .sessions(sessions as Arc<dyn SessionStore>)
            .proxies(Arc::new(StaticProxySource::new(proxies)))
            .cache(Arc::new(InMemoryCache::new(Arc::clone(&clock))))
            .clock(clock)
            .config(config)
            .build()
            .unwrap()
            .start()
            .await
            .unwrap();
        let events = engine.subscribe(1_024, Overflow::Wait);
        Self { platform, engine, events }
    }

    async fn check(&mut self, targets: Vec<Target>) -> Vec<Arc<Report>> {
        let count = targets.len();
        self.engine.submit(targets, SubmitOptions::default()).await.unwrap();
        let mut reports = Vec::with_capacity(count);
        while reports.len() < count {
            if let Event::Reported { report, .. } = self.events.next().await.unwrap() {
                reports.push(report);
            }
        }
        reports
    }

    async fn end(self) -> AuditSummary {
        self.engine.shutdown(Duration::from_secs(10)).await;
        self.platform.audit()
    }
}

/// When the platform answered, or else when the check ended.
fn at(report: &Report) -> SimTime {
    let at = report.evidence.server_time.unwrap_or(report.timings.ended);
    SimTime::from_unix_millis(at.as_millis())
}

fn ids(report: &Report) -> Vec<String> {
    let mut ids: Vec<_> = report.items.iter().map(|item| item.id.clone()).collect();
    ids.sort_unstable();
    ids
}

fn sorted(ids: impl Iterator<Item = u64>) -> Vec<String> {
    let mut ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    ids.sort_unstable();
    ids
}

/// How many accounts have a token, and how many are asked about.
const TOKENS: usize = 60;
const ACCOUNTS: u32 = 80;

async fn graph_world(seed: u64) -> World {
    let busy = Population::default().with_mix(20, 5, 10).with_posting(80, 1.0);
    let graph = GraphSettings::new(TOKENS, SimTime::from_unix_secs(START))
        .with_token_lifetime(Duration::from_secs(11 * 86_400));
    let config = SimConfig::new(seed).with_population(busy).with_graph(graph);
    let checker = |transport: Arc<SimTransport>| {
        let mut config = GraphConfig::default();
        config.page_size = 5;
        config.discover = true;
        Arc::new(GraphChecker::new(transport, config).unwrap()) as Arc<dyn Checker>
    };
    World::start(config, checker, |platform| {
        let record = |index| {
            let token = platform.graph_token(index).unwrap();
            let mut graph =
                GraphToken::new(token.access_token, token.ig_user_id, token.username.clone());
            graph.login = GraphLogin::Instagram;
            graph.issued_at = Some(Timestamp::from_millis(token.issued_at.unix_millis()));
            graph.expires_at = Some(Timestamp::from_millis(token.expires_at.unix_millis()));
            graph_session(token.username.as_str().into(), graph).unwrap()
        };
        (0..TOKENS).map(record).collect()
    })
    .await
}

fn graph_targets() -> Vec<Target> {
    (0..ACCOUNTS).map(|number| target(&numbered_name(number))).collect()
}

/// Whether a report of the Graph checker is true; nothing known about an account that is there, but
/// has no token, is all that can be said.
fn judge_graph(platform: &Platform, report: &Report) {
    let name = report.target.handle();
    let number: usize = name["acct_".len()..].parse().unwrap();
    let Some(truth) = platform.graph_truth(number, at(report)) else {
        let is_there = platform.graph_discovers(name, at(report));
        assert_eq!(report.verdict == Verdict::NotFound, !is_there, "{report:#?}");
        return;
    };
    match (&report.verdict, truth.kind) {
        (Verdict::Active, TruthKind::Active) => {
            let expected = truth.items.iter().map(|item| graph_item_id(item.pk));
            assert_eq!(ids(report), sorted(expected), "{report:#?}");
        }
        (Verdict::NoStory, TruthKind::NoStory) => assert!(report.evidence.weak),
        _ => panic!("{report:#?}\nbut the truth is {truth:#?}"),
    }
}

async fn x_world(seed: u64) -> World {
    let x = XSettings::new(3).with_mix(10, 10, 10).with_posting(80, 4.0, 50);
    let checker = |transport: Arc<SimTransport>| {
        Arc::new(XChecker::new(transport, XConfig::default()).unwrap()) as Arc<dyn Checker>
    };
    World::start(SimConfig::new(seed).with_x(x), checker, |platform| {
        let record = |index| {
            let token = platform.x_token(index).unwrap();
            x_session(format!("x_{index}").as_str().into(), &token).unwrap()
        };
        (0..3).map(record).collect()
    })
    .await
}

fn x_targets() -> Vec<Target> {
    let accounts = (0..150).map(|number| x::account(&numbered_name(number)).unwrap());
    let tags = ["tea", "oven", "nobody_says_this"].map(|tag| x::hashtag(tag).unwrap());
    let query = x::query("from:acct_000003 OR from:acct_000004").unwrap();
    accounts.chain(tags).chain([query]).collect()
}

fn judge_x(platform: &Platform, report: &Report) {
    let (now, handle) = (at(report), report.target.handle());
    let since = now.saturating_sub(Duration::from_secs(86_400));
    let truth = match report.target.kind().as_str() {
        "account" => platform.x_truth(handle, since, now),
        "hashtag" => {
            let query = format!("#{handle} has:media -is:retweet");
            platform.x_search_truth(&query, since, now).unwrap()
        }
        _ => platform.x_search_truth(handle, since, now).unwrap(),
    };
    let same = matches!(
        (&report.verdict, truth.kind),
        (Verdict::Active, XTruthKind::Active)
            | (Verdict::NoStory, XTruthKind::NoPosts)
            | (Verdict::Private, XTruthKind::Protected)
            | (Verdict::Suspended, XTruthKind::Suspended)
            | (Verdict::NotFound, XTruthKind::NotFound)
    );
    assert!(same, "{report:#?}\nbut the truth is {truth:#?}");
    assert_eq!(ids(report), sorted(truth.posts.iter().map(|post| post.id)), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn graph_answers_equal_the_truth_and_tokens_are_renewed() {
    let mut world = graph_world(31).await;
    let mut counts = BTreeMap::new();
    // Tokens that have less than ten days left are renewed.
    for _ in 0..4 {
        for report in world.check(graph_targets()).await {
            *counts.entry(report.verdict.as_str()).or_insert(0) += 1;
            judge_graph(&world.platform, &report);
        }
        tokio::time::sleep(Duration::from_secs(9 * 3_600)).await;
    }
    let audit = world.end().await;
    println!("{counts:?}, {:?}", audit.by_route);
    assert_clean(&audit);
    assert!(audit.by_route["graph_refresh"] >= TOKENS as u64);
    assert!(counts["active"] > 50 && counts["no_story"] > 50, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn x_answers_equal_the_truth() {
    let mut world = x_world(32).await;
    let mut counts = BTreeMap::new();
    for _ in 0..3 {
        for report in world.check(x_targets()).await {
            *counts.entry(report.verdict.as_str()).or_insert(0) += 1;
            judge_x(&world.platform, &report);
        }
        tokio::time::sleep(Duration::from_secs(5 * 3_600)).await;
    }
    let audit = world.end().await;
    println!("{counts:?}, {:?}", audit.by_route);
    assert_clean(&audit);
    assert_eq!(counts.len(), 5, "{counts:?}");
}

/// Checks twice among faults, and returns how many reports knew something.
async fn told(world: &mut World, targets: &[Target], judge: fn(&Platform, &Report)) -> usize {
    world.platform.add_rule(Rule::mix(10.0)).unwrap();
    let mut told = 0;
    for _ in 0..2 {
        for report in world.check(targets.to_vec()).await {
            if !matches!(report.verdict, Verdict::Unknown { .. }) {
                told += 1;
                judge(&world.platform, &report);
            }
        }
        tokio::time::sleep(Duration::from_secs(1_800)).await;
    }
    told
}

#[tokio::test(start_paused = true)]
async fn what_graph_tells_among_faults_is_true() {
    let mut world = graph_world(33).await;
    let told = told(&mut world, &graph_targets(), judge_graph).await;
    let audit = world.end().await;
    println!("{told} told, {} requests, faults: {:?}", audit.total, audit.faults);
    assert!(told >= 2 * TOKENS * 9 / 10, "{told}");
    assert_clean(&audit);
}

#[tokio::test(start_paused = true)]
async fn what_x_tells_among_faults_is_true() {
    let mut world = x_world(34).await;
    let targets = x_targets();
    let told = told(&mut world, &targets, judge_x).await;
    let audit = world.end().await;
    println!("{told} told, {} requests, faults: {:?}", audit.total, audit.faults);
    assert!(told >= 2 * targets.len() * 9 / 10, "{told}");
    assert_clean(&audit);
}
