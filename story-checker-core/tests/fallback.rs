//! Several checkers in order: who is asked, who answers, and who pays.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use story_checker_core::checker::{CheckContext, Checker, CheckerProfile, Fallback};
use story_checker_core::engine::SubmitOptions;
use story_checker_core::session::{
    Credentials, SessionHandle, SessionKind, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{
    Class, Evidence, Fault, Platform, Report, Scope, Target, TargetKind, Timings, Verdict,
};

use crate::support::{
    Acting, Answer, SECOND, Scripted, World, active, context, kind, report, reports, target,
    targets,
};

fn web_profile() -> CheckerProfile {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.app = "web".into();
    profile.max_batch = NonZeroUsize::new(50).unwrap();
    profile.session = Some(kind());
    profile
}

fn graph_profile() -> CheckerProfile {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.app = "graph".into();
    profile.max_batch = NonZeroUsize::new(20).unwrap();
    profile
}

fn weak(target: &Target, verdict: Verdict) -> Answer {
    let mut evidence = Evidence::new("graph/1").with_fact("the list is empty");
    evidence.weak = true;
    Ok(Report::new(target.clone(), verdict, evidence, Timings::default()))
}

fn fault(class: Class, scope: Scope, message: &'static str) -> Answer {
    Err(Fault::new(class, scope, message))
}

/// Graph, then web.
fn fallback(
    graph: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
    web: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
) -> Fallback {
    let graph = Acting::each("graph/1", graph_profile(), graph);
    let web = Acting::each("web/1", web_profile(), web);
    Fallback::new(vec![graph, web]).unwrap()
}

async fn check(fallback: &Fallback, count: usize) -> Vec<Answer> {
    fallback.check(&targets(count), &context(fallback.profile(), "main")).await
}

#[tokio::test(start_paused = true)]
async fn each_target_goes_on_until_somebody_answers() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let fallback = fallback(
        |target, _| match target.handle() {
            "acct_0" => report(target, Verdict::Active),
            "acct_1" => fault(Class::Permanent, Scope::Target, "no token of this account"),
            _ => fault(Class::RateLimited, Scope::App, "code 4"),
        },
        move |target, cx| {
            assert_eq!(cx.session().unwrap().id().as_str(), "main");
            seen.lock().unwrap().push(target.handle().to_owned());
            match target.handle() {
                "acct_1" => report(target, Verdict::NoStory),
                _ => fault(Class::Transient, Scope::Endpoint, "502"),
            }
        },
    );
    let answers = check(&fallback, 3).await;
    assert_eq!(*asked.lock().unwrap(), ["acct_1", "acct_2"], "answered ones are not asked again");
    let first = answers[0].as_ref().unwrap();
    assert_eq!((&first.verdict, first.evidence.facts.len()), (&Verdict::Active, 0));
    let second = answers[1].as_ref().unwrap();
    assert_eq!(second.verdict, Verdict::NoStory);
    assert_eq!(second.evidence.facts, ["graph/1 could not answer: no token of this account"]);
    let third = answers[2].as_ref().unwrap_err();
    assert_eq!((third.class, third.scope), (Class::Transient, Scope::Endpoint), "the last counts");
    assert_eq!(third.message, "502; besides, graph/1 could not answer: code 4");
}

#[tokio::test(start_paused = true)]
async fn who_fails_for_now_is_not_outvoted_by_who_never_can() {
    let fallback = fallback(
        |_, _| fault(Class::Transient, Scope::Endpoint, "503"),
        |_, _| fault(Class::AuthRequired, Scope::Target, "no session at all"),
    );
    let answer = check(&fallback, 1).await.remove(0).unwrap_err();
    assert_eq!((answer.class, answer.scope), (Class::Transient, Scope::Endpoint));
    assert!(answer.message.contains("no session at all"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_refused_sends_nothing_for_the_next_checker() {
    let first = Acting::each("web/1", web_profile(), |_, _| {
        fault(Class::ChallengeRequired, Scope::Session, "a challenge")
    });
    let second = Acting::each("web/2", web_profile(), |target, _| panic!("{target} was asked"));
    let fallback = Fallback::new(vec![first, second]).unwrap();
    let answer = check(&fallback, 1).await.remove(0).unwrap_err();
    assert_eq!((answer.class, answer.scope), (Class::ChallengeRequired, Scope::Session));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_check_goes_no_further() {
    let fallback = fallback(
        |_, _| Err(Fault::cancelled("stopped")),
        |target, _| panic!("{target} was asked about"),
    );
    assert_eq!(check(&fallback, 1).await[0].as_ref().unwrap_err().class, Class::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_weak_answer_is_confirmed_and_stands_if_nobody_can() {
    let graph = |target: &Target, _: &CheckContext| match target.handle() {
        "acct_2" => weak(target, Verdict::NotFound),
        _ => weak(target, Verdict::NoStory),
    };
    let web = |target: &Target, _: &CheckContext| match target.handle() {
        "acct_1" => fault(Class::RateLimited, Scope::Session, "429"),
        _ => report(target, Verdict::Active),
    };
    let answers = check(&fallback(graph, web), 3).await;
    let found = answers[0].as_ref().unwrap();
    assert_eq!((&found.verdict, found.evidence.weak), (&Verdict::Active, false));
    assert_eq!(found.evidence.facts, ["graph/1 said no story, as far as it shows"]);
    let found = answers[2].as_ref().unwrap();
    assert_eq!((&found.verdict, found.evidence.weak), (&Verdict::Active, false));
    assert_eq!(found.evidence.facts, ["graph/1 said not found, as far as it shows"]);
    let stands = answers[1].as_ref().unwrap();
    assert_eq!((&stands.verdict, stands.evidence.weak), (&Verdict::NoStory, true));
    assert_eq!(stands.evidence.facts[1], "web/1 could not confirm it: 429");

    let trusting = fallback(graph, |target, _| panic!("{target}"));
    let answers = check(&trusting.with_confirm_weak(false), 1).await;
    assert!(answers[0].as_ref().unwrap().evidence.weak);
}

#[tokio::test(start_paused = true)]
async fn a_checker_that_forgets_answers_does_not_shift_those_of_others() {
    let forgets = Acting::new(graph_profile(), |_, _| async { vec![] });
    let web = Acting::each("web/1", web_profile(), |target, _| report(target, Verdict::Private));
    let fallback = Fallback::new(vec![forgets, web]).unwrap();
    for (answer, target) in check(&fallback, 3).await.iter().zip(targets(3)) {
        let report = answer.as_ref().unwrap();
        assert_eq!(report.target, target);
        assert!(report.evidence.facts[0].contains("this is a bug in it"));
    }
}

#[test]
fn the_profile_is_what_all_of_them_can_do() {
    let answer = |target: &Target, _: &CheckContext| report(target, Verdict::Active);
    let mut both = web_profile();
    both.kinds = vec![TargetKind::Hashtag, TargetKind::Account];
    let make = |profiles: Vec<CheckerProfile>| {
        let checker = |profile| Acting::each("one", profile, answer) as Arc<dyn Checker>;
        Fallback::new(profiles.into_iter().map(checker).collect())
    };
    let fallback = make(vec![graph_profile(), both]).unwrap();
    let profile = fallback.profile();
    assert_eq!(profile.kinds, [TargetKind::Account]);
    assert_eq!(profile.max_batch.get(), 20);
    assert_eq!((profile.session.clone(), &*profile.app), (Some(kind()), "web"));
    assert!(profile.session_optional, "the first can go on without");
    for all_alike in [vec![graph_profile()], vec![web_profile(), web_profile()]] {
        assert!(!make(all_alike).unwrap().profile().session_optional);
    }
    assert_eq!(fallback.to_string(), "one, then one");

    let mut tags = graph_profile();
    tags.kinds = vec![TargetKind::Hashtag];
    for wrong in [
        vec![],
        vec![graph_profile(), tags],
        vec![graph_profile(), CheckerProfile::new(Platform::X)],
    ] {
        let error = make(wrong).unwrap_err().to_string();
        assert!(error.starts_with("could not put checkers in order"), "{error}");
    }
}

const OTHER: SessionKind = SessionKind::from_static("other");

async fn world() -> World {
    let world = World::new(Scripted::new(1, |target, _, _| active(target)), 1).await;
    let record = SessionRecord::new("o0".into(), OTHER, Credentials::default());
    world.sessions.put(vec![record]).await.unwrap();
    world
}

fn other_profile() -> CheckerProfile {
    let mut profile = web_profile();
    profile.app = "other".into();
    profile.session = Some(OTHER);
    profile
}

#[tokio::test(start_paused = true)]
async fn the_first_session_pays_for_its_fault_even_if_another_answers() {
    let world = world().await;
    let own = Acting::each("own", web_profile(), |_, _| {
        fault(Class::ChallengeRequired, Scope::Session, "checkpoint")
    });
    let other = Acting::each("other", other_profile(), |target, cx| {
        assert_eq!(cx.session().unwrap().id().as_str(), "o0");
        report(target, Verdict::NoStory)
    });
    let fallback = Fallback::new(vec![own, other]).unwrap();
    let (engine, mut events) = world.start_with(Arc::new(fallback)).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    assert_eq!(reports(&mut events, 1, |_| {}).await[0].verdict, Verdict::NoStory);
    engine.shutdown(SECOND).await;
    assert_eq!(world.state("s0").await.as_str(), "challenged");
    assert_eq!(world.state("o0").await, SessionState::Valid);
    assert_eq!(engine.stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_on_the_second_session_leaves_the_first_alone() {
    let world = world().await;
    let own =
        Acting::each("own", web_profile(), |_, _| fault(Class::Transient, Scope::Endpoint, "502"));
    let other = Acting::each("other", other_profile(), |_, cx| {
        assert_eq!(cx.session().unwrap().id().as_str(), "o0");
        fault(Class::ChallengeRequired, Scope::Session, "checkpoint")
    });
    let fallback = Fallback::new(vec![own, other]).unwrap();
    let (engine, mut events) = world.start_with(Arc::new(fallback)).await;
    engine.submit([target("tea_house")], SubmitOptions::default()).await.unwrap();
    let all = reports(&mut events, 1, |_| {}).await;
    let Verdict::Unknown { cause } = &all[0].verdict else { panic!("{:?}", all[0].verdict) };
    assert!(cause.message.starts_with("502; besides, other could not answer:"), "{cause:?}");
    engine.shutdown(SECOND).await;
    assert_eq!(world.state("o0").await.as_str(), "challenged");
    assert_eq!(world.state("s0").await, SessionState::Valid);
}

#[tokio::test(start_paused = true)]
async fn without_an_engine_the_other_session_can_be_supplied() {
    let own = Acting::each("own", web_profile(), |_, _| {
        fault(Class::AuthRequired, Scope::Session, "logged out")
    });
    let other = Acting::each("other", other_profile(), |target, cx| {
        let source = cx.session().unwrap().id().to_string();
        let evidence = Evidence::new(source);
        Ok(Report::new(target.clone(), Verdict::Active, evidence, Timings::default()))
    });
    let fallback = Fallback::new(vec![own, other]).unwrap();
    let cx = context(fallback.profile(), "main");
    let missing = fallback.check(&targets(1), &cx).await.remove(0).unwrap_err();
    assert!(missing.message.contains("no session of the kind other can be used"), "{missing}");
    let handle = Arc::new(SessionHandle::new("o0".into(), Arc::default()));
    let cx = cx.with_loan(OTHER, None, handle);
    assert_eq!(fallback.check(&targets(1), &cx).await[0].as_ref().unwrap().evidence.source, "o0");
}
