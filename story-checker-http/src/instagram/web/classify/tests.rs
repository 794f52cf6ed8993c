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
        ("W17", html(404, "<html><h2>Sorry, this page isn't available.</h2>"), Meaning::NotFound),
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
    let wait = json(401, r#"{"message":"Please wait a few minutes before you try again."}"#);
    assert_eq!(direct(wait), (Class::RateLimited, Scope::Session));
    let banned = json(400, r#"{"error_type":"sentry_block"}"#);
    assert_eq!(direct(banned), (Class::Blocked, Scope::App));
}

#[test]
fn the_private_host_counts_in_a_longer_window() {
    let mut limit = json(429, "");
    limit.host = "i.instagram.com".to_owned();
    let fault = classify(&limit).unwrap_err();
    assert_eq!(fault.until, Some(NOW + Duration::from_secs(1_800)));
}

#[test]
fn an_answer_that_takes_the_session_away_asks_for_a_login() {
    let wait = r#"{"message":"Please wait a few minutes before you try again.","require_login":true,"status":"fail"}"#;
    for (cookie, class) in [
        ("sessionid=\"\"; Max-Age=0; Path=/; Domain=.instagram.com", Class::AuthRequired),
        ("sessionid=; expires=Thu, 01-Jan-1970 00:00:00 GMT", Class::AuthRequired),
        ("sessionid=4200%3Anew; Max-Age=100", Class::RateLimited),
        ("rur=; Max-Age=0", Class::RateLimited),
    ] {
        let headers = [("content-type", JSON), ("set-cookie", cookie)];
        assert_eq!(classify(&exchange(401, &headers, wait)).unwrap_err().class, class, "{cookie}");
    }
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
        r#"{"reels":{},"status":"maybe"}"#,
    ] {
        let fault = read(&json(200, body), |body| parse_reels(body).map(|_| ())).unwrap_err();
        assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint), "{body}");
    }
    // Without its status it need not be the platform's.
    let foreign = read(&json(200, r#"{"reels":{}}"#), |body| parse_reels(body).map(|_| ()));
    assert_eq!(foreign.unwrap_err().scope, Scope::Proxy);
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
