//! A fallback of which only a part needs the session that is missing: the rest goes on.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::checker::{CheckContext, Checker, CheckerProfile, Fallback};
use story_checker_core::engine::SubmitOptions;
use story_checker_core::gate::Quota;
use story_checker_core::proxy::{ProxySource, ProxyState};
use story_checker_core::session::{SessionLeaseRequest, SessionState, SessionStore};
use story_checker_core::{
    Cause, Class, Clock, Evidence, Fault, Platform, Report, Scope, Target, Timestamp, Timings,
    Verdict,
};

use crate::support::{
    Acting, Answer, SECOND, START, Scripted, World, active, kind, report, reports, target, targets,
};

/// Graph knows `acct_0` only, and needs no session.
fn knows_one(target: &Target, _: &CheckContext) -> Answer {
    match target.handle() {
        "acct_0" => report(target, Verdict::NoStory),
        _ => Err(Fault::new(Class::AuthRequired, Scope::Target, "no token of this account")),
    }
}

/// Graph has an answer for everybody, and sees not everything.
fn weak(target: &Target, _: &CheckContext) -> Answer {
    let mut evidence = Evidence::new("graph/1");
    evidence.weak = true;
    Ok(Report::new(target.clone(), Verdict::NoStory, evidence, Timings::default()))
}

fn graph(
    answer: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
) -> Arc<dyn Checker> {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.app = "graph".into();
    Acting::each("graph/1", profile, answer)
}

fn web_profile() -> CheckerProfile {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.app = "web".into();
    profile.session = Some(kind());
    profile
}

/// Web takes its time, and finds a story.
fn web(profile: CheckerProfile, time: Duration) -> Arc<dyn Checker> {
    Acting::new(profile, move |targets, cx| async move {
        let mut pass = match cx.pass("stories").await {
            Ok(pass) => pass,
            Err(fault) => return vec![Err(fault)],
        };
        assert!(cx.session().is_some());
        pass.mark_sent();
        tokio::time::sleep(time).await;
        vec![report(&targets[0], Verdict::Active)]
    })
}

fn fallback(graph: Arc<dyn Checker>, web: Arc<dyn Checker>) -> Arc<Fallback> {
    Arc::new(Fallback::new(vec![graph, web]).unwrap())
}

/// A world with one web session in each of these states.
async fn world(states: impl IntoIterator<Item = SessionState>) -> World {
    let states: Vec<_> = states.into_iter().collect();
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), states.len()).await;
    let mut records = world.sessions.list(None, 100).await.unwrap();
    for (record, state) in records.iter_mut().zip(states) {
        record.state = state;
    }
    world.sessions.put(records).await.unwrap();
    world
}

fn rest(until: Timestamp) -> SessionState {
    SessionState::CoolingDown { until, reason: "429".into() }
}

fn cause(report: &Report) -> &Cause {
    match &report.verdict {
        Verdict::Unknown { cause } => cause,
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn when_only_the_operator_can_bring_a_session_the_rest_ends_with_the_census() {
    let reason = String::new;
    for (states, class, says) in [
        (vec![], Class::AuthRequired, "there is no session of the kind test: import one"),
        (
            vec![SessionState::Challenged { reason: reason() }, SessionState::Retired],
            Class::ChallengeRequired,
            "(1 challenged, 1 retired): answer the challenge in the app",
        ),
        (
            vec![SessionState::NeedsLogin { reason: reason() }, SessionState::Expired],
            Class::AuthRequired,
            "(1 needs login, 1 expired): log in again",
        ),
    ] {
        let world = world(states).await.with_proxies(&["a", "b"]);
        let graph = graph(|target, cx| {
            assert!(cx.session().is_none() && cx.proxy().is_some());
            knows_one(target, cx)
        });
        let (engine, mut events) =
            world.start_with(fallback(graph, web(web_profile(), SECOND))).await;
        engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
        let mut all = reports(&mut events, 3, |_| {}).await;
        all.sort_by_key(|report| report.target.to_string());
        assert_eq!(all[0].verdict, Verdict::NoStory);
        for report in &all[1..] {
            let cause = cause(report);
            assert_eq!((cause.class, cause.scope), (class, Scope::Target), "{cause:?}");
            assert!(cause.message.contains(says), "{cause:?}");
            assert!(cause.message.ends_with("graph/1 could not answer: no token of this account"));
        }
        assert!(world.elapsed() < SECOND * 2, "{:?}", world.elapsed());
        engine.shutdown(SECOND).await;
        assert_eq!((engine.stats().retried, engine.stats().deferred), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_on_the_way_lets_the_rest_go_on_without() {
    let world = world([SessionState::Valid]).await;
    let challenged = Acting::each("web/1", web_profile(), |_, _| {
        Err(Fault::new(Class::ChallengeRequired, Scope::Session, "checkpoint"))
    });
    let (engine, mut events) = world.start_with(fallback(graph(knows_one), challenged)).await;
    engine.submit([target("other")], SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    assert_eq!(cause(&all[0]).class, Class::ChallengeRequired);
    engine.submit([target("acct_0")], SubmitOptions::default()).await.unwrap();
    assert_eq!(reports(&mut events, 1, |_| {}).await[0].verdict, Verdict::NoStory);
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().deferred, 1, "the one that met the challenge");
}

#[tokio::test(start_paused = true)]
async fn while_sessions_rest_the_rest_waits_at_no_cost_and_graph_goes_on() {
    let until = START + SECOND * 700;
    let mut world = world([rest(until)]).await;
    world.config.give_up_early = true;
    let (engine, mut events) =
        world.start_with(fallback(graph(knows_one), web(web_profile(), SECOND))).await;
    engine.submit(targets(2), SubmitOptions::default().with_deadline(SECOND * 900)).await.unwrap();
    assert_eq!(reports(&mut events, 1, |_| {}).await[0].verdict, Verdict::NoStory);
    assert!(world.elapsed() < SECOND, "{:?}", world.elapsed());
    let why = engine.why_not(&target("acct_1")).await.unwrap();
    assert_eq!((why.class, why.not_before), (Class::RateLimited, Some(until)));
    let after = reports(&mut events, 1, |_| {}).await;
    assert_eq!(after[0].verdict, Verdict::Active);
    assert!(world.clock.now().since(until) < SECOND * 3, "{}", world.clock.now());
    engine.shutdown(SECOND).await;
    assert_eq!((engine.stats().retried, engine.stats().deferred), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_in_use_or_may_go_soon_is_not_bypassed() {
    let slow = web(web_profile(), SECOND * 40);
    let mut limited = web_profile();
    limited.limits.session = Some(Quota::new(1, SECOND * 20).unwrap().into());
    let limited = web(limited, SECOND);
    let quick = web(web_profile(), SECOND);
    let (valid, other) = (SessionState::Valid, Some("other"));
    for (state, holder, web, least) in [
        (valid.clone(), None, slow, 120),
        (valid.clone(), None, limited, 40),
        (rest(START + SECOND * 20), None, quick.clone(), 20),
        (valid, other, quick, 25),
    ] {
        let world = world([state]).await;
        if let Some(worker) = holder {
            let request = SessionLeaseRequest::new(kind(), worker.into(), SECOND * 25, 1);
            assert_eq!(world.sessions.lease(&request).await.unwrap().sessions.len(), 1);
        }
        let (engine, mut events) = world.start_with(fallback(graph(weak), web)).await;
        engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
        for report in reports(&mut events, 3, |_| {}).await {
            assert_eq!(report.verdict, Verdict::Active, "confirmed");
        }
        assert!(world.elapsed() >= SECOND * least, "{:?}", world.elapsed());
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_home_is_closed_holds_nobody_up() {
    let closed = [
        ProxyState::Disabled { reason: "operator".into() },
        ProxyState::Cooling { until: START + SECOND * 3_000, reason: "407".into() },
    ];
    for state in closed {
        let world = world([SessionState::Valid]).await.with_proxies(&["a", "b"]);
        let proxies = world.proxies.clone().unwrap();
        let ids: Vec<_> = proxies.list().await.unwrap().iter().map(|it| it.id().clone()).collect();
        proxies.save(&[(ids[0].clone(), state)]).await.unwrap();
        let mut record = world.record("s0").await;
        record.home_proxy = Some(ids[0].clone());
        world.sessions.put(vec![record]).await.unwrap();
        let open = ids[1].clone();
        let graph = graph(move |target, cx| {
            assert_eq!(cx.proxy().unwrap().id(), &open);
            knows_one(target, cx)
        });
        let (engine, mut events) =
            world.start_with(fallback(graph, web(web_profile(), SECOND))).await;
        let options = SubmitOptions::default().with_deadline(SECOND * 600);
        engine.submit(targets(2), options).await.unwrap();
        assert_eq!(reports(&mut events, 1, |_| {}).await[0].verdict, Verdict::NoStory);
        assert!(world.elapsed() < SECOND * 10, "{:?}", world.elapsed());
        assert_eq!(cause(&reports(&mut events, 1, |_| {}).await[0]).scope, Scope::Ours);
        engine.shutdown(SECOND).await;
        assert_eq!(engine.stats().sessions, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_of_fallbacks_goes_on_too_and_a_checker_that_needs_its_session_does_not() {
    let inner = fallback(graph(knows_one), web(web_profile(), SECOND));
    let outer = fallback(inner, web(web_profile(), SECOND));
    let waits = world([]).await;
    let (engine, mut events) = waits.start_with(outer).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    assert_eq!(reports(&mut events, 1, |_| {}).await[0].verdict, Verdict::NoStory);
    engine.shutdown(SECOND).await;

    let waits = world([]).await;
    let (engine, mut events) = waits.start_with(web(web_profile(), SECOND)).await;
    let options = SubmitOptions::default().with_deadline(SECOND * 60);
    engine.submit(targets(1), options).await.unwrap();
    let cause_of = reports(&mut events, 1, |_| {}).await;
    assert_eq!(cause(&cause_of[0]).scope, Scope::Ours);
    assert!(waits.elapsed() >= SECOND * 60, "the operator may bring one until then");
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().checks, 0);
}
