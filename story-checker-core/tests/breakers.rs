//! Endpoints and proxies that fail again and again are left alone; nobody else pays for it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use story_checker_core::checker::{CheckContext, Checker, CheckerProfile, Fallback};
use story_checker_core::engine::{Event, SubmitOptions};
use story_checker_core::gate::{BreakerState, Gate, Key, KeyClass};
use story_checker_core::proxy::ProxyState;
use story_checker_core::{
    Class, Clock, Error, ErrorKind, Fault, Platform, Scope, Target, Timestamp, Verdict,
};

use crate::support::{
    Acting, Answer, SECOND, START, Scripted, World, active, kind, report, reports, targets,
};

type Request = dyn Fn(&Target, &CheckContext) -> Answer + Send + Sync;

/// Makes one request per target, of a second each.
fn asking(
    requests: Arc<AtomicUsize>,
    request: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
) -> Arc<Acting> {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.session = Some(kind());
    profile.endpoints = vec!["story"];
    let request: Arc<Request> = Arc::new(request);
    Acting::new(profile, move |targets, cx| {
        let (request, requests) = (Arc::clone(&request), Arc::clone(&requests));
        async move {
            let mut answers = Vec::new();
            for target in &targets {
                let mut pass = match cx.pass("story").await {
                    Ok(pass) => pass,
                    Err(fault) => {
                        answers.push(Err(fault));
                        continue;
                    }
                };
                pass.mark_sent();
                requests.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(SECOND).await;
                let answer = request(target, &cx);
                pass.settle(answer.as_ref().err(), SECOND * 60);
                answers.push(answer);
            }
            answers
        }
    })
}

async fn world(sessions: usize, proxies: usize) -> World {
    let unused = Scripted::new(1, |target, _, _| active(target));
    let hosts: Vec<_> = (0..proxies).map(|number| format!("p{number}")).collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    World::new(unused, sessions).await.with_proxies(&hosts)
}

/// What was told until all reports were there.
#[derive(Default)]
struct Told {
    opened: BTreeSet<Key>,
    attempts_used: usize,
    proxies: Vec<(String, ProxyState)>,
    /// When the endpoint was open last, and until when.
    endpoint: Option<(Timestamp, Timestamp)>,
}

impl Told {
    fn note(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::BreakerChanged(change) if change.to == BreakerState::Open => {
                self.opened.insert(change.key.clone());
                if change.key.class() == KeyClass::Endpoint {
                    self.endpoint = Some((now, change.until.unwrap()));
                }
            }
            Event::ProxyChanged { proxy, state } => {
                self.proxies.push((proxy.to_string(), state.clone()));
            }
            Event::PutOff { attempt_used: true, .. } => self.attempts_used += 1,
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_outage_opens_one_breaker_and_costs_no_attempt_once_it_is_open() {
    let back = START + SECOND * 1_000;
    for scope in [Scope::Proxy, Scope::Endpoint] {
        let world = world(50, 50).await;
        let (requests, first) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let first_answer = Arc::clone(&first);
        let checker = asking(Arc::clone(&requests), move |target, cx| {
            if cx.now() < back {
                return Err(Fault::new(Class::Timeout, scope, "nobody answers"));
            }
            first_answer.lock().unwrap().get_or_insert(cx.now());
            report(target, Verdict::Active)
        });
        let (engine, mut events) = world.start_with(checker).await;
        engine.submit(targets(200), SubmitOptions::default()).await.unwrap();
        let mut told = Told::default();
        let clock = Arc::clone(&world.clock);
        let during = Arc::clone(&requests);
        let mut asked = None;
        let all = reports(&mut events, 200, |event| {
            told.note(event, clock.now());
            if clock.now() < back {
                asked = Some(during.load(Ordering::SeqCst));
            }
        })
        .await;
        let case = format!("{scope}, {} attempts, {asked:?} requests", told.attempts_used);
        println!("{case}");
        assert!(all.iter().all(|report| report.verdict == Verdict::Active), "{case}");
        let endpoint = Key::new(KeyClass::Endpoint, "instagram/story");
        assert_eq!(told.opened, BTreeSet::from([endpoint]), "{case}");
        assert_eq!(told.proxies, [], "{case}: no proxy rests");
        assert!(told.attempts_used <= 5, "{case}: those that tripped it");
        // Fifty at once, and then a probe now and then.
        assert!(asked.unwrap() <= 50 + 12, "{case}");
        let (opened, until) = told.endpoint.unwrap();
        assert!(opened < back && until.since(opened) <= SECOND * 330, "{case}");
        let first = first.lock().unwrap().unwrap();
        assert!(first <= until + SECOND * 2, "{case}: {first}, open until {until}");
        assert!(world.clock.now() <= until + SECOND * 20, "{case}: {}", world.clock.now());
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_proxy_of_ten_rests_alone() {
    let mut world = world(10, 10).await;
    world.config.retry.max_attempts = 20;
    let checker = asking(Arc::default(), |target, cx| {
        if cx.proxy().unwrap().id().as_str() == "http://p3:1" {
            return Err(Fault::new(Class::Transient, Scope::Proxy, "reset"));
        }
        report(target, Verdict::Active)
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(500), SubmitOptions::default()).await.unwrap();
    let mut told = Told::default();
    let all = reports(&mut events, 500, |event| told.note(event, START)).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    assert_eq!(told.opened, BTreeSet::from([Key::new(KeyClass::Proxy, "http://p3:1")]));
    assert!(!told.proxies.is_empty());
    for (proxy, state) in &told.proxies {
        assert!(proxy == "http://p3:1" && matches!(state, ProxyState::Cooling { .. }), "{proxy}");
    }
    assert_eq!(told.attempts_used, 5);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_for_an_endpoint_that_is_left_alone_and_why_not_says_so() {
    let world = world(5, 5).await;
    let requests = Arc::new(AtomicUsize::new(0));
    let checker = asking(Arc::clone(&requests), |target, _| report(target, Verdict::Active));
    let gate = Arc::new(Gate::new(Arc::clone(&world.clock) as Arc<dyn Clock>));
    let until = START + SECOND * 600;
    gate.open_breaker(&Key::new(KeyClass::Endpoint, "instagram/story"), until);
    let builder = world.builder_of(checker).gate(Arc::clone(&gate));
    let engine = builder.build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(1_000, story_checker_core::engine::Overflow::Wait);
    engine.submit(targets(100), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND * 599).await;
    let stats = engine.stats();
    assert_eq!((stats.checks, stats.released, stats.deferred), (0, 0, 0), "{stats:?}");
    let cause = engine.why_not(&targets(1)[0]).await.unwrap();
    assert_eq!((cause.class, cause.scope), (Class::Transient, Scope::Endpoint));
    assert_eq!(cause.not_before, Some(until));
    let all = reports(&mut events, 100, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    assert_eq!(requests.load(Ordering::SeqCst), 100);
    assert_eq!(engine.stats().released, 0, "the probes were let through one by one");
    assert!(world.elapsed() < SECOND * 640, "{:?}", world.elapsed());
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_kept_stops_the_building_of_an_engine() {
    let mut world = world(1, 1).await;
    world.config.breakers.proxy.open = Duration::ZERO;
    let error: Error = world.builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("`open`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_goes_on_while_one_of_its_checkers_can_answer() {
    let world = world(2, 2).await;
    let part = |app: &'static str| {
        let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
        profile.app = app.into();
        profile.endpoints = vec!["story"];
        Acting::new(profile, |targets, cx| async move {
            let mut answers = Vec::new();
            for target in &targets {
                let pass = cx.pass("story").await;
                answers.push(pass.and_then(|pass| {
                    pass.settle(None, SECOND);
                    report(target, Verdict::Active)
                }));
            }
            answers
        })
    };
    let checkers: Vec<Arc<dyn Checker>> = vec![part("a"), part("b")];
    let fallback = Arc::new(Fallback::new(checkers).unwrap());
    let gate = Arc::new(Gate::new(Arc::clone(&world.clock) as Arc<dyn Clock>));
    let open = |app, seconds| {
        let key = Key::new(KeyClass::Endpoint, format!("{app}/story"));
        gate.open_breaker(&key, START + SECOND * seconds);
    };
    let builder = world.builder_of(fallback).gate(Arc::clone(&gate));
    let engine = builder.build().unwrap().start().await.unwrap();
    let mut events = engine.subscribe(1_000, story_checker_core::engine::Overflow::Wait);
    open("a", 1_000);
    engine.submit(targets(10), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 10, |_| {}).await;
    assert!(world.elapsed() < SECOND, "b answers");
    open("b", 500);
    engine.submit(targets(10), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND * 490).await;
    let checks = engine.stats().checks;
    reports(&mut events, 10, |_| {}).await;
    assert_eq!((checks, engine.stats().released), (10, 0), "both were left alone");
    engine.shutdown(SECOND).await;
}
