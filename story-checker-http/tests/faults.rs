//! What stands in the way, and who pays for it.

use std::time::Duration;

use story_checker_core::gate::Quota;
use story_checker_core::{Class, Clock, Fault, Report, Scope, SystemClock};
use tokio::time::Instant;
use wiremock::ResponseTemplate;

use crate::support::*;

type Answers = Vec<Result<Report, Fault>>;

fn all(answers: &Answers, class: Class, scope: Scope) {
    for answer in answers {
        let fault = answer.as_ref().unwrap_err();
        assert_eq!((fault.class, fault.scope), (class, scope), "{fault}");
    }
}

#[tokio::test]
async fn a_429_names_the_time_and_stops_the_session() {
    let world = World::new().await;
    world.answer(PROFILE, json(429, "").insert_header("retry-after", "3600")).await;
    let before = SystemClock::new().now();
    let answers = world.check(&["a", "b", "c"]).await;
    all(&answers, Class::RateLimited, Scope::Session);
    let until = answers[2].as_ref().unwrap_err().until.unwrap();
    assert!((3_590..=3_610).contains(&until.since(before).as_secs()));
    assert_eq!(world.seen().await.len(), 1);
}

#[tokio::test]
async fn after_a_challenge_there_is_no_further_request() {
    for route in [PROFILE, REELS, VIEWER] {
        let world = World::new().await;
        let challenge =
            r#"{"message":"checkpoint_required","checkpoint_url":"/challenge/","status":"fail"}"#;
        world.answer(route, json(400, challenge)).await;
        world.answer(PROFILE, json(200, profile(42, "a"))).await;
        world.answer(REELS, json(200, EMPTY)).await;
        let answers = world.check(&["a"]).await;
        all(&answers, Class::ChallengeRequired, Scope::Session);
        let seen = world.seen().await;
        assert_eq!(seen.iter().filter(|path| *path == route).count(), 1);
        assert_eq!(seen.last().unwrap(), route);
    }
}

#[tokio::test]
async fn a_challenge_in_the_middle_of_a_batch_leaves_the_rest_unasked() {
    let world = World::new().await;
    let private = r#""is_private":true,"followed_by_viewer":false"#;
    world.profile_of("a", json(200, profile_with(1, "a", private))).await;
    world.profile_of("b", json(400, r#"{"message":"challenge_required"}"#)).await;
    let answers = world.check(&["a", "b", "c"]).await;
    all(&answers, Class::ChallengeRequired, Scope::Session);
    assert_eq!(world.seen().await.len(), 2);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let world = World::new().await;
    let to = |location: &str| ResponseTemplate::new(302).insert_header("location", location);
    world.answer(PROFILE, to("/accounts/login/?next=/api/")).await;
    world.answer("/accounts/login/", json(200, NOBODY)).await;
    all(&world.check(&["a", "b"]).await, Class::AuthRequired, Scope::Session);
    assert_eq!(world.seen().await, [PROFILE]);
}

#[tokio::test]
async fn pages_and_broken_bodies_are_no_answers() {
    let html = ResponseTemplate::new(200).set_body_raw("<html>wall</html>", "text/html");
    let truncated = json(200, &EMPTY[..20]);
    let no_reels = json(200, r#"{"status":"ok"}"#);
    let server_error = json(500, "{}");
    let wrong_type = ResponseTemplate::new(200).set_body_raw(EMPTY, "text/plain");
    for (answer, class) in [
        (html, Class::Malformed),
        (truncated, Class::Malformed),
        (no_reels, Class::Malformed),
        (wrong_type, Class::Malformed),
        (server_error, Class::Transient),
    ] {
        let world = World::new().await;
        world.answer(PROFILE, json(200, profile(42, "a"))).await;
        world.answer(REELS, answer).await;
        let answers = world.check(&["a"]).await;
        all(&answers, class, Scope::Endpoint);
        let evidence = answers[0].as_ref().unwrap_err().evidence.as_ref().unwrap();
        assert_eq!(evidence.requests[0].route, "reels");
        assert_eq!(world.seen().await, [PROFILE, REELS]);
    }
}

#[tokio::test]
async fn one_odd_profile_does_not_spoil_the_others_and_two_stop_the_check() {
    let world = World::new().await;
    world.profile_of("odd", json(500, "")).await;
    world.profile_of("odder", json(500, "")).await;
    world.profile_of("a", json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, reels(&[(42, vec![story(1, 42, now() - 60)])]))).await;
    let answers = world.check(&["odd", "a"]).await;
    all(&answers[..1].to_vec(), Class::Transient, Scope::Endpoint);
    assert_eq!(answers[1].as_ref().unwrap().verdict.as_str(), "active");

    let answers = world.check(&["odd", "odder", "unasked", "a"]).await;
    all(&answers[..2].to_vec(), Class::Transient, Scope::Endpoint);
    // Those that were not asked pay nothing.
    all(&answers[2..].to_vec(), Class::RateLimited, Scope::Ours);
    assert_eq!(world.seen().await.len(), 5);
}

#[tokio::test]
async fn when_the_gate_is_shut_nothing_is_spent_and_the_next_check_goes_on() {
    let mut world = World::new().await;
    for (id, name) in [(41, "a"), (42, "b"), (43, "c")] {
        world.profile_of(name, json(200, profile(id, name))).await;
    }
    world.answer(REELS, json(200, reels(&[(42, vec![story(1, 42, now() - 60)])]))).await;
    world.profile.limits.session =
        Some(Quota::with_burst(2, Duration::from_secs(600), 2).unwrap().into());
    let answers = world.check(&["a", "b", "c"]).await;
    all(&answers, Class::RateLimited, Scope::Ours);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().until.is_some()));
    assert_eq!(world.seen().await, [PROFILE, PROFILE]);

    // A new gate: what was looked up is remembered.
    let answers = world.check(&["a", "b", "c"]).await;
    let verdicts: Vec<_> = answers.iter().map(|a| a.as_ref().unwrap().verdict.as_str()).collect();
    assert_eq!(verdicts, ["no_story", "active", "no_story"]);
    assert_eq!(world.seen().await, [PROFILE, PROFILE, PROFILE, REELS]);
}

#[tokio::test]
async fn a_missing_account_is_remembered_while_its_proof_has_to_wait() {
    let mut world = World::new().await;
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(SEARCH, json(200, NOBODY_FOUND)).await;
    world.answer(VIEWER, json(200, ME)).await;
    world.profile.limits.session = Some(Quota::new(1, Duration::from_secs(600)).unwrap().into());
    // One request per check: each goes on where the one before stopped.
    for _ in 0..2 {
        all(&world.check(&["a"]).await, Class::RateLimited, Scope::Ours);
    }
    let report = world.check(&["a"]).await.remove(0).unwrap();
    assert_eq!(report.verdict.as_str(), "not_found");
    assert_eq!(world.seen().await, [PROFILE, SEARCH, VIEWER]);
}

#[tokio::test]
async fn the_proof_waits_for_its_pass_as_long_as_the_deadline_allows() {
    let mut world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, ME)).await;
    world.profile.limits.session =
        Some(Quota::with_burst(2, Duration::from_millis(900), 2).unwrap().into());
    let report = world.check(&["a"]).await.remove(0).unwrap();
    assert_eq!(report.verdict.as_str(), "no_story");

    world.profile.limits.session = Some(Quota::new(1, Duration::from_secs(600)).unwrap().into());
    all(&world.check(&["a"]).await, Class::RateLimited, Scope::Ours);
    assert_eq!(world.seen().await, [PROFILE, REELS, VIEWER, REELS]);
}

#[tokio::test]
async fn near_the_deadline_no_request_is_begun() {
    let world = World::new().await;
    let soon = Instant::now() + Duration::from_millis(300);
    let answers = world.check_in(&["a"], &world.context().with_deadline(soon)).await;
    all(&answers, Class::RateLimited, Scope::Ours);
    assert!(world.seen().await.is_empty());
}

#[tokio::test]
async fn a_deadline_that_cuts_a_request_short_blames_nobody_else() {
    let world = World::new().await;
    let slow = json(200, profile(42, "a")).set_delay(Duration::from_secs(30));
    world.answer(PROFILE, slow).await;
    let soon = Instant::now() + Duration::from_millis(800);
    let answers = world.check_in(&["a", "b"], &world.context().with_deadline(soon)).await;
    all(&answers[..1].to_vec(), Class::Timeout, Scope::Ours);
    all(&answers[1..].to_vec(), Class::RateLimited, Scope::Ours);
}

#[tokio::test]
async fn a_slow_platform_is_a_timeout_of_the_endpoint() {
    let world = World::with(|config| config.request_timeout = Duration::from_millis(200)).await;
    let slow = json(200, profile(42, "a")).set_delay(Duration::from_secs(30));
    world.answer(PROFILE, slow).await;
    let answers = world.check(&["a"]).await;
    all(&answers, Class::Timeout, Scope::Endpoint);
    let evidence = answers[0].as_ref().unwrap_err().evidence.as_ref().unwrap();
    assert_eq!(evidence.requests[0].status, 0);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_given_up() {
    let world = World::with(|config| config.max_body = 1_000).await;
    world.answer(PROFILE, json(200, format!("{}{}", profile(42, "a"), " ".repeat(1_000)))).await;
    all(&world.check(&["a"]).await, Class::Malformed, Scope::Endpoint);
}

#[tokio::test]
async fn a_cancelled_check_asks_nothing() {
    let world = World::new().await;
    let cx = world.context();
    cx.cancellation().cancel();
    all(&world.check_in(&["a"], &cx).await, Class::Cancelled, Scope::Ours);
    assert!(world.seen().await.is_empty());
}

#[tokio::test]
async fn without_a_login_nothing_is_asked() {
    let world = World::new().await;
    let none = world.context().with_session(None);
    all(&world.check_in(&["a"], &none).await, Class::Permanent, Scope::Ours);
    world.session.update(|credentials| {
        credentials.cookies[0].expires_at = Some(SystemClock::new().now());
    });
    all(&world.check(&["a"]).await, Class::AuthRequired, Scope::Session);
    assert!(world.seen().await.is_empty());
}

#[tokio::test]
async fn a_logout_takes_the_cookie_away_but_a_foreign_page_cannot() {
    let world = World::new().await;
    let page = ResponseTemplate::new(200)
        .set_body_raw("<html>hotel</html>", "text/html")
        .insert_header("set-cookie", "sessionid=; Max-Age=0");
    world.answer_once(PROFILE, page).await;
    let logout = json(403, r#"{"message":"login_required","status":"fail"}"#)
        .insert_header("set-cookie", "sessionid=; Max-Age=0; Domain=.instagram.com");
    world.answer(PROFILE, logout).await;
    all(&world.check(&["a"]).await, Class::Malformed, Scope::Endpoint);
    assert!(world.session.credentials().cookie("sessionid").is_some());
    all(&world.check(&["a"]).await, Class::AuthRequired, Scope::Session);
    assert!(world.session.credentials().cookie("sessionid").is_none());
}
