use story_checker_core::Timestamp;

use super::*;
use crate::instagram::web::{parse_profile, parse_reels, parse_viewer};

const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);
const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

fn exchange(status: u16, headers: &[(&'static str, &str)], body: &str) -> Exchange {
    let host = "www.instagram.com".to_owned();
    Exchange { route: "profile", host, ..Exchange::sample(status, headers, body) }
}

fn json(status: u16, body: &str) -> Exchange {
    exchange(status, &[("content-type", JSON)], body)
}

fn html(status: u16, body: &str) -> Exchange {
    exchange(status, &[("content-type", HTML)], body)
}

fn to(location: &str) -> Exchange {
    exchange(302, &[("content-type", HTML), ("location", location)], "")
}

#[test]
fn every_row_of_the_catalogue() {
    use Class::{
        AuthRequired, Blocked, ChallengeRequired, Malformed, Permanent, RateLimited, Transient,
    };
    use Scope::{Endpoint, Ours, Proxy, Session};

    const MINUTES: u64 = 60;
    let please_wait = r#"{"message":"Please wait a few minutes before you try again.","require_login":true,"igweb_rollout":true,"status":"fail"}"#;
    let login = r#"{"message":"login_required","error_title":"You've Been Logged Out","logout_reason":8,"status":"fail"}"#;
    let challenge = r#"{"message":"challenge_required","challenge":{"url":"https://i.instagram.com/challenge/1/","api_path":"/challenge/1/","lock":true},"status":"fail","error_type":"checkpoint_challenge_required"}"#;
    // (row, answer, class, scope, seconds of rest)
    let rows: &[(&str, Exchange, Class, Scope, Option<u64>)] = &[
        ("W1", json(429, ""), RateLimited, Session, Some(11 * MINUTES)),
        ("W1", html(429, "<html>"), RateLimited, Session, Some(11 * MINUTES)),
        ("W1", json(429, r#"{"message":"","status":"fail"}"#), RateLimited, Session, Some(660)),
        ("W2", json(401, please_wait), RateLimited, Session, Some(10 * MINUTES)),
        ("W2", json(400, please_wait), RateLimited, Session, Some(10 * MINUTES)),
        ("W2", json(200, please_wait), RateLimited, Session, Some(10 * MINUTES)),
        ("W3", json(403, login), AuthRequired, Session, None),
        ("W3", json(400, login), AuthRequired, Session, None),
        ("W3", json(401, r#"{"message":"","status":"fail"}"#), AuthRequired, Session, None),
        (
            "W4",
            to("https://www.instagram.com/accounts/login/?next=/api/"),
            AuthRequired,
            Session,
            None,
        ),
        ("W4", to("/accounts/login/?next=%2F"), AuthRequired, Session, None),
        ("W5", html(200, "<title>Login</title> LoginAndSignupPage"), AuthRequired, Session, None),
        ("W5", html(200, "<a href=\"/accounts/login/\">"), AuthRequired, Session, None),
        ("W6", html(200, "<form action=\"/challenge/1/\">"), ChallengeRequired, Session, None),
        ("W6", html(201, "<html>wall</html>"), Malformed, Proxy, None),
        ("W6", to("/challenge/?next=/"), ChallengeRequired, Session, None),
        ("W7", to("/"), Malformed, Session, None),
        ("W7", to("https://www.instagram.com/"), Malformed, Session, None),
        (
            "W8",
            json(
                400,
                r#"{"message":"checkpoint_required","checkpoint_url":"/challenge/?next=/","lock":false,"flow_render_type":0,"status":"fail"}"#,
            ),
            ChallengeRequired,
            Session,
            None,
        ),
        ("W9", json(400, challenge), ChallengeRequired, Session, None),
        (
            "W9",
            json(400, &challenge.replace("/challenge/1/", "/suspended/")),
            Permanent,
            Session,
            None,
        ),
        ("W9", to("/accounts/suspended/"), Permanent, Session, None),
        ("W10", html(404, "Not Found"), ChallengeRequired, Session, None),
        ("W10", exchange(404, &[], "Not Found"), ChallengeRequired, Session, None),
        (
            "W11",
            json(
                400,
                r#"{"message":"feedback_required","spam":true,"feedback_title":"Try Again Later","status":"fail"}"#,
            ),
            Blocked,
            Session,
            Some(24 * 60 * MINUTES),
        ),
        (
            "W12",
            json(
                400,
                r#"{"message":"consent_required","consent_data":{"headline":"x"},"status":"fail"}"#,
            ),
            ChallengeRequired,
            Session,
            None,
        ),
        (
            "W13",
            json(400, r#"{"message":"useragent mismatch","status":"fail"}"#),
            Permanent,
            Ours,
            None,
        ),
        (
            "W14",
            json(400, r#"{"error_type":"rate_limit_error","status":"fail"}"#),
            RateLimited,
            Session,
            Some(660),
        ),
        (
            "W14",
            json(400, r#"{"error_type":"sentry_block","status":"fail"}"#),
            Blocked,
            Proxy,
            None,
        ),
        ("W14", json(400, r#"{"message":"user_blocked","status":"fail"}"#), Blocked, Proxy, None),
        (
            "W16",
            json(
                400,
                r#"{"message":"The username you entered doesn't appear to belong to an account.","status":"fail"}"#,
            ),
            Blocked,
            Proxy,
            None,
        ),
        (
            "W17",
            html(404, "<html>Sorry, this page isn't available.</html>"),
            Malformed,
            Proxy,
            None,
        ),
        ("W18", json(200, r#"{"status":"fail","message":"odd"}"#), Transient, Endpoint, None),
        (
            "W18",
            json(200, r#"{"status":"fail","message":{"errors":["odd"]}}"#),
            Transient,
            Endpoint,
            None,
        ),
        (
            "W18",
            json(200, r#"{"status":"fail","message":"checkpoint_required"}"#),
            ChallengeRequired,
            Session,
            None,
        ),
        (
            "W19",
            json(
                200,
                r#"{"data":null,"errors":[{"summary":"Login required","message":"x"}],"status":"ok"}"#,
            ),
            AuthRequired,
            Session,
            None,
        ),
        (
            "W19",
            json(200, r#"{"data":null,"errors":[{"summary":"Incorrect Query"}],"status":"ok"}"#),
            Permanent,
            Ours,
            None,
        ),
        ("W20", html(500, "<html>"), Transient, Endpoint, None),
        ("W20", json(503, r#"{"message":"Oops, an error occurred."}"#), Transient, Endpoint, None),
        ("W20", html(560, ""), Transient, Endpoint, None),
        ("W20", html(408, ""), Transient, Endpoint, None),
        ("W21", json(200, r#"{"data":{"user":{"id"#), Malformed, Endpoint, None),
        ("W21", json(200, ""), Malformed, Endpoint, None),
        ("W21", json(200, "<html>"), Malformed, Endpoint, None),
        (
            "W22",
            json(400, r#"{"message":"Invalid reel id list","status":"fail"}"#),
            Malformed,
            Endpoint,
            None,
        ),
        ("W22", json(201, r#"{"status":"ok"}"#), Malformed, Endpoint, None),
        (
            "wall",
            exchange(403, &[("cf-mitigated", "challenge"), ("content-type", HTML)], "<html>"),
            Blocked,
            Proxy,
            None,
        ),
        (
            "captive",
            html(200, "<html>Welcome to our hotel. Log in!</html>"),
            Malformed,
            Proxy,
            None,
        ),
        ("captive", to("http://portal.hotel.test/accounts/login/"), Malformed, Proxy, None),
        ("captive", to("//portal.hotel.test"), Malformed, Proxy, None),
        (
            "type",
            exchange(200, &[("content-type", "text/plain")], r#"{"status":"ok"}"#),
            Malformed,
            Proxy,
            None,
        ),
        ("type", exchange(200, &[], r#"{"status":"ok"}"#), Malformed, Proxy, None),
        ("407", html(407, ""), Blocked, Proxy, None),
    ];
    for (row, exchange, class, scope, rest) in rows {
        let fault = classify(exchange).expect_err(row);
        assert_eq!((fault.class, fault.scope), (*class, *scope), "{row}: {fault}");
        let rest = rest.map(|seconds| NOW + Duration::from_secs(seconds));
        assert_eq!(fault.until, rest, "{row}: {fault}");
        assert!(fault.message.starts_with("profile answered "), "{fault}");
    }
}

#[test]
fn answers_about_the_target_are_no_faults() {
    for (row, exchange, meaning) in [
        (
            "W15",
            json(400, r#"{"message":"Not authorized to view user","status":"fail"}"#),
            Meaning::Private,
        ),
        (
            "W17",
            json(
                404,
                r#"{"message":"User not found","status":"fail","error_type":"user_not_found"}"#,
            ),
            Meaning::NotFound,
        ),
        ("W17", json(404, r#"{"message":"User not found","status":"fail"}"#), Meaning::NotFound),
        ("ok", json(200, r#"{"data":{},"status":"ok"}"#), Meaning::Answer),
    ] {
        assert_eq!(classify(&exchange), Ok(meaning), "{row}");
    }
}

#[test]
fn without_a_proxy_our_own_way_pays() {
    let direct = |mut exchange: Exchange| {
        exchange.proxied = false;
        let fault = classify(&exchange).unwrap_err();
        (fault.class, fault.scope)
    };
    assert_eq!(direct(html(200, "<html>")), (Class::Malformed, Scope::Endpoint));
    let wall = exchange(403, &[("cf-mitigated", "challenge")], "");
    assert_eq!(direct(wall), (Class::Blocked, Scope::App));
    let banned = json(400, r#"{"error_type":"sentry_block"}"#);
    assert_eq!(direct(banned), (Class::Blocked, Scope::App));
}

#[test]
fn the_platforms_hint_is_obeyed_uncapped() {
    let until = |retry_after: &str, date: Option<&str>| {
        let mut headers = vec![("content-type", JSON), ("retry-after", retry_after)];
        headers.extend(date.map(|date| ("date", date)));
        let until = classify(&exchange(429, &headers, "")).unwrap_err().until.unwrap();
        until.since(NOW).as_secs()
    };
    assert_eq!(until("17", None), 17);
    assert_eq!(until("0", None), 0);
    assert_eq!(until("864000", None), 864_000);
    // A date counts from the answer's own date, even if our clock is an hour off.
    let date = Some("Sat, 21 Nov 2026 10:00:00 GMT");
    assert_eq!(until("Sat, 21 Nov 2026 10:02:00 GMT", date), 120);
    assert_eq!(until("Sat, 21 Nov 2026 09:02:00 GMT", date), 0);
    assert_eq!(until("Sat, 21 Nov 2026 09:02:00 GMT", None), 120);
    // What cannot be read is as if it was not there.
    assert_eq!(until("soon", None), 660);
    assert_eq!(until("-5", None), 660);

    let wait = r#"{"message":"Please wait a few minutes before you try again.","status":"fail"}"#;
    let rest = |seconds: &str| {
        let headers = [("content-type", JSON), ("retry-after", seconds)];
        let fault = classify(&exchange(401, &headers, wait)).unwrap_err();
        fault.until.unwrap().since(NOW).as_secs()
    };
    assert_eq!((rest("5"), rest("7200")), (600, 7_200));
    let headers = [("content-type", HTML), ("retry-after", "30")];
    let fault = classify(&exchange(503, &headers, "")).unwrap_err();
    assert_eq!(fault.until, Some(NOW + Duration::from_secs(30)));
}

#[test]
fn a_shape_that_nobody_knows_is_malformed() {
    for body in [
        r#"{"reels":null,"reels_media":[],"status":"ok"}"#,
        r#"{"status":"ok"}"#,
        r#"{"reels":{}}"#,
        r#"{"reels":{},"status":"maybe"}"#,
    ] {
        let fault = read(&json(200, body), |body| parse_reels(body).map(|_| ())).unwrap_err();
        assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint), "{body}");
    }
    let ok = json(200, r#"{"reels":{},"status":"ok"}"#);
    assert!(read(&ok, parse_reels).is_ok());
    let null = json(200, r#"{"data":null,"errors":[{"message":"Login required"}],"status":"ok"}"#);
    assert_eq!(read(&null, parse_viewer).unwrap_err().class, Class::AuthRequired);
    let odd = json(404, r#"{"error_type":"user_not_found","status":"fail"}"#);
    assert_eq!(read(&odd, parse_profile).unwrap_err().class, Class::Malformed);
}

#[test]
fn no_text_quotes_the_body() {
    for exchange in [
        json(400, r#"{"message":"PLANTED-1","status":"fail"}"#),
        json(200, r#"{"message":"PLANTED-1","status":"fail"}"#),
        html(200, "PLANTED-1"),
        json(200, "PLANTED-1"),
        to("https://portal.test/PLANTED-1"),
    ] {
        let fault = classify(&exchange).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("PLANTED"), "{fault}");
    }
}
