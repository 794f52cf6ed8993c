//! How tokens live and end, and that nothing planted comes out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use story_checker_core::{Class, Clock, Scope, Timestamp};
use wiremock::Mock;
use wiremock::matchers::{header, path, query_param};

use super::{
    DAY, Hand, NOTHING, Office, REFRESH, STORIES, error, facts, of, old_token, page, story, token,
};
use crate::support::{json, log, now};

#[tokio::test]
async fn the_end_of_a_token_that_cannot_be_refreshed_is_told_in_time() {
    for (left, told) in [(9, true), (11, false)] {
        let mut token = token();
        token.expires_at = Some(Timestamp::from_secs(now()) + left * DAY);
        let office = Office::with(token, |_| {}).await;
        office.stories(json(200, NOTHING)).await;
        let facts = facts(&office.check("tea_house").await.unwrap());
        assert_eq!(facts.contains("get a new one before"), told, "{facts}");
        assert_eq!(office.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn an_expired_token_costs_no_request() {
    let start = Timestamp::from_secs(now());
    let hand = Arc::new(Hand(Mutex::new(start)));
    let mut token = token();
    token.expires_at = Some(start + DAY);
    let office = Office::at(token, |_| {}, Arc::clone(&hand) as Arc<dyn Clock>).await;
    office.stories(json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
    *hand.0.lock().unwrap() = start + DAY;
    let fault = office.check("tea_house").await.unwrap_err();
    assert_eq!(of(&fault), (Class::AuthRequired, Scope::Session), "{fault}");
    assert!(fault.message.contains("get a new one"), "{fault}");
    assert_eq!(office.seen().await.len(), 1);
}

#[tokio::test]
async fn a_token_near_its_end_is_refreshed_and_the_new_one_is_used() {
    let office = Office::with(old_token(), |_| {}).await;
    let new = r#"{"access_token":"PLANTED-new-token","token_type":"bearer","expires_in":5184000}"#;
    Mock::given(path(format!("/instagram{REFRESH}")))
        .and(query_param("grant_type", "ig_refresh_token"))
        .and(header("authorization", "Bearer PLANTED-access-token"))
        .respond_with(json(200, new))
        .mount(&office.server)
        .await;
    Mock::given(path(format!("/instagram{STORIES}")))
        .and(header("authorization", "Bearer PLANTED-new-token"))
        .respond_with(json(200, NOTHING))
        .mount(&office.server)
        .await;
    let report = office.check("tea_house").await.unwrap();
    assert!(facts(&report).contains("was refreshed"), "{}", facts(&report));
    let routes: Vec<_> = report.evidence.requests.iter().map(|it| &*it.route).collect();
    assert_eq!(routes, ["refresh", "stories"]);
    let credentials = office.session.credentials();
    assert_eq!(credentials.tokens["access_token"].expose(), "PLANTED-new-token");
    let left = credentials.expires_at.unwrap().since(Timestamp::from_secs(now()));
    assert!(left > 59 * DAY && left <= 60 * DAY + DAY, "{left:?}");

    office.check("tea_house").await.unwrap();
    assert_eq!(office.seen().await.len(), 3);
}

#[tokio::test]
async fn a_refresh_that_fails_does_not_spoil_the_check() {
    for answer in
        [error(190, None), error(10, None), json(200, "{}"), json(500, ""), json(404, "x")]
    {
        let office = Office::with(old_token(), |_| {}).await;
        office.answer(&format!("/instagram{REFRESH}"), answer).await;
        office.answer(&format!("/instagram{STORIES}"), json(200, NOTHING)).await;
        let report = office.check("tea_house").await.unwrap();
        assert!(facts(&report).contains("could not be refreshed"), "{}", facts(&report));
        // It is left alone for a while.
        let report = office.check("tea_house").await.unwrap();
        assert!(!facts(&report).contains("refreshed"), "{}", facts(&report));
        assert_eq!(office.seen().await.len(), 3);
    }
    // But a session that must rest rests.
    for (code, class) in [(25, Class::ChallengeRequired), (17, Class::RateLimited)] {
        let office = Office::with(old_token(), |_| {}).await;
        office.answer(&format!("/instagram{REFRESH}"), error(code, None)).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (class, Scope::Session), "{fault}");
        assert_eq!(office.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn the_settings_of_the_refresh_are_kept() {
    let office = Office::with(old_token(), |config| config.refresh_before = Duration::ZERO).await;
    office.answer(&format!("/instagram{STORIES}"), json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
    assert_eq!(office.seen().await.len(), 1);

    let office = Office::with(old_token(), |config| config.refresh_by_query = true).await;
    office.answer(&format!("/instagram{STORIES}"), json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
    let request = office.server.received_requests().await.unwrap().remove(0);
    let token = request.url.query_pairs().find(|(key, _)| key == "access_token");
    assert_eq!(token.unwrap().1, "PLANTED-access-token");
}

#[tokio::test]
async fn no_planted_secret_in_logs_errors_and_debug_texts() {
    let mut texts = Vec::new();
    for (answer, refresh) in [
        (json(200, page(&[story(1, now() - 60)], "Qg", true)), "PLANTED-new-token"),
        (json(200, "PLANTED-body"), "PLANTED new token"),
        (error(190, Some(463)), ""),
        (json(400, r#"{"error":{"code":777,"message":"Malformed access token PLANTED-x"}}"#), ""),
    ] {
        let office = Office::with(old_token(), |config| config.refresh_by_query = true).await;
        let refresh = format!(r#"{{"access_token":"{refresh}","expires_in":5184000}}"#);
        office.answer(&format!("/instagram{REFRESH}"), json(200, refresh)).await;
        office.answer(&format!("/instagram{STORIES}"), answer).await;
        let cx = office.context();
        match office.check_in("tea_house", &cx).await {
            Ok(mut report) => {
                // The address of a file is signed: it is the answer, and nothing else may tell.
                report.items.clear();
                texts.push(format!("{report:?}"));
            }
            Err(fault) => texts.push(format!("{fault} {fault:?}")),
        }
        let Office { checker, session, .. } = &office;
        texts.push(format!("{cx:?} {checker:?} {checker} {session:?} {:?}", old_token()));
    }
    // Nobody listens: the error tells no address either.
    let office = Office::with(old_token(), |config| {
        config.login_base_url = "http://127.0.0.1:1".to_owned();
        config.refresh_by_query = true;
    })
    .await;
    texts.push(format!("{:?}", office.check("tea_house").await));

    let log = log().text();
    assert!(log.contains("authorization: [redacted]"));
    assert!(log.contains("a token was refreshed") && log.contains("could not be refreshed"));
    let leaks: Vec<_> = log
        .lines()
        .filter(|line| line.contains("story_checker") && line.contains("PLANTED"))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    for text in &texts {
        assert!(!text.contains("PLANTED"), "{text}");
    }
}
