//! What may be said, and on what proof.

use std::time::Duration;

use story_checker_core::session::SessionHandle;
use story_checker_core::{Class, Fault, Report, Scope, Verdict};

use crate::support::*;

fn words(answers: &[Result<Report, Fault>]) -> Vec<&'static str> {
    answers.iter().map(|answer| answer.as_ref().map_or("fault", |r| r.verdict.as_str())).collect()
}

#[tokio::test]
async fn an_active_account_with_its_items() {
    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "tea_house"))).await;
    let items = vec![
        story(2, 42, now() - 100),
        story(1, 42, now() - 200),
        story(3, 42, now() - 90_000),
        story(2, 42, now() - 100),
    ];
    world.answer(REELS, json(200, reels(&[(42, items)]))).await;
    let report = world.check(&["tea_house"]).await.remove(0).unwrap();
    assert_eq!(report.verdict, Verdict::Active);
    let ids: Vec<_> = report.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(report.items[0].media.len(), 1);
    let evidence = &report.evidence;
    assert_eq!(evidence.subject.as_deref(), Some("42"));
    assert_eq!(evidence.session.as_ref().unwrap().as_str(), "main");
    assert!(evidence.server_time.is_some());
    let routes: Vec<_> = evidence.requests.iter().map(|r| (&*r.route, r.status)).collect();
    assert_eq!(routes, [("profile", 200), ("reels", 200)]);
    assert!(evidence.requests.iter().all(|r| r.bytes > 0 && r.took > Duration::ZERO));
    // The items prove the session: nobody has to be asked who we are.
    assert_eq!(world.seen().await, [PROFILE, REELS]);
}

#[tokio::test]
async fn no_story_needs_a_proof_of_the_session() {
    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "tea_house"))).await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, ME)).await;
    let report = world.check(&["tea_house"]).await.remove(0).unwrap();
    assert_eq!(report.verdict, Verdict::NoStory);
    assert_eq!(world.seen().await, [PROFILE, REELS, VIEWER]);
    let facts = report.evidence.facts.join("; ");
    assert!(facts.contains("a later request showed that the session was logged in"), "{facts}");
    assert!(facts.contains("the profile is public"), "{facts}");
    let viewer = &world.server.received_requests().await.unwrap()[2];
    assert_eq!(
        viewer.url.query(),
        Some("query_hash=d6f4427fbe92d846298cf93df0b937d3&variables=%7B%7D")
    );
}

#[tokio::test]
async fn another_accounts_story_is_proof_enough() {
    let world = World::new().await;
    world.profile_of("empty", json(200, profile(41, "empty"))).await;
    world.profile_of("gone", json(404, NOT_FOUND)).await;
    world.answer(SEARCH, json(200, NOBODY_FOUND)).await;
    world.profile_of("active", json(200, profile(42, "active"))).await;
    let ended = vec![story(9, 41, now() - 90_000)];
    let body = reels(&[(41, ended), (42, vec![story(1, 42, now() - 100)])]);
    world.answer(REELS, json(200, body)).await;
    let answers = world.check(&["empty", "gone", "active"]).await;
    assert_eq!(words(&answers), ["no_story", "not_found", "active"]);
    assert_eq!(world.seen().await, [PROFILE, PROFILE, PROFILE, SEARCH, REELS]);
    let facts = answers[0].as_ref().unwrap().evidence.facts.join("; ");
    assert!(facts.contains("1 items had ended"), "{facts}");
}

#[tokio::test]
async fn the_empty_answer_of_a_logged_out_session_is_never_believed() {
    let world = World::new().await;
    world.profile_of("a", json(200, profile(41, "a"))).await;
    world.profile_of("b", json(404, NOT_FOUND)).await;
    world.answer(SEARCH, json(200, NOBODY_FOUND)).await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, NOBODY)).await;
    for answer in world.check(&["a", "b"]).await {
        let fault = answer.unwrap_err();
        assert_eq!((fault.class, fault.scope), (Class::AuthRequired, Scope::Session), "{fault}");
        assert!(!fault.evidence.unwrap().requests.is_empty());
    }
    assert_eq!(world.seen().await, [PROFILE, PROFILE, SEARCH, REELS, VIEWER]);
}

#[tokio::test]
async fn private_and_missing_accounts() {
    let world = World::new().await;
    let private = r#""is_private":true,"followed_by_viewer":false"#;
    let followed = r#""is_private":true,"followed_by_viewer":true"#;
    world.profile_of("private", json(200, profile_with(40, "private", private))).await;
    world.profile_of("followed", json(200, profile_with(41, "followed", followed))).await;
    world.profile_of("missing", json(404, NOT_FOUND)).await;
    world.profile_of("null", json(200, NOBODY)).await;
    let withheld = r#"{"message":"Not authorized to view user","status":"fail"}"#;
    world.profile_of("withheld", json(400, withheld)).await;
    world.answer(SEARCH, json(200, NOBODY_FOUND)).await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, ME)).await;
    let names = ["private", "followed", "missing", "null", "withheld"];
    let answers = world.check(&names).await;
    assert_eq!(words(&answers), ["private", "no_story", "not_found", "not_found", "private"]);
    let reels = &world.server.received_requests().await.unwrap()[7];
    assert_eq!((reels.url.path(), reels.url.query()), (REELS, Some("reel_ids=41")));

    // Nothing of this is good for another session: each sees with its own eyes.
    let mut other = world;
    other.session = SessionHandle::new("other".into(), other.session.credentials()).into();
    other.check(&names).await;
    assert_eq!(other.seen().await.iter().filter(|path| *path == PROFILE).count(), 10);
}

#[tokio::test]
async fn only_missing_accounts_still_need_the_proof() {
    let world = World::new().await;
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(SEARCH, json(200, NOBODY_FOUND)).await;
    world.answer(VIEWER, json(200, ME)).await;
    assert_eq!(words(&world.check(&["a", "b"]).await), ["not_found", "not_found"]);
    assert_eq!(world.seen().await, [PROFILE, PROFILE, SEARCH, SEARCH, VIEWER]);
    // It is remembered, and so is that it was confirmed.
    assert_eq!(words(&world.check(&["a", "b"]).await), ["not_found", "not_found"]);
    assert_eq!(world.seen().await[5..], [VIEWER]);
}

#[tokio::test]
async fn fifty_accounts_share_one_request_and_their_ids_are_remembered() {
    let world = World::new().await;
    let names: Vec<String> = (0..50).map(|n| format!("account{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (n, name) in (0..).zip(&names) {
        world.profile_of(name, json(200, profile(1_000 + n, name))).await;
    }
    let live = (0..25).map(|n| (1_000 + n, vec![story(n + 1, 1_000 + n, now() - 60)]));
    world.answer(REELS, json(200, reels(&live.collect::<Vec<_>>()))).await;
    for round in 1..=2 {
        let answers = world.check(&names).await;
        for (n, word) in words(&answers).into_iter().enumerate() {
            assert_eq!(word, if n < 25 { "active" } else { "no_story" });
        }
        assert_eq!(world.seen().await.len(), 50 + round);
    }
    let last = world.server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(last.url.query_pairs().filter(|(name, _)| name == "reel_ids").count(), 50);
}

#[tokio::test]
async fn a_profile_that_contradicts_the_empty_reel_is_asked_again() {
    let claims = format!(r#""is_private":false,"latest_reel_media":{}"#, now() - 60);
    let nothing = r#""is_private":false,"latest_reel_media":0"#;
    for (second, word) in [
        (json(200, profile_with(42, "a", nothing)), "no_story"),
        (json(200, profile_with(42, "a", &claims)), "fault"),
        (json(200, profile_with(43, "a", nothing)), "fault"),
        (
            json(200, profile_with(42, "a", r#""is_private":true,"followed_by_viewer":false"#)),
            "private",
        ),
    ] {
        let world = World::new().await;
        world.answer_once(PROFILE, json(200, profile_with(42, "a", &claims))).await;
        world.answer(PROFILE, second).await;
        world.answer(REELS, json(200, EMPTY)).await;
        world.answer(VIEWER, json(200, ME)).await;
        let answers = world.check(&["a"]).await;
        assert_eq!(words(&answers), [word], "{answers:?}");
        assert_eq!(world.seen().await[..3], [PROFILE, REELS, PROFILE]);
        // What was not there needs a proof that came after it.
        let proof = word == "no_story";
        assert_eq!(world.seen().await.len(), 3 + usize::from(proof));
    }
}

#[tokio::test]
async fn ids_come_as_numbers_too() {
    let world = World::new().await;
    let body = r#"{"data":{"user":{"id":42,"username":"TEA_house","is_private":0}},"status":"ok"}"#;
    world.answer(PROFILE, json(200, body)).await;
    let reel = format!(
        r#"{{"reels_media":[{{"id":42,"items":[{{"pk":7,"taken_at":{}}}]}}],"status":"ok"}}"#,
        now() - 60
    );
    world.answer(REELS, json(200, reel)).await;
    let report = world.check(&["tea_house"]).await.remove(0).unwrap();
    assert_eq!((report.verdict, &*report.items[0].id), (Verdict::Active, "7"));
}

#[tokio::test]
async fn the_servers_clock_decides_what_has_ended() {
    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "a"))).await;
    let body = reels(&[(42, vec![story(1, 42, 1_795_251_600)])]);
    let late = json(200, body).insert_header("date", "Sun, 22 Nov 2026 09:00:00 GMT");
    world.answer(REELS, late).await;
    let report = world.check(&["a"]).await.remove(0).unwrap();
    assert_eq!(report.verdict, Verdict::NoStory);
    assert_eq!(report.evidence.server_time.unwrap().as_secs(), 1_795_338_000);
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_no_answer() {
    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "somebody_else"))).await;
    let fault = world.check(&["tea_house"]).await.remove(0).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint));
    assert_eq!(world.seen().await, [PROFILE]);
}

#[tokio::test]
async fn the_session_speaks_in_the_expected_headers_and_learns() {
    let world = World::new().await;
    let set = json(200, profile(42, "a"))
        .insert_header("x-ig-set-www-claim", "hmac.PLANTED-claim")
        .append_header("set-cookie", "rur=PLANTED-rur; Domain=.instagram.com; Path=/; Secure")
        .append_header("set-cookie", "csrftoken=PLANTED-new; Max-Age=100; Path=/");
    world.answer(PROFILE, set).await;
    let body = reels(&[(42, vec![story(1, 42, now() - 60)])]);
    world.answer(REELS, json(200, body)).await;
    world.check(&["a"]).await.remove(0).unwrap();

    let requests = world.server.received_requests().await.unwrap();
    let header = |n: usize, name: &str| {
        requests[n].headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let expect = |n, name, value: &str| assert_eq!(header(n, name).as_deref(), Some(value));
    expect(0, "cookie", "sessionid=4200000001%3APLANTED-session; csrftoken=PLANTED-csrf");
    expect(0, "x-csrftoken", "PLANTED-csrf");
    expect(0, "x-ig-www-claim", "0");
    expect(0, "x-ig-app-id", "936619743392459");
    expect(0, "x-requested-with", "XMLHttpRequest");
    expect(0, "user-agent", concat!("story-checker/", env!("CARGO_PKG_VERSION")));
    expect(0, "accept", "*/*");
    assert_eq!(requests[0].url.query(), Some("username=a"));
    expect(
        1,
        "cookie",
        "sessionid=4200000001%3APLANTED-session; csrftoken=PLANTED-new; rur=PLANTED-rur",
    );
    expect(1, "x-csrftoken", "PLANTED-new");
    expect(1, "x-ig-www-claim", "hmac.PLANTED-claim");
    let credentials = world.session.credentials();
    assert_eq!(credentials.tokens["www_claim"].expose(), "hmac.PLANTED-claim");

    // The same answers again change nothing.
    world.check(&["a"]).await.remove(0).unwrap();
    assert!(std::sync::Arc::ptr_eq(&credentials, &world.session.credentials()));
}

#[tokio::test]
async fn the_sessions_own_user_agent_goes_first() {
    let world = World::new().await;
    world.session.update(|credentials| credentials.user_agent = Some("Owner/1".into()));
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(SEARCH, json(200, NOBODY_FOUND)).await;
    world.answer(VIEWER, json(200, ME)).await;
    world.check(&["a"]).await.remove(0).unwrap();
    for request in world.server.received_requests().await.unwrap() {
        assert_eq!(request.headers.get("user-agent").unwrap(), "Owner/1");
    }
}
