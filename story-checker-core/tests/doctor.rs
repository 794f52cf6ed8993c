//! What bounds an engine is named, and what is advised helps.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use story_checker_core::cache::InMemoryCache;
use story_checker_core::checker::CheckerProfile;
use story_checker_core::engine::{Bottleneck, Diagnosis, SubmitOptions, diagnose, read_status};
use story_checker_core::gate::{Gate, Key, KeyClass, Limit, Limits, Quota};
use story_checker_core::proxy::{ProxySource, ProxyState};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::{SessionState, SessionStore};
use story_checker_core::testing::{Faulty, Mishap, Plan};
use story_checker_core::{Class, Clock, Fault, Platform, Scope, Verdict};

use crate::support::{Acting, SECOND, START, Scripted, World, active, kind, report, targets};

const MILLI: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A situation of one engine.
#[derive(Clone)]
struct Setup {
    jobs: usize,
    sessions: usize,
    logged_out: bool,
    in_flight: usize,
    proxies: &'static [&'static str],
    resting: bool,
    limits: Limits,
    blocked: bool,
    call: Duration,
    slow_proxy: Duration,
    fails: bool,
    store: Duration,
    paused: bool,
}

fn sound() -> Setup {
    Setup {
        jobs: 5_000,
        sessions: 20,
        logged_out: false,
        in_flight: 100,
        proxies: &["a", "b", "c", "d"],
        resting: false,
        limits: Limits::default(),
        blocked: false,
        call: 500 * MILLI,
        slow_proxy: Duration::ZERO,
        fails: false,
        store: Duration::ZERO,
        paused: false,
    }
}

fn per_minute(requests: u32) -> Option<Limit> {
    Some(Quota::new(requests, MINUTE).unwrap().into())
}

/// Runs the situation for a minute; says what was diagnosed, and how many answers there were.
async fn run(setup: &Setup) -> (Diagnosis, u64) {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.session = Some(kind());
    profile.endpoints = vec!["story"];
    profile.limits = setup.limits.clone();
    let Setup { call, slow_proxy, fails, .. } = *setup;
    let checker = Acting::new(profile, move |targets, cx| async move {
        let pass = match cx.pass("story").await {
            Ok(pass) => pass,
            Err(fault) => return targets.iter().map(|_| Err(fault.clone())).collect(),
        };
        let is_slow = cx.proxy().is_some_and(|proxy| proxy.id().as_str() == "http://d:1");
        tokio::time::sleep(if is_slow { call + slow_proxy } else { call }).await;
        pass.settle(None, SECOND);
        let answer = |target| match fails {
            true => Err(Fault::new(Class::Transient, Scope::Endpoint, "an error of the server")),
            false => report(target, Verdict::NoStory),
        };
        targets.iter().map(answer).collect()
    });
    let unused = Scripted::new(1, |target, _, _| active(target));
    let mut world = World::new(unused, setup.sessions).await.with_proxies(setup.proxies);
    world.config.max_in_flight = NonZeroUsize::new(setup.in_flight).unwrap();
    let queue = Arc::new(Faulty::new(InMemoryJobQueue::new(world.clock.clone())));
    world.queue = queue.clone();
    if setup.logged_out {
        let mut records = world.sessions.list(None, 1_000).await.unwrap();
        for record in &mut records {
            record.state = SessionState::NeedsLogin { reason: "logged out".into() };
        }
        world.sessions.put(records).await.unwrap();
    }
    if setup.resting {
        let source = world.proxies.clone().unwrap();
        let until = START + 60 * MINUTE;
        let rest = ProxyState::Cooling { until, reason: "407".into() };
        let listed = source.list().await.unwrap();
        let states: Vec<_> =
            listed.iter().map(|proxy| (proxy.id().clone(), rest.clone())).collect();
        source.save(&states).await.unwrap();
    }
    let gate = Arc::new(Gate::new(world.clock.clone()));
    if setup.blocked {
        gate.block_until(&Key::new(KeyClass::App, "instagram"), START + 60 * MINUTE);
    }
    let engine = world.builder_of(checker).gate(gate).build().unwrap().start().await.unwrap();
    if setup.paused {
        engine.pause();
    }
    engine.submit(targets(setup.jobs), SubmitOptions::default()).await.unwrap();
    if !setup.store.is_zero() {
        let late = std::iter::repeat_n(Mishap::Late(setup.store), 100_000);
        queue.set_plan(Plan::Script(VecDeque::from_iter(late)));
    }
    tokio::time::sleep(MINUTE).await;
    let stats = engine.stats();
    let diagnosis = engine.why_not_scaling();
    queue.set_plan(Plan::Calm);
    engine.shutdown(Duration::ZERO).await;
    (diagnosis, stats.reported - stats.unknown)
}

#[tokio::test(start_paused = true)]
async fn the_bottleneck_is_named_and_the_advised_change_raises_the_throughput() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let limit = |of: &str| Bottleneck::Limit(of.to_owned());
    let slow = Bottleneck::SlowProxy("http://d:1".to_owned());
    let endpoint = |limits: &mut Limits, requests| {
        limits.endpoints.insert("story".to_owned(), per_minute(requests).unwrap());
    };
    let mut narrow = Limits::default();
    endpoint(&mut narrow, 30);
    let mut wide = Limits::default();
    endpoint(&mut wide, 300);
    // (what bounds it, the situation, the same after the advised change)
    let situations = [
        (
            limit("app"),
            Setup { limits: limits(|it| it.app = per_minute(60)), ..sound() },
            Setup { limits: limits(|it| it.app = per_minute(600)), ..sound() },
        ),
        (
            limit("session"),
            Setup { limits: limits(|it| it.session = per_minute(6)), ..sound() },
            Setup { limits: limits(|it| it.session = per_minute(6)), sessions: 40, ..sound() },
        ),
        (
            limit("proxy"),
            Setup { limits: limits(|it| it.proxy = per_minute(6)), ..sound() },
            Setup { limits: limits(|it| it.proxy = per_minute(60)), ..sound() },
        ),
        (limit("endpoint"), Setup { limits: narrow, ..sound() }, Setup { limits: wide, ..sound() }),
        (Bottleneck::Sessions, Setup { sessions: 2, ..sound() }, sound()),
        (Bottleneck::SessionsOut, Setup { logged_out: true, ..sound() }, sound()),
        (slow, Setup { slow_proxy: 10 * SECOND, ..sound() }, sound()),
        (Bottleneck::Concurrency, Setup { in_flight: 4, ..sound() }, sound()),
        (
            Bottleneck::PlatformSlow,
            Setup { call: 5 * SECOND, ..sound() },
            Setup { call: 5 * SECOND, sessions: 40, ..sound() },
        ),
        (
            Bottleneck::Store,
            Setup { store: SECOND, call: 10 * MILLI, ..sound() },
            Setup { call: 10 * MILLI, ..sound() },
        ),
        (Bottleneck::NoWork, Setup { jobs: 20, ..sound() }, sound()),
        (Bottleneck::Blocked, Setup { blocked: true, ..sound() }, sound()),
        (Bottleneck::Proxies, Setup { resting: true, ..sound() }, sound()),
        (Bottleneck::Retries, Setup { fails: true, ..sound() }, sound()),
        (Bottleneck::Held, Setup { paused: true, ..sound() }, sound()),
    ];
    let mut wrong = Vec::new();
    for (expected, before, after) in situations {
        let (diagnosis, slow) = run(&before).await;
        let (_, fast) = run(&after).await;
        println!("{expected:?}: {slow} -> {fast} a minute; {diagnosis}");
        if diagnosis.bottleneck != expected || fast <= slow {
            wrong.push(format!("{expected:?} ({slow} -> {fast}): {diagnosis:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_says_how_it_goes_also_after_its_end() {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 2).await;
    let board = Arc::new(InMemoryCache::new(world.clock.clone()));
    let engine = world.builder().board(board.clone()).build().unwrap().start().await.unwrap();
    let worker = engine.worker().clone();
    assert!(read_status(&*board, std::slice::from_ref(&worker)).await.unwrap().is_empty());
    engine.submit(targets(30), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    engine.shutdown(SECOND).await;
    let status = read_status(&*board, &[worker.clone(), "another".into()]).await.unwrap();
    assert_eq!((status.len(), &status[0].worker), (1, &worker));
    assert_eq!((status[0].in_flight, status[0].shares.calls), (0, 30));
    assert!(status[0].at <= world.clock.now());
    assert_eq!(diagnose(&status[0].shares).bottleneck, Bottleneck::NoWork);
}

#[tokio::test(start_paused = true)]
async fn reports_tell_what_their_jobs_waited_for() {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.session = Some(kind());
    profile.limits.app = per_minute(6);
    let checker = Acting::each("acting/1", profile, |target, _| report(target, Verdict::NoStory));
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let (engine, mut events) = world.start_with(checker).await;
    // Nothing takes a pass, so one is taken from beside.
    engine.submit(targets(2), SubmitOptions::default()).await.unwrap();
    let reports = crate::support::reports(&mut events, 2, |_| {}).await;
    assert!(reports.iter().all(|report| report.timings.queued < SECOND), "{reports:?}");
    engine.shutdown(SECOND).await;

    let slow = Scripted::new(1, |target, _, _| {
        crate::support::Step::After(10 * SECOND, report(target, Verdict::NoStory))
    });
    let world = World::new(slow, 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(2), SubmitOptions::default()).await.unwrap();
    let reports = crate::support::reports(&mut events, 2, |_| {}).await;
    let second = reports[1].timings;
    assert!(second.queued >= 10 * SECOND && second.queued < 11 * SECOND, "{second:?}");
    assert!(second.pair_wait > 9 * SECOND && second.pair_wait <= second.queued, "{second:?}");
    assert_eq!(second.limiter_wait, Duration::ZERO);
    engine.shutdown(SECOND).await;
}
