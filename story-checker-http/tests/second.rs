//! When one answer is not enough: names that are not found, reels without their items.

use std::time::Duration;

use story_checker_core::gate::Quota;
use story_checker_core::{Class, Scope, Verdict};

use crate::support::*;

const INFO: &str = "/api/v1/users/42/info/";
const STORY: &str = "/api/v1/feed/user/42/story/";

fn info(more: &str) -> String {
    format!(r#"{{"user":{{"pk":42,"is_private":false,{more}}},"status":"ok"}}"#)
}

fn stub(media_count: u64) -> String {
    format!(
        r#"{{"reels":{{"42":{{"id":42,"items":null,"media_count":{media_count},"latest_reel_media":1}}}},"status":"ok"}}"#
    )
}

/// A world in which `a` was 42 once, and that is not believed any more.
async fn where_a_was_42() -> World {
    let world = World::with(|config| config.profile_ttl = Duration::ZERO).await;
    world.answer_once(PROFILE, json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, ME)).await;
    world.check(&["a"]).await.remove(0).unwrap();
    world.server.reset().await;
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(VIEWER, json(200, ME)).await;
    world
}

#[tokio::test]
async fn a_known_id_tells_who_is_gone_from_who_is_gated() {
    for (answer, word) in [
        (json(404, NOT_FOUND), "not_found"),
        (json(200, info(r#""username":"renamed""#)), "not_found"),
        (json(200, info(r#""username":"a","gating":{"title":"x"}"#)), "gated"),
        (json(200, info(r#""username":"a""#)), "malformed"),
        (json(200, info(r#""gating":{}"#)), "malformed"),
    ] {
        let world = where_a_was_42().await;
        world.answer(INFO, answer).await;
        let outcome = world.check(&["a"]).await.remove(0);
        let proof = word == "not_found";
        match outcome {
            Ok(report) => {
                assert_eq!(report.verdict.as_str(), word);
                assert_eq!(report.evidence.subject.as_deref(), Some("42"));
            }
            Err(fault) => assert_eq!(fault.class.as_str(), word, "{fault}"),
        }
        let seen = [PROFILE, INFO].into_iter().chain(proof.then_some(VIEWER));
        assert_eq!(world.seen().await, seen.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_was_found_by_a_known_id_is_remembered() {
    let world = where_a_was_42().await;
    world.answer(INFO, json(404, NOT_FOUND)).await;
    for _ in 0..2 {
        let report = world.check(&["a"]).await.remove(0).unwrap();
        assert_eq!(report.verdict, Verdict::NotFound);
    }
    assert_eq!(world.seen().await, [PROFILE, INFO, VIEWER, VIEWER]);
}

#[tokio::test]
async fn a_search_that_finds_the_name_contradicts() {
    let found = r#"{"users":[{"position":0,"user":{"pk":"42","username":"A"}}],"status":"ok"}"#;
    let world = World::new().await;
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(SEARCH, json(200, found)).await;
    world.answer(INFO, json(200, info(r#""username":"a""#))).await;
    let fault = world.check(&["a"]).await.remove(0).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint));
    assert_eq!(world.seen().await, [PROFILE, SEARCH, INFO]);
    let search = &world.server.received_requests().await.unwrap()[1];
    assert_eq!(search.url.query(), Some("query=a"));
    assert_eq!(fault.evidence.unwrap().requests.len(), 3);
}

#[tokio::test]
async fn the_search_can_be_left_out() {
    let world = World::with(|config| config.confirm_not_found = false).await;
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(VIEWER, json(200, ME)).await;
    let report = world.check(&["a"]).await.remove(0).unwrap();
    assert_eq!(report.verdict, Verdict::NotFound);
    assert_eq!(world.seen().await, [PROFILE, VIEWER]);
    assert!(!report.evidence.facts.join("; ").contains("second way"));
}

#[tokio::test]
async fn a_name_that_goes_missing_in_the_middle_of_a_check_is_asked_for_by_its_id() {
    let claims = format!(r#""is_private":false,"latest_reel_media":{}"#, now() - 60);
    let world = World::new().await;
    world.answer_once(PROFILE, json(200, profile_with(42, "a", &claims))).await;
    world.answer(PROFILE, json(404, NOT_FOUND)).await;
    world.answer(INFO, json(404, NOT_FOUND)).await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, ME)).await;
    let report = world.check(&["a"]).await.remove(0).unwrap();
    assert_eq!(report.verdict, Verdict::NotFound);
    assert_eq!(world.seen().await, [PROFILE, REELS, PROFILE, INFO, VIEWER]);
}

#[tokio::test]
async fn a_stub_is_asked_for_alone_and_only_once() {
    let items = story(1, 42, now() - 60);
    let alone =
        format!(r#"{{"reel":{{"id":42,"items":[{items}]}},"broadcast":null,"status":"ok"}}"#);
    let world = World::new().await;
    world.profile_of("a", json(200, profile(42, "a"))).await;
    world.profile_of("b", json(200, profile(43, "b"))).await;
    world.answer(REELS, json(200, stub(1))).await;
    world.answer(STORY, json(200, alone)).await;
    let answers = world.check(&["a", "b"]).await;
    let report = answers[0].as_ref().unwrap();
    assert_eq!((&report.verdict, report.items.len()), (&Verdict::Active, 1));
    // What it shows is a proof of the session for the others.
    assert_eq!(answers[1].as_ref().unwrap().verdict, Verdict::NoStory);
    assert_eq!(world.seen().await, [PROFILE, PROFILE, REELS, STORY]);

    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, stub(1))).await;
    world.answer(STORY, json(200, r#"{"reel":{"id":42,"media_count":1},"status":"ok"}"#)).await;
    let fault = world.check(&["a"]).await.remove(0).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint));
    assert_eq!(world.seen().await, [PROFILE, REELS, STORY]);
    let evidence = fault.evidence.unwrap();
    assert_eq!(evidence.requests.len(), 3);
    assert!(evidence.specimen.unwrap().contains(r#""media_count":0"#));
}

#[tokio::test]
async fn a_story_that_is_claimed_is_not_explained_by_an_older_one_that_ended() {
    let now = now();
    let (claimed, old) = (now - 3_600, now - 90_000);
    let ended = story(1, 42, old);
    let early = format!(r#"{{"pk":2,"taken_at":{claimed},"expiring_at":{}}}"#, now - 60);
    let stub = format!(r#"{{"id":42,"items":null,"latest_reel_media":{claimed}}}"#);
    let with_items = format!(r#"{{"id":42,"items":[{ended}],"latest_reel_media":{claimed}}}"#);
    for first in [stub, with_items] {
        for (items, word) in [
            (ended.clone(), "malformed"),
            (format!(r#"{ended}],"latest_reel_media":{old},"x":["#), "malformed"),
            (format!("{ended},{early}"), "no_story"),
            (format!(r#"{ended},{early}],"latest_reel_media":{claimed},"x":["#), "no_story"),
            (story(3, 42, claimed), "active"),
        ] {
            let world = World::new().await;
            world.answer(PROFILE, json(200, profile(42, "a"))).await;
            let body = format!(r#"{{"reels":{{"42":{first}}},"status":"ok"}}"#);
            world.answer(REELS, json(200, body)).await;
            let alone = format!(r#"{{"reel":{{"id":42,"items":[{items}]}},"status":"ok"}}"#);
            world.answer(STORY, json(200, alone)).await;
            world.answer(VIEWER, json(200, ME)).await;
            let outcome = world.check(&["a"]).await.remove(0);
            let seen = match &outcome {
                Ok(report) => report.verdict.as_str(),
                Err(fault) => fault.class.as_str(),
            };
            assert_eq!(seen, word, "{first}, then {items}: {outcome:?}");
            assert_eq!(world.seen().await[..3], [PROFILE, REELS, STORY]);
        }
    }
}

#[tokio::test]
async fn a_stub_waits_for_its_pass_and_others_do_not_wait_for_it() {
    let mut world = World::new().await;
    world.profile_of("a", json(200, profile(42, "a"))).await;
    world.profile_of("b", json(200, profile(43, "b"))).await;
    let items = story(1, 43, now() - 60);
    let body = stub(1)
        .replace(r#""reels":{"#, &format!(r#""reels":{{"43":{{"id":"43","items":[{items}]}},"#));
    world.answer(REELS, json(200, body)).await;
    world.profile.limits.session = Some(Quota::new(3, Duration::from_secs(600)).unwrap().into());
    world.check(&["a"]).await;
    world.check(&["b"]).await;
    world.profile.limits.session = Some(Quota::new(1, Duration::from_secs(600)).unwrap().into());
    let answers = world.check(&["a", "b"]).await;
    let fault = answers[0].as_ref().unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::RateLimited, Scope::Ours), "{fault}");
    assert_eq!(answers[1].as_ref().unwrap().verdict, Verdict::Active);
}

#[tokio::test]
async fn an_answer_with_somebody_elses_reel_proves_no_absence() {
    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, reels(&[(7, vec![story(1, 7, now() - 60)])]))).await;
    let fault = world.check(&["a"]).await.remove(0).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint));
    assert_eq!(world.seen().await, [PROFILE, REELS]);
}

#[tokio::test]
async fn requests_tell_the_time_to_the_first_byte() {
    let world = World::new().await;
    world.answer(PROFILE, json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, reels(&[(42, vec![story(1, 42, now() - 60)])]))).await;
    let report = world.check(&["a"]).await.remove(0).unwrap();
    for request in &report.evidence.requests {
        assert!(Duration::ZERO < request.first_byte && request.first_byte <= request.took);
    }
}

/// Passes come one by one: what was seen for one session alone must not be looked up for ever.
#[tokio::test]
async fn where_limits_end_the_look_ups_the_rest_is_answered_for_what_is_known() {
    let mut world = World::new().await;
    world.answer(REELS, json(200, EMPTY)).await;
    world.answer(VIEWER, json(200, ME)).await;
    let followed = r#""is_private":true,"followed_by_viewer":true"#;
    world.profile_of("known", json(200, profile(41, "known"))).await;
    world.profile_of("followed", json(200, profile_with(42, "followed", followed))).await;
    world.profile_of("public", json(200, profile(43, "public"))).await;
    world.check(&["known"]).await.remove(0).unwrap();

    world.profile.limits.session = Quota::new(10, Duration::from_secs(1)).ok().map(Into::into);
    let before = world.seen().await.len();
    let answers = world.check(&["followed", "public", "known"]).await;
    let words = answers.iter().map(|answer| match answer {
        Ok(report) => report.verdict.as_str(),
        Err(fault) => fault.class.as_str(),
    });
    assert_eq!(words.collect::<Vec<_>>(), ["no_story", "rate_limited", "no_story"]);
    assert_eq!(world.seen().await[before..], [PROFILE, REELS, VIEWER]);

    // Of what all sessions may know nothing is lost: it is left to a later check.
    let fault = world.check(&["public", "other", "another"]).await.remove(0).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::RateLimited, Scope::Ours));
}
