use std::collections::BTreeSet;
use std::time::Duration;

use story_checker_core::Timestamp;

use super::*;
use crate::x::parse::parse_posts;

const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);
const JSON: &str = "application/json; charset=utf-8";
const PROBLEM: &str = "application/problem+json";

fn exchange(status: u16, headers: &[(&'static str, &str)], body: &str) -> Exchange {
    let host = "api.x.com".to_owned();
    Exchange { route: "timeline", host, ..Exchange::sample(status, headers, body) }
}

fn json(status: u16, body: &str) -> Exchange {
    exchange(status, &[("content-type", JSON)], body)
}

fn plain(status: u16, body: &str) -> Exchange {
    exchange(status, &[("content-type", "text/plain; charset=utf-8")], body)
}

/// A body that is a problem.
fn problem(status: u16, kind: &str, more: &str) -> Exchange {
    let body = format!(
        r#"{{"title":"A Title","detail":"Words.","type":"https://api.x.com/2/problems/{kind}"{more}}}"#
    );
    exchange(status, &[("content-type", PROBLEM)], &body)
}

/// A 200 without data.
fn inline(kind: &str, detail: &str) -> Exchange {
    let body = format!(
        r#"{{"errors":[{{"value":"7","title":"A Title","detail":"{detail}","resource_type":"user",
            "type":"https://api.twitter.com/2/problems/{kind}"}}]}}"#
    );
    json(200, &body)
}

fn code(status: u16, code: u64) -> Exchange {
    json(status, &format!(r#"{{"errors":[{{"code":{code},"message":"Words."}}]}}"#))
}

/// The row of the table that an answer is.
fn row(exchange: &Exchange) -> Option<&'static str> {
    let problems = Problem::all(serde_json::from_slice(&exchange.body).ok()?);
    let problems: Vec<_> = problems.iter().collect();
    let row = ROWS.iter().find(|row| row.fits(exchange.status.as_u16(), &problems));
    row.map(|row| row.id)
}

#[test]
fn every_row_of_the_catalogue() {
    use Class::{
        AuthRequired, Blocked, ChallengeRequired, Malformed, Permanent, RateLimited, Transient,
    };
    use Scope::{App, Endpoint, Ours, Proxy, Session};

    let about_blank = |status: u16, title: &str| {
        json(status, &format!(r#"{{"title":"{title}","type":"about:blank","status":{status}}}"#))
    };
    let cap = r#","period":"Monthly","scope":"Product","account_id":1"#;
    // A window that has plenty left: the cap is another thing.
    let plenty = [("content-type", JSON), ("x-rate-limit-remaining", "449")];
    let old_cap = r#"{"title":"UsageCapExceeded","period":"Monthly","type":"about:blank"}"#;
    // (row, answer, class, scope, seconds of rest)
    let rows: &[(&str, Exchange, Class, Scope, Option<u64>)] = &[
        ("X429-window", about_blank(429, "Too Many Requests"), RateLimited, Session, Some(60)),
        ("X429-window", code(429, 88), RateLimited, Session, Some(60)),
        ("X429-window", code(403, 88), RateLimited, Session, Some(60)),
        ("X429-window", json(429, "{}"), RateLimited, Session, Some(60)),
        ("X429-cap", problem(429, "usage-capped", cap), Permanent, App, None),
        ("X429-cap", exchange(429, &plenty, old_cap), Permanent, App, None),
        ("X402", problem(402, "credits", ""), Permanent, App, None),
        ("X402", json(402, "{}"), Permanent, App, None),
        ("X401", about_blank(401, "Unauthorized"), AuthRequired, Session, None),
        ("X401-32", code(401, 32), AuthRequired, Session, None),
        ("X401-32", code(403, 89), AuthRequired, Session, None),
        (
            "X403-unsupported-auth",
            problem(403, "unsupported-authentication", ""),
            Permanent,
            Ours,
            None,
        ),
        (
            "X403-not-enrolled",
            problem(
                403,
                "client-forbidden",
                r#","reason":"client-not-enrolled","registration_url":"x""#,
            ),
            Permanent,
            App,
            None,
        ),
        ("X403-user-suspended", problem(403, "user-suspended", ""), Permanent, Session, None),
        ("X403-user-suspended", code(403, 64), Permanent, Session, None),
        ("X403-326", code(403, 326), ChallengeRequired, Session, None),
        (
            "X400",
            problem(
                400,
                "invalid-request",
                r#","errors":[{"parameters":{"max_results":["1000"]}}]"#,
            ),
            Permanent,
            Ours,
            None,
        ),
        ("X-hydration", inline("field-hydration-failure", "x"), Transient, Endpoint, None),
        ("X-field", inline("not-authorized-for-field", "x"), Malformed, Endpoint, None),
        ("X-field", inline("field-unauthorized", "x"), Malformed, Endpoint, None),
        ("X500", about_blank(500, "Something is broken"), Transient, Endpoint, None),
        ("X500", inline("internal-error", "x"), Transient, Endpoint, None),
        ("X502", json(502, "{}"), Transient, Endpoint, None),
        ("X503", about_blank(503, "Service Unavailable"), Transient, Endpoint, None),
        ("X504", json(504, "{}"), Transient, Endpoint, None),
        ("X130", code(503, 130), Transient, Endpoint, None),
        ("X131", code(500, 131), Transient, Endpoint, None),
        ("X131", code(200, 131), Transient, Endpoint, None),
        // What is in no row.
        ("", plain(429, "Rate limit exceeded"), RateLimited, Session, Some(60)),
        ("", plain(503, "Service Unavailable"), Transient, Endpoint, None),
        ("", exchange(502, &[], ""), Transient, Endpoint, None),
        ("", json(599, "{}"), Transient, Endpoint, None),
        ("", json(408, "{}"), Transient, Endpoint, None),
        // Anybody's text costs neither token nor app.
        ("", plain(401, "Unauthorized"), Malformed, Proxy, None),
        ("", plain(402, "Payment Required"), Malformed, Proxy, None),
        ("", plain(403, "Forbidden."), Malformed, Proxy, None),
        ("", plain(200, "OK"), Malformed, Proxy, None),
        ("", exchange(200, &[("content-type", "text/html")], "<html>"), Malformed, Proxy, None),
        ("", exchange(407, &[], ""), Blocked, Proxy, None),
        ("", exchange(403, &[("cf-mitigated", "challenge")], ""), Blocked, Proxy, None),
        ("", exchange(302, &[("location", "http://portal.test/")], ""), Malformed, Proxy, None),
        ("", exchange(301, &[("location", "/2/other")], ""), Malformed, Endpoint, None),
        // What nobody knows.
        ("", problem(403, "brand-new", ""), Malformed, Endpoint, None),
        ("", inline("brand-new", "x"), Malformed, Endpoint, None),
        ("", json(404, r#"{"title":"Not Found","type":"about:blank"}"#), Malformed, Endpoint, None),
        ("", json(404, "{}"), Malformed, Endpoint, None),
        // None of the marks of the platform.
        ("", json(200, "{}"), Malformed, Proxy, None),
        ("", json(200, r#"{"meta":{"result_count":3}}"#), Malformed, Endpoint, None),
        ("", json(200, r#"{"data":[{"id"#), Malformed, Endpoint, None),
        ("", json(200, ""), Malformed, Endpoint, None),
    ];
    for (id, exchange, class, scope, rest) in rows {
        assert_eq!(row(exchange).unwrap_or_default(), *id, "{class} {scope}");
        let fault = fault_of(exchange, id);
        assert_eq!((fault.class, fault.scope), (*class, *scope), "{id}: {fault}");
        let rest = rest.map(|seconds| NOW + Duration::from_secs(seconds));
        assert_eq!(fault.until, rest, "{id}: {fault}");
        assert!(fault.message.starts_with("timeline answered "), "{fault}");
    }
    let standings = STANDINGS.iter().map(|(id, ..)| *id);
    let tested: BTreeSet<_> = rows.iter().map(|row| row.0).chain(standings).collect();
    let untested: Vec<_> =
        ROWS.iter().filter(|row| !tested.contains(row.id)).map(|row| row.id).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// As the check about posts reads it.
fn fault_of(exchange: &Exchange, id: &str) -> Fault {
    match crate::x::post::Page::read(exchange, Some("7")) {
        Err(fault) => fault,
        Ok(answer) => panic!("{id}: {answer:?}"),
    }
}

const STANDINGS: &[(&str, u16, &str, &str, Standing)] = &[
    ("X404", 200, "resource-not-found", "Could not find user with id: [7].", Standing::Missing),
    ("X404", 404, "resource-not-found", "Could not find user with id: [7].", Standing::Missing),
    (
        "X-suspended",
        200,
        "resource-not-found",
        "User has been suspended: [7].",
        Standing::Suspended,
    ),
    ("X-suspended", 403, "forbidden", "User has been suspended: [7].", Standing::Suspended),
    (
        "X-suspended",
        404,
        "resource-unavailable",
        "User has been suspended: [7].",
        Standing::Suspended,
    ),
    ("X-unavailable", 200, "resource-unavailable", "Gone: [7].", Standing::Missing),
    ("X-not-authorized", 200, "not-authorized-for-resource", "Sorry.", Standing::Private),
    ("X-not-authorized", 403, "not-authorized-for-resource", "Sorry.", Standing::Private),
];

#[test]
fn answers_about_the_account_are_no_faults() {
    for (id, status, kind, detail, standing) in STANDINGS {
        for host in ["api.x.com", "api.twitter.com"] {
            let item = format!(
                r#"{{"title":"A Title","detail":"{detail}","type":"https://{host}/2/problems/{kind}","value":"7"}}"#
            );
            for body in [format!(r#"{{"errors":[{item}]}}"#), item] {
                let exchange = json(*status, &body);
                assert_eq!(row(&exchange), Some(*id), "{body}");
                let answer = crate::x::post::Page::read(&exchange, Some("7"));
                assert!(matches!(answer, Ok(Read::Standing(s)) if s == *standing), "{answer:?}");
                // A search asks about no account.
                let fault = crate::x::post::Page::read(&exchange, None).unwrap_err();
                assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint));
            }
        }
    }
}

#[test]
fn an_answer_about_somebody_else_is_not_believed() {
    for body in [
        r#"{"errors":[{"value":"8","type":"x/resource-not-found"}]}"#,
        r#"{"resource_id":8,"type":"x/resource-not-found"}"#,
        r#"{"errors":[{"value":"7","type":"x/resource-not-found"},{"value":"8","type":"x"}]}"#,
    ] {
        for status in [200, 404] {
            let fault = fault_of(&json(status, body), body);
            assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint), "{body}");
        }
    }
}

#[test]
fn a_query_that_is_refused_is_its_authors() {
    let body = r#","errors":[{"parameters":{"query":["(("]}}]"#;
    let fault = |route| {
        let exchange = Exchange { route, ..problem(400, "invalid-request", body) };
        let fault = classify(&exchange, None, None).unwrap_err();
        (fault.class, fault.scope)
    };
    assert_eq!(fault("search"), (Class::Permanent, Scope::Target));
    assert_eq!(fault("timeline"), (Class::Permanent, Scope::Ours));
}

#[test]
fn a_regular_answer_needs_no_table() {
    let empty = json(200, r#"{"meta":{"result_count":0}}"#);
    assert!(matches!(read(&empty, None, parse_posts), Ok(Read::Answer(_))));
}

#[test]
fn without_a_proxy_our_own_way_pays() {
    let mut page = exchange(200, &[("content-type", "text/html")], "<html>");
    page.proxied = false;
    assert_eq!(classify(&page, None, None).unwrap_err().scope, Scope::Endpoint);
}

#[test]
fn no_text_quotes_the_body() {
    for exchange in [
        problem(403, "PLANTED-1", r#","reason":"PLANTED-2""#),
        problem(400, "invalid-request", r#","errors":[{"message":"PLANTED"}]"#),
        inline("PLANTED", "PLANTED"),
        json(500, r#"{"errors":[{"code":131,"message":"PLANTED"}]}"#),
        json(200, "PLANTED"),
        plain(403, "PLANTED"),
        exchange(302, &[("location", "https://portal.test/PLANTED")], ""),
    ] {
        let fault = classify(&exchange, None, None).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("PLANTED"), "{fault}");
    }
}
