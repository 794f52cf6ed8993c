//! Errors and limits, and whom they stop.

use story_checker_core::checker::Checker;
use story_checker_core::{Class, Scope, Target};
use wiremock::ResponseTemplate;

use super::{NOTHING, Office, error, facts, of, page, story};
use crate::support::{json, now, proxy};

#[tokio::test]
async fn a_page_that_our_limits_forbid_leaves_the_stories_that_were_seen() {
    let usage = r#"{"call_count":80}"#;
    for (stories, verdict) in [(vec![story(1, now() - 100)], Some("active")), (vec![], None)] {
        let office = Office::new().await;
        let answer = json(200, page(&stories, "Qg", true)).insert_header("x-app-usage", usage);
        office.stories(answer).await;
        let answer = office.check("tea_house").await;
        assert_eq!(answer.as_ref().ok().map(|report| report.verdict.as_str()), verdict);
        let text = answer.map_or_else(|fault| fault.to_string(), |report| facts(&report));
        assert!(text.contains("our own limits") || text.contains("app instagram-graph"), "{text}");
    }
}

#[tokio::test]
async fn an_error_is_never_retried_and_names_its_row() {
    for (code, subcode, class, scope, row) in [
        (190, Some(463), Class::AuthRequired, Scope::Session, "G190-463"),
        (190, Some(459), Class::ChallengeRequired, Scope::Session, "G190-459"),
        (10, None, Class::Permanent, Scope::Endpoint, "G10"),
        (4, None, Class::RateLimited, Scope::App, "G4"),
        (110, Some(2_207_013), Class::Permanent, Scope::Ours, "G110"),
    ] {
        let office = Office::new().await;
        office.stories(error(code, subcode)).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (class, scope), "{fault}");
        assert!(fault.message.contains(row), "{fault}");
        let evidence = fault.evidence.unwrap();
        assert_eq!((evidence.requests[0].status, evidence.requests.len()), (400, 1));
        assert_eq!(evidence.session.unwrap().as_str(), "tea");
        assert_eq!(office.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn the_limit_of_the_app_stops_every_token_and_only_this_api() {
    let office = Office::new().await;
    office.stories(error(4, None)).await;
    office.check("tea_house").await.unwrap_err();
    let fault = office.check("tea_house").await.unwrap_err();
    assert_eq!(of(&fault), (Class::RateLimited, Scope::Ours), "{fault}");
    assert!(fault.message.contains("app instagram-graph"), "{fault}");
    assert!(fault.until.unwrap().as_secs() > now() + 3_500);
    assert_eq!(office.seen().await.len(), 1);
}

#[tokio::test]
async fn usage_headers_pace_and_stop_the_key_they_are_about() {
    const APP: &str = "x-app-usage";
    const BUSINESS: &str = "x-business-use-case-usage";
    let business = |percent: u32, minutes: u32| {
        format!(
            r#"{{"178":[{{"type":"instagram","call_count":{percent},"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":{minutes}}}]}}"#
        )
    };
    let app =
        |percent: u32| format!(r#"{{"call_count":{percent},"total_cputime":1,"total_time":1}}"#);
    for (header, value, key, rest) in [
        (APP, app(80), "app instagram-graph", 36),
        (APP, app(100), "app instagram-graph", 3_600),
        // A session has 200 per hour, 20 at once: one in 19.9 s, and at 90 % two fifths of that.
        (BUSINESS, business(90, 0), "session tea", 49),
        (BUSINESS, business(100, 1_500), "session tea", 90_000),
    ] {
        let office = Office::new().await;
        office.stories(json(200, NOTHING).insert_header(header, value.as_str())).await;
        // The answer itself is good.
        office.check("tea_house").await.unwrap();
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (Class::RateLimited, Scope::Ours), "{fault}");
        assert!(fault.message.contains(key), "{fault}");
        let wait = fault.until.unwrap().as_secs() - now();
        assert!((rest - 10..=rest + 1).contains(&wait), "{wait} {rest}");
        assert_eq!(office.seen().await.len(), 1);
    }
    for value in [app(70), "nonsense".to_owned(), String::new()] {
        let office = Office::new().await;
        let answer = json(200, NOTHING).insert_header(APP, value.as_str());
        office.stories(answer.insert_header(BUSINESS, value.as_str())).await;
        office.check("tea_house").await.unwrap();
        office.check("tea_house").await.unwrap();
    }
}

#[tokio::test]
async fn names_that_cannot_be_and_checks_that_are_over_cost_no_request() {
    let office = Office::new().await;
    let odd: Target = "instagram/account/a){x}".parse().unwrap();
    let fault = office.checker.check(&[odd], &office.context()).await.remove(0).unwrap_err();
    assert_eq!(of(&fault), (Class::Permanent, Scope::Target), "{fault}");

    let cx = office.context().with_deadline(tokio::time::Instant::now());
    let fault = office.check_in("tea_house", &cx).await.unwrap_err();
    assert_eq!(of(&fault), (Class::RateLimited, Scope::Ours), "{fault}");

    let cx = office.context();
    cx.cancellation().cancel();
    let fault = office.check_in("tea_house", &cx).await.unwrap_err();
    assert_eq!(fault.class, Class::Cancelled, "{fault}");
    assert!(office.seen().await.is_empty());
}

#[tokio::test]
async fn a_page_of_a_proxy_never_touches_the_token() {
    let office = Office::new().await;
    let wall = ResponseTemplate::new(200).set_body_raw("<html>hotel wifi</html>", "text/html");
    office.stories(wall).await;
    let way = proxy(office.server.uri());
    let fault = office.check_in("tea_house", &office.context().with_proxy(way)).await.unwrap_err();
    assert_eq!(of(&fault), (Class::Malformed, Scope::Proxy), "{fault}");
}
