//! Parts of checks on other pairs of the pool, and who pays for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use story_checker_core::checker::{CheckContext, CheckerProfile};
use story_checker_core::engine::{Event, SubmitOptions};
use story_checker_core::gate::{Limits, Quota};
use story_checker_core::session::{
    Cookie, Credentials, SessionHandle, SessionKind, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{Class, Clock, Fault, Platform, Scope, Target, Verdict};

use crate::support::{
    Acting, Answer, SECOND, START, Scripted, World, active, context, kind, report, reports, target,
    targets,
};

const GRAPH: SessionKind = SessionKind::from_static("graph");

/// What the engine leases for: a session of the kind `test`.
fn own() -> CheckerProfile {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.session = Some(kind());
    profile
}

/// What is borrowed for.
fn graph() -> CheckerProfile {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.app = "graph".into();
    profile.session = Some(GRAPH);
    profile
}

fn token(id: &str, account: &str) -> SessionRecord {
    let mut credentials = Credentials::default();
    credentials.tokens.insert("access_token".into(), "PLANTED".into());
    let mut record = SessionRecord::new(id.into(), GRAPH, credentials);
    record.account = Some(account.into());
    record
}

/// A world with one session of its own and tokens for these accounts, named as they.
async fn world(accounts: &[&str]) -> World {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let tokens = accounts.iter().map(|account| token(account, account)).collect();
    world.sessions.put(tokens).await.unwrap();
    world
}

/// Borrows the token of the target's account, takes its time, and lets `answer` speak.
async fn ask(
    target: Target,
    cx: CheckContext,
    time: Duration,
    answer: impl Fn(&Target, &CheckContext) -> Answer,
) -> Vec<Answer> {
    let loan = match cx.lend(&graph(), Some(target.handle())).await {
        Ok(loan) => loan,
        Err(fault) => return vec![Err(fault)],
    };
    tokio::time::sleep(time).await;
    let mut answers = [answer(&target, loan.context())];
    loan.give_back(&mut answers).await;
    answers.into()
}

fn checker(
    profile: CheckerProfile,
    answer: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
) -> Arc<Acting> {
    let answer = Arc::new(answer);
    Acting::new(profile, move |mut targets, cx| {
        let answer = Arc::clone(&answer);
        async move { ask(targets.remove(0), cx, Duration::ZERO, &*answer).await }
    })
}

fn cause(report: &story_checker_core::Report) -> &story_checker_core::Cause {
    match &report.verdict {
        Verdict::Unknown { cause } => cause,
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_target_is_asked_about_with_the_session_of_its_account() {
    for profile in [own(), CheckerProfile::new(Platform::INSTAGRAM)] {
        let world = world(&["acct_0", "acct_1", "acct_2"]).await.with_proxies(&["a", "b"]);
        let pairs: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let seen = Arc::clone(&pairs);
        let checker = checker(profile, move |target, cx| {
            let session = cx.session().unwrap().id().to_string();
            assert_eq!(session, target.handle());
            let proxy = cx.proxy().unwrap().id().to_string();
            let before = seen.lock().unwrap().insert(session, proxy.clone());
            assert!(before.is_none_or(|before| before == proxy), "always through its home");
            report(target, Verdict::Active)
        });
        let (engine, mut events) = world.start_with(checker).await;
        for _ in 0..3 {
            engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
            reports(&mut events, 3, |_| {}).await;
        }
        assert_eq!(engine.stats().panics, 0);
        let pairs = pairs.lock().unwrap().clone();
        for (session, proxy) in pairs {
            assert_eq!(world.record(&session).await.home_proxy, Some(proxy.as_str().into()));
        }
        engine.shutdown(SECOND).await;
        assert_eq!(engine.stats().sessions, 0, "all are given back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_on_a_loan_is_charged_to_its_session_and_to_no_other() {
    for (class, state) in [
        (Class::ChallengeRequired, "challenged"),
        (Class::AuthRequired, "needs_login"),
        (Class::RateLimited, "cooling_down"),
        (Class::Permanent, "suspended"),
    ] {
        let world = world(&["acct_0"]).await;
        let checker =
            checker(own(), move |_, _| Err(Fault::new(class, Scope::Session, "code 190")));
        let (engine, mut events) = world.start_with(checker).await;
        let options = SubmitOptions::default().with_deadline(SECOND * 60);
        engine.submit(targets(1), options).await.unwrap();
        let mut changed = Vec::new();
        let all = reports(&mut events, 1, |event| {
            if let Event::SessionChanged { session, state } = event {
                changed.push((session.to_string(), state.as_str()));
            }
        })
        .await;
        assert_eq!(changed, [("acct_0".to_owned(), state)]);
        assert_eq!(world.state("acct_0").await.as_str(), state);
        assert_eq!(world.state("s0").await, SessionState::Valid, "{class}");
        let cause = cause(&all[0]);
        if class == Class::RateLimited {
            assert_eq!((cause.class, cause.scope), (Class::RateLimited, Scope::Ours));
        } else {
            assert_eq!((cause.class, cause.scope), (Class::AuthRequired, Scope::Target));
            assert!(cause.message.contains("of the kind graph for the account acct_0"));
        }
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_both_pairs_in_one_check_go_to_their_own() {
    let world = world(&["acct_0"]).await;
    let checker = Acting::new(own(), |mut targets, cx| async move {
        let limited = |_: &Target, _: &CheckContext| {
            Err(Fault::new(Class::RateLimited, Scope::Session, "429"))
        };
        let mut answers = ask(targets.remove(0), cx.clone(), Duration::ZERO, limited).await;
        let mut fault = Fault::new(Class::ChallengeRequired, Scope::Session, "checkpoint");
        cx.charge(&mut fault);
        cx.charge(&mut fault);
        answers[0].as_mut().unwrap_err().message = "both failed".into();
        answers
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    let mut changed = BTreeMap::new();
    while changed.len() < 2 {
        if let Event::SessionChanged { session, state } = events.next().await.unwrap() {
            changed.insert(session.to_string(), state.as_str());
        }
    }
    let expected = [("acct_0".to_owned(), "cooling_down"), ("s0".to_owned(), "challenged")];
    assert_eq!(changed, BTreeMap::from(expected));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_of_a_borrowed_session_stops_the_check() {
    let mut world = world(&["acct_0"]).await;
    world.config.lease = SECOND * 6;
    let checker = Acting::new(own(), |mut targets, cx| async move {
        let first = cx.now().since(START) < SECOND;
        let time = if first { SECOND * 50 } else { SECOND };
        ask(targets.remove(0), cx, time, |target, _| report(target, Verdict::Active)).await
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    // The operator replaces the record under the running check.
    let record = world.record("acct_0").await;
    world.sessions.put(vec![record]).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert!(world.elapsed() < SECOND * 20, "{:?}", world.elapsed());
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().retried, 0, "a lost lease costs no attempt");
}

#[tokio::test(start_paused = true)]
async fn a_long_loan_is_renewed_and_one_that_is_over_stops_nothing() {
    let mut world = world(&["acct_0"]).await;
    world.config.lease = SECOND * 6;
    let checker = Acting::new(own(), |mut targets, cx| async move {
        let answer = |target: &Target, _: &CheckContext| report(target, Verdict::Active);
        let answers = ask(targets.remove(0), cx, SECOND * 20, answer).await;
        tokio::time::sleep(SECOND * 20).await;
        answers
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND * 25).await;
    let record = world.record("acct_0").await;
    world.sessions.put(vec![record]).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert_eq!(world.elapsed(), SECOND * 40, "neither was interrupted");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn refreshed_credentials_of_a_loan_are_stored() {
    let world = world(&["acct_0"]).await;
    let end = START + Duration::from_secs(60 * 86_400);
    let checker = checker(own(), move |target, cx| {
        cx.session().unwrap().update(|credentials| {
            credentials.tokens.insert("access_token".into(), "NEW".into());
            credentials.expires_at = Some(end);
        });
        report(target, Verdict::NoStory)
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    let stored = world.record("acct_0").await;
    assert_eq!(stored.credentials.tokens["access_token"].expose(), "NEW");
    assert_eq!(stored.credentials.expires_at, Some(end));
    assert_eq!(stored.account.as_deref(), Some("acct_0"));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn one_session_that_many_want_serves_them_in_turn_and_costs_no_attempts() {
    let world = world(&["shared"]).await;
    let at_once = Arc::new(Mutex::new((0, 0)));
    let count = Arc::clone(&at_once);
    let checker = Acting::new(CheckerProfile::new(Platform::INSTAGRAM), move |targets, cx| {
        let count = Arc::clone(&count);
        async move {
            let loan = match cx.lend(&graph(), None).await {
                Ok(loan) => loan,
                Err(fault) => return vec![Err(fault)],
            };
            {
                let mut count = count.lock().unwrap();
                count.0 += 1;
                count.1 = count.1.max(count.0);
            }
            tokio::time::sleep(SECOND / 2).await;
            count.lock().unwrap().0 -= 1;
            let mut answers = [report(&targets[0], Verdict::Active)];
            loan.give_back(&mut answers).await;
            answers.into()
        }
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(20), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 20, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    assert_eq!(at_once.lock().unwrap().1, 1, "never used twice at once");
    assert!(world.elapsed() < SECOND * 20, "{:?}", world.elapsed());
    assert_eq!((engine.stats().retried, engine.stats().deferred), (0, 0));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_session_that_must_rest_wait_for_its_rest() {
    let world = world(&["shared"]).await;
    let until = START + Duration::from_secs(300);
    let checker =
        Acting::new(CheckerProfile::new(Platform::INSTAGRAM), move |targets, cx| async move {
            let loan = match cx.lend(&graph(), None).await {
                Ok(loan) => loan,
                Err(fault) => return vec![Err(fault)],
            };
            tokio::time::sleep(SECOND / 2).await;
            let limited = Fault::new(Class::RateLimited, Scope::Session, "429").with_until(until);
            let active = report(&targets[0], Verdict::Active);
            let mut answers = [if cx.now() < until { Err(limited) } else { active }];
            loan.give_back(&mut answers).await;
            answers.into()
        });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(5), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 5, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active), "{all:?}");
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().deferred, 1, "the one that met the limit");
}

#[tokio::test(start_paused = true)]
async fn without_a_session_a_loan_is_a_way_out_of_its_own() {
    let world = world(&[]).await.with_proxies(&["a", "b"]);
    let mut limits = Limits::default();
    limits.proxy = Some(Quota::new(1, Duration::from_secs(60)).unwrap().into());
    let mut anonymous = CheckerProfile::new(Platform::INSTAGRAM);
    anonymous.limits = limits;
    let checker = Acting::new(own(), move |targets, cx| {
        let anonymous = anonymous.clone();
        async move {
            let loan = match cx.lend(&anonymous, None).await {
                Ok(loan) => loan,
                Err(fault) => return vec![Err(fault)],
            };
            assert!(loan.context().session().is_none() && loan.context().proxy().is_some());
            loan.context().pass("page").await.unwrap().mark_sent();
            vec![report(&targets[0], Verdict::NotFound)]
        }
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(4), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 4, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::NotFound), "{all:?}");
    assert!(world.elapsed() >= SECOND * 60, "each proxy lets one out in a minute");
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().panics, 0);
}

#[tokio::test(start_paused = true)]
async fn a_resting_session_is_waited_for_to_the_second() {
    let world = world(&[]).await;
    let until = START + Duration::from_secs(700);
    let mut record = token("acct_0", "acct_0");
    record.state = SessionState::CoolingDown { until, reason: "429".into() };
    world.sessions.put(vec![record]).await.unwrap();
    let checker = checker(own(), |target, _| report(target, Verdict::Active));
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert!(world.clock.now().since(until) < SECOND * 2, "{}", world.clock.now());
    assert_eq!((engine.stats().retried, engine.stats().deferred), (0, 0));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_loan_is_counted_under_its_own_names_and_limits() {
    let mut world = world(&["acct_0"]).await;
    let mut limits = Limits::default();
    limits.session = Some(Quota::new(6, Duration::from_secs(60)).unwrap().into());
    world.config.limits.insert("graph".into(), limits);
    world.config.patience = Duration::from_secs(30);
    let checker = Acting::new(own(), move |targets, cx| async move {
        let loan = cx.lend(&graph(), None).await.unwrap();
        for _ in 0..4 {
            loan.context().pass("stories").await.unwrap().mark_sent();
        }
        vec![report(&targets[0], Verdict::Active)]
    });
    let (engine, mut events) = world.start_with(checker).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert_eq!(world.elapsed(), SECOND * 30, "3 intervals of 10 s");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_stopped_while_it_borrows_leaks_nothing() {
    for stop_after in [SECOND / 2, SECOND * 3 / 2] {
        let world = world(&["acct_0"]).await;
        let checker = Acting::new(own(), |mut targets, cx| async move {
            let answer = |target: &Target, _: &CheckContext| report(target, Verdict::Active);
            ask(targets.remove(0), cx, SECOND, answer).await
        });
        let (engine, _events) = world.start_with(checker).await;
        engine.submit(vec![target("acct_0"); 1], SubmitOptions::default()).await.unwrap();
        tokio::time::sleep(stop_after).await;
        engine.shutdown(Duration::ZERO).await;
        assert_eq!((engine.stats().sessions, engine.stats().in_flight), (0, 0));
        let request =
            story_checker_core::session::SessionLeaseRequest::new(GRAPH, "other".into(), SECOND, 1);
        let leased = world.sessions.lease(&request).await.unwrap();
        assert_eq!(leased.sessions.len(), 1, "another worker can have it at once");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_engine_only_what_was_supplied_is_lent() {
    let cx = context(&own(), "main");
    let fault = cx.lend(&graph(), Some("tea_house")).await.unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::AuthRequired, Scope::Target));
    let cookie = Credentials::from_cookies(vec![Cookie::new("sessionid", "PLANTED")]);
    let handle = Arc::new(SessionHandle::new("token".into(), Arc::new(cookie)));
    let cx = cx.with_loan(GRAPH, Some("tea_house"), handle);
    assert!(cx.lend(&graph(), Some("cocoa")).await.is_err());
    for account in [None, Some("tea_house")] {
        let loan = cx.lend(&graph(), account).await.unwrap();
        assert_eq!(loan.context().session().unwrap().id().as_str(), "token");
        loan.give_back(&mut []).await;
    }
    let anonymous = cx.lend(&CheckerProfile::new(Platform::INSTAGRAM), None).await.unwrap();
    assert!(anonymous.context().session().is_none());
    let cancelled = tokio_util::sync::CancellationToken::new();
    cancelled.cancel();
    let cx = cx.with_cancellation(cancelled);
    assert_eq!(cx.lend(&graph(), None).await.unwrap_err().class, Class::Cancelled);
}
