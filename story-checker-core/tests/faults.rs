//! Faults and who pays for them.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::engine::{Event, SubmitOptions};
use story_checker_core::proxy::{ProxySource, ProxyState};
use story_checker_core::session::{SessionRecord, SessionState, SessionStore};
use story_checker_core::{Class, Evidence, Fault, Report, Scope, Timings, Verdict};

use crate::support::{
    SECOND, START, Scripted, Step, World, active, report, reports, target, targets,
};

fn fault(class: Class, scope: Scope) -> Step {
    Step::Now(Err(Fault::new(class, scope, "scripted")))
}

fn cause(report: &Report) -> &story_checker_core::Cause {
    match &report.verdict {
        Verdict::Unknown { cause } => cause,
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_tried_again_later() {
    let checker = Scripted::new(1, |target, _, asked| {
        if asked < 3 { fault(Class::Transient, Scope::Endpoint) } else { active(target) }
    });
    let world = World::new(checker, 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    let mut put_off = Vec::new();
    let all = reports(&mut events, 1, |event| {
        if let Event::PutOff { until, attempt_used, .. } = event {
            put_off.push((*until, *attempt_used));
        }
    })
    .await;
    assert_eq!(all[0].verdict, Verdict::Active);
    assert_eq!(put_off.len(), 2);
    assert!(put_off.iter().all(|(_, attempt_used)| *attempt_used));
    assert!(world.elapsed() >= SECOND * 3, "1 to 2 s, then 2 to 4 s");
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().retried, 2);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_stays_ends_as_unknown_with_its_cause() {
    let step = || {
        let evidence = Evidence::new("scripted/1").with_fact("the server said 502");
        let fault = Fault::new(Class::Transient, Scope::Endpoint, "bad gateway");
        Step::Now(Err(fault.with_evidence(evidence)))
    };
    let world = World::new(Scripted::new(1, move |_, _, _| step()), 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    let cause = cause(&all[0]);
    assert_eq!((cause.class, cause.scope), (Class::Transient, Scope::Endpoint));
    assert_eq!(cause.message, "bad gateway (its attempts are used up)");
    assert_eq!(all[0].evidence.facts, ["the server said 502"]);
    assert_eq!(world.checker.seen.lock().unwrap().calls.len(), 3);
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().unknown, 1);
}

#[tokio::test(start_paused = true)]
async fn a_limited_session_rests_to_the_second_and_another_answers() {
    let until = START + Duration::from_secs(1_800);
    let checker = Scripted::new(1, move |target, cx, _| {
        let limited = cx.session().unwrap().id().as_str() == "s0" && cx.now() < until;
        if !limited {
            return active(target);
        }
        Step::Now(Err(Fault::new(Class::RateLimited, Scope::Session, "429").with_until(until)))
    });
    let world = World::new(checker, 2).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(20), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 20, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    let used = |name: &str| {
        let seen = world.checker.seen.lock().unwrap();
        seen.pairs.iter().filter(|(session, _)| session.as_deref() == Some(name)).count()
    };
    assert_eq!(used("s0"), 1, "it is left alone while it rests");
    assert!(
        matches!(world.state("s0").await, SessionState::CoolingDown { until: at, .. } if at == until)
    );

    tokio::time::sleep_until(tokio::time::Instant::now() + (until.since(START) - world.elapsed()))
        .await;
    engine.submit(targets(40), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 40, |_| {}).await;
    assert!(used("s0") > 1, "it is used again after its rest");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_any_session_uses_up_no_deferrals() {
    let until = START + Duration::from_secs(7_200);
    for class in [Class::RateLimited, Class::ChallengeRequired] {
        let checker = Scripted::new(1, move |target, cx, _| {
            if cx.now() >= START + SECOND {
                return active(target);
            }
            Step::Now(Err(Fault::new(class, Scope::Session, "429").with_until(until)))
        });
        let world = World::new(checker, 1).await;
        let (engine, mut events) = world.start().await;
        engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        if class == Class::ChallengeRequired {
            let mut record = world.record("s0").await;
            record.state = SessionState::Valid;
            world.sessions.put(vec![record]).await.unwrap();
        }
        let all = reports(&mut events, 1, |_| {}).await;
        assert_eq!(all[0].verdict, Verdict::Active, "it was not put off too often");
        engine.shutdown(SECOND).await;
        assert_eq!((engine.stats().deferred, engine.stats().released), (1, 0), "{class}");
        assert_eq!(world.checker.seen.lock().unwrap().calls.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenged_session_makes_no_further_request_and_the_operator_is_told() {
    let checker = Scripted::new(5, |target, cx, _| {
        if cx.session().unwrap().id().as_str() == "s0" {
            return fault(Class::ChallengeRequired, Scope::Session);
        }
        active(target)
    });
    let world = World::new(checker, 2).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(100), SubmitOptions::default()).await.unwrap();
    let mut told = Vec::new();
    let all = reports(&mut events, 100, |event| {
        if let Event::SessionChanged { session, state } = event {
            told.push((session.to_string(), state.as_str()));
        }
    })
    .await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    assert_eq!(told, [("s0".to_owned(), "challenged")]);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    engine.submit(targets(100), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 100, |_| {}).await;
    {
        let seen = world.checker.seen.lock().unwrap();
        assert_eq!(
            seen.pairs.iter().filter(|(session, _)| session.as_deref() == Some("s0")).count(),
            1
        );
    }
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_logged_out_session_marks_no_target_and_comes_back_with_new_credentials() {
    let checker = Scripted::new(1, |target, cx, _| {
        let good = cx.session().unwrap().credentials().cookie("fresh").is_some();
        if good { active(target) } else { fault(Class::AuthRequired, Scope::Session) }
    });
    let world = World::new(checker, 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(2), SubmitOptions::default()).await.unwrap();
    loop {
        if let Event::SessionChanged { state, .. } = events.next().await.unwrap() {
            assert_eq!(state.as_str(), "needs_login");
            break;
        }
    }
    let cause = engine.why_not(&target("a")).await.unwrap();
    assert_eq!((cause.class, cause.scope), (Class::AuthRequired, Scope::Session));
    assert!(
        cause.message.contains("1 needs login") && cause.message.contains("log in again"),
        "{cause:?}"
    );

    let mut record: SessionRecord = world.sessions.list(None, 1).await.unwrap().remove(0);
    record.state = SessionState::Valid;
    let fresh = story_checker_core::session::Cookie::new("fresh", "1");
    record.credentials =
        Arc::new(story_checker_core::session::Credentials::from_cookies(vec![fresh]));
    world.sessions.put(vec![record]).await.unwrap();
    let all = reports(&mut events, 2, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn why_not_counts_the_states_and_names_the_remedy() {
    for (class, words) in [
        (Class::ChallengeRequired, "1 challenged): answer the challenge"),
        (Class::Permanent, "1 suspended): only the account's owner can appeal"),
        (Class::Blocked, "1 cooling down): wait until a rest is over"),
    ] {
        let world =
            World::new(Scripted::new(1, move |_, _, _| fault(class, Scope::Session)), 1).await;
        let (engine, mut events) = world.start().await;
        engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
        while !matches!(events.next().await.unwrap(), Event::SessionChanged { .. }) {}
        let cause = engine.why_not(&target("a")).await.unwrap();
        assert!(cause.message.contains(words), "{cause:?}");
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_proxy_rests_its_session_waits_and_nothing_goes_directly() {
    let until = START + SECOND * 90;
    let checker = Scripted::new(1, move |target, cx, _| {
        if cx.now() >= until {
            return active(target);
        }
        Step::Now(Err(Fault::new(Class::Blocked, Scope::Proxy, "407").with_until(until)))
    });
    let world = World::new(checker, 1).await.with_proxies(&["a", "b"]);
    let (engine, mut events) = world.start().await;
    engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
    let mut changed = Vec::new();
    let all = reports(&mut events, 3, |event| {
        if let Event::ProxyChanged { proxy, state } = event {
            changed.push((proxy.to_string(), state.clone()));
        }
    })
    .await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(matches!(&changed[0].1, ProxyState::Cooling { until: at, .. } if *at == until));
    assert_eq!((&changed[0].0, &changed[1].1), (&changed[1].0, &ProxyState::Active));
    assert!(world.elapsed() >= SECOND * 90);
    {
        let seen = world.checker.seen.lock().unwrap();
        let home = seen.pairs[0].1.clone();
        assert!(
            home.is_some() && seen.pairs.iter().all(|(_, proxy)| *proxy == home),
            "{:?}",
            seen.pairs
        );
    }
    let saved = world.proxies.as_ref().unwrap().load().await.unwrap();
    assert_eq!(saved.len(), 1, "the rest is stored");
    assert_eq!(world.state("s0").await, SessionState::Valid, "the session pays nothing");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn with_an_empty_list_of_proxies_nothing_leaves() {
    let mut world =
        World::new(Scripted::new(1, |target, _, _| active(target)), 1).await.with_proxies(&[]);
    world.config.give_up_early = true;
    let (engine, mut events) = world.start().await;
    let options = SubmitOptions::default().with_deadline(SECOND * 30);
    engine.submit(targets(1), options).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    let cause = cause(&all[0]);
    assert_eq!((cause.class, cause.scope), (Class::Blocked, Scope::Proxy));
    assert!(cause.message.contains("there is no proxy in the list"));
    assert!(world.checker.seen.lock().unwrap().calls.is_empty());
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_caught_counted_and_tried_again() {
    let checker = Scripted::new(3, |target, _, asked| {
        if asked == 1 && target.handle() == "acct_1" { Step::Panic } else { active(target) }
    });
    let world = World::new(checker, 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(3), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 3, |_| {}).await;
    assert!(all.iter().all(|report| report.verdict == Verdict::Active));
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().panics, 1);
    assert_eq!(world.state("s0").await, SessionState::Valid);
}

#[tokio::test(start_paused = true)]
async fn a_checker_that_forgets_answers_or_reports_unknown_is_a_bug_and_says_so() {
    let forgets = Scripted::new(2, |_, _, _| Step::Nothing);
    let shrugs = Scripted::new(2, |target, _, _| {
        let cause = story_checker_core::Cause::new(Class::Malformed, Scope::Target, "?");
        Step::Now(report(target, Verdict::Unknown { cause }))
    });
    for checker in [forgets, shrugs] {
        let world = World::new(checker, 1).await;
        let (engine, mut events) = world.start().await;
        engine.submit(targets(2), SubmitOptions::default()).await.unwrap();
        for report in reports(&mut events, 2, |_| {}).await {
            let cause = cause(&report);
            assert_eq!((cause.class, cause.scope), (Class::Permanent, Scope::Ours));
            assert!(cause.message.contains("this is a bug in it"), "{cause:?}");
        }
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_never_ends_is_stopped_and_charged_to_the_endpoint() {
    let never = |target: &story_checker_core::Target| {
        Step::After(Duration::MAX, report(target, Verdict::Active))
    };
    let mut world = World::new(Scripted::new(1, move |target, _, _| never(target)), 1).await;
    world.config.retry.max_attempts = 2;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    let cause = cause(&all[0]);
    assert_eq!((cause.class, cause.scope), (Class::Timeout, Scope::Endpoint));
    assert!(cause.message.contains("longer than 1m"), "{cause:?}");
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_lease_stops_the_check_that_uses_it() {
    let step = |target: &story_checker_core::Target, asked| {
        let time = if asked == 1 { SECOND * 50 } else { SECOND };
        Step::After(time, report(target, Verdict::Active))
    };
    let mut world =
        World::new(Scripted::new(1, move |target, _, asked| step(target, asked)), 1).await;
    world.config.lease = SECOND * 6;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    // The operator replaces the record under the running check.
    let record = world.sessions.list(None, 1).await.unwrap().remove(0);
    world.sessions.put(vec![record]).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert!(world.elapsed() < SECOND * 20, "{:?}", world.elapsed());
    assert!(!world.checker.seen.lock().unwrap().shared_session);
    engine.shutdown(SECOND).await;
    assert_eq!(engine.stats().retried, 0, "a lost lease costs no attempt");
}

#[tokio::test(start_paused = true)]
async fn reports_of_one_group_are_independent() {
    let checker = Scripted::new(4, |target, _, _| match target.handle() {
        "acct_0" => active(target),
        "acct_1" => fault(Class::Permanent, Scope::Target),
        "acct_2" => Step::Now(report(target, Verdict::Private)),
        _ => Step::Now(Ok(Report::new(
            target.clone(),
            Verdict::NotFound,
            Evidence::default(),
            Timings::default(),
        ))),
    });
    let world = World::new(checker, 1).await;
    let (engine, mut events) = world.start().await;
    engine.submit(targets(4), SubmitOptions::default()).await.unwrap();
    let mut all = reports(&mut events, 4, |_| {}).await;
    all.sort_by(|a, b| a.target.cmp(&b.target));
    let words: Vec<_> = all.iter().map(|report| report.verdict.as_str()).collect();
    assert_eq!(words, ["active", "unknown", "private", "not_found"]);
    assert_eq!(world.checker.seen.lock().unwrap().calls, [4]);
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_ends_earlier_is_stopped_on_time_behind_one_that_ends_later() {
    let checker = Scripted::new(1, |target, _, _| {
        Step::After(SECOND * 1_000, report(target, Verdict::Active))
    });
    let mut world = World::new(checker, 2).await;
    world.config.retry.max_attempts = 1;
    let (engine, mut events) = world.start().await;
    // Once nothing has run for a while, and once behind another.
    tokio::time::sleep(SECOND * 100).await;
    engine.submit([target("long")], SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    let options = SubmitOptions::default().with_deadline(SECOND * 5);
    engine.submit([target("short")], options).await.unwrap();
    for (handle, after) in [("short", 116), ("long", 161)] {
        let all = reports(&mut events, 1, |_| {}).await;
        assert_eq!(all[0].target.handle(), handle);
        assert!(cause(&all[0]).message.contains("the check took longer than"), "{all:?}");
        let late = world.elapsed().checked_sub(SECOND * after).expect("not before its time");
        assert!(late < SECOND / 2, "{handle}: {late:?}");
    }
    engine.shutdown(SECOND).await;
}
