use proptest::prelude::*;
use story_checker_core::Timestamp;

use super::*;
use crate::instagram::graph::{parse_discovery, parse_stories};

const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);
const JSON: &str = "application/json; charset=UTF-8";
const HTML: &str = "text/html; charset=utf-8";

fn exchange(status: u16, headers: &[(&'static str, &str)], body: &str) -> Exchange {
    let host = "graph.facebook.com".to_owned();
    Exchange { route: "stories", host, ..Exchange::sample(status, headers, body) }
}

fn json(status: u16, body: &str) -> Exchange {
    exchange(status, &[("content-type", JSON)], body)
}

fn html(status: u16, body: &str) -> Exchange {
    exchange(status, &[("content-type", HTML)], body)
}

/// An error as the platform words it, with a message that must never be shown.
fn error(code: i64, subcode: Option<i64>) -> String {
    let subcode = subcode.map_or(String::new(), |code| format!(r#""error_subcode":{code},"#));
    format!(
        r#"{{"error":{{"message":"(#{code}) PLANTED words","type":"OAuthException","code":{code},{subcode}"error_user_msg":"PLANTED","fbtrace_id":"APLANTED"}}}}"#
    )
}

/// The fault, or none if it is an answer about somebody who was looked up.
fn fault(exchange: &Exchange) -> Option<Fault> {
    read(exchange, parse_discovery).map(|answer| assert!(answer.is_none())).err()
}

#[test]
fn every_row_of_the_table() {
    use Class::{AuthRequired, Blocked, ChallengeRequired, Permanent, RateLimited, Transient};
    use Scope::{App, Endpoint, Ours, Session};

    const HOUR: u64 = 3_600;
    // (row, status, code, subcode, class, scope, seconds of rest)
    type Expected = (&'static str, u16, i64, Option<i64>, Class, Scope, Option<u64>);
    let rows: &[Expected] = &[
        ("G1", 500, 1, None, Transient, Endpoint, None),
        ("G1", 400, 1, Some(99), Transient, Endpoint, None),
        ("G2", 503, 2, None, Transient, Endpoint, None),
        ("G341", 500, 341, None, Transient, Endpoint, None),
        ("G-1", 500, -1, Some(2_207_001), Transient, Endpoint, None),
        ("G-2", 500, -2, Some(2_207_003), Transient, Endpoint, None),
        ("G4", 403, 4, None, RateLimited, App, Some(HOUR)),
        ("G4", 400, 4, Some(1), RateLimited, App, Some(HOUR)),
        ("G4-spam", 403, 4, Some(2_207_051), ChallengeRequired, Session, None),
        ("G17", 400, 17, None, RateLimited, Session, Some(HOUR)),
        ("G17", 403, 17, None, RateLimited, Session, Some(HOUR)),
        ("G32", 403, 32, None, RateLimited, Session, Some(HOUR)),
        ("G613", 400, 613, None, RateLimited, Session, Some(HOUR)),
        ("G80002", 400, 80_002, None, RateLimited, Session, Some(HOUR)),
        ("G80002", 429, 80_000, None, RateLimited, Session, Some(HOUR)),
        ("G80002", 400, 80_014, None, RateLimited, Session, Some(HOUR)),
        ("G190", 400, 190, None, AuthRequired, Session, None),
        ("G190", 401, 190, Some(999), AuthRequired, Session, None),
        ("G190", 500, 190, None, AuthRequired, Session, None),
        ("G190", 200, 190, None, AuthRequired, Session, None),
        ("G190-458", 400, 190, Some(458), AuthRequired, Session, None),
        ("G190-459", 400, 190, Some(459), ChallengeRequired, Session, None),
        ("G190-460", 400, 190, Some(460), AuthRequired, Session, None),
        ("G190-463", 400, 190, Some(463), AuthRequired, Session, None),
        ("G190-464", 401, 190, Some(464), ChallengeRequired, Session, None),
        ("G190-467", 400, 190, Some(467), AuthRequired, Session, None),
        ("G190-492", 400, 190, Some(492), AuthRequired, Session, None),
        ("G102", 401, 102, None, AuthRequired, Session, None),
        ("G104", 400, 104, None, Permanent, Ours, None),
        ("G3", 400, 3, None, Permanent, Endpoint, None),
        ("G10", 400, 10, None, Permanent, Endpoint, None),
        ("G10", 403, 10, None, Permanent, Endpoint, None),
        ("G200", 403, 200, None, Permanent, Endpoint, None),
        ("G200", 403, 299, None, Permanent, Endpoint, None),
        ("G100", 400, 100, None, Permanent, Ours, None),
        ("G100-33", 400, 100, Some(33), Permanent, Ours, None),
        ("G110", 400, 110, Some(2_207_013), Permanent, Ours, None),
        ("G24", 400, 24, None, ChallengeRequired, Session, None),
        ("G25", 400, 25, Some(2_207_050), ChallengeRequired, Session, None),
        ("G368", 400, 368, None, Blocked, Session, Some(24 * HOUR)),
        ("G12", 400, 12, None, Permanent, Ours, None),
        ("G2635", 400, 2_635, None, Permanent, Ours, None),
    ];
    for (row, status, code, subcode, class, scope, rest) in rows {
        let exchange = json(*status, &error(*code, *subcode));
        let fault = read_own(&exchange, parse_stories).unwrap_err();
        assert_eq!((fault.class, fault.scope), (*class, *scope), "{row}: {fault}");
        let until = rest.map(|rest| NOW + Duration::from_secs(rest));
        assert_eq!(fault.until, until, "{row}: {fault}");
        assert!(fault.message.contains(&format!("({row})")), "{row}: {fault}");
        let start = format!("stories answered {status}: ");
        assert!(fault.message.starts_with(&start), "{row}: {fault}");
        assert!(!fault.message.contains("PLANTED") && !fault.message.ends_with('.'), "{fault}");
    }
    let tried: std::collections::BTreeSet<_> = rows.iter().map(|row| row.0).collect();
    let all: std::collections::BTreeSet<_> = ROWS.iter().map(|row| row.id).collect();
    assert_eq!(tried, all);
    assert_eq!(all.len(), ROWS.len(), "an id stands twice");
}

#[test]
fn no_row_hides_behind_another() {
    for (index, row) in ROWS.iter().enumerate() {
        let first = ROWS.iter().position(|other| other.fits(row.codes.0, row.subcode));
        assert_eq!(first, Some(index), "{}", row.id);
    }
}

#[test]
fn what_the_operator_reads_says_what_to_do() {
    for row in ROWS.iter().filter(|row| row.class != Class::Transient) {
        let verbs = ["let ", "import", "update", "set ", "give", "rests", "leave", "look", "ask"];
        assert!(verbs.iter().any(|verb| row.tell.contains(verb)), "{}: {}", row.id, row.tell);
    }
}

#[test]
fn the_platform_names_the_end_of_a_limit_in_minutes_and_it_is_never_capped() {
    let usage = r#"{"178":[{"type":"instagram","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":MIN}]}"#;
    let until = |code, minutes: &str, retry_after: &str| {
        let usage = usage.replace("MIN", minutes);
        let mut headers = vec![("content-type", JSON), ("x-business-use-case-usage", &*usage)];
        headers.extend((!retry_after.is_empty()).then_some(("retry-after", retry_after)));
        let fault = fault(&exchange(400, &headers, &error(code, None))).unwrap();
        fault.until.map(|until| until.since(NOW).as_secs())
    };
    assert_eq!(until(80_002, "1", ""), Some(60));
    assert_eq!(until(80_002, "20160", ""), Some(14 * 86_400));
    assert_eq!(until(17, "7", ""), Some(420));
    assert_eq!(until(80_002, "0", ""), Some(3_600));
    assert_eq!(until(80_002, "1", "90"), Some(90));
    // The hint is about the account, not about the app.
    assert_eq!(until(4, "1", ""), Some(3_600));
    assert_eq!(until(4, "1", "120"), Some(120));
    // What rests on nobody's time gets none.
    assert_eq!(until(190, "1", "90"), None);
    assert_eq!(until(10, "1", "90"), None);
}

#[test]
fn is_transient_is_honoured_where_asking_again_may_help() {
    let with = |code: i64, flag: &str| {
        let body = error(code, None).replace("{\"message\"", &format!("{{{flag}\"message\""));
        let fault = fault(&json(400, &body)).unwrap();
        (fault.class, fault.scope)
    };
    let passes = "\"is_transient\":true,";
    for code in [1, 3, 10, 100, 200, 12, 2_635, 777] {
        assert_eq!(with(code, passes), (Class::Transient, Scope::Endpoint), "{code}");
    }
    assert_eq!(with(10, "\"is_transient\":false,"), (Class::Permanent, Scope::Endpoint));
    // A limit says it too, and is waited for; a token never gets better by asking again.
    assert_eq!(with(4, passes), (Class::RateLimited, Scope::App));
    assert_eq!(with(190, passes), (Class::AuthRequired, Scope::Session));
    assert_eq!(with(368, passes), (Class::Blocked, Scope::Session));
    assert_eq!(with(25, passes), (Class::ChallengeRequired, Scope::Session));
}

#[test]
fn nobody_found_is_an_answer_only_to_a_look_up() {
    let exchange = json(400, &error(110, Some(2_207_013)));
    assert_eq!(classify(&exchange), Ok(Meaning::NotFound));
    assert_eq!(read(&exchange, parse_discovery), Ok(None));
    assert!(read_own(&exchange, parse_stories).is_err());
    // Another or no subcode is not known, and nobody is declared missing by it.
    for subcode in [None, Some(1)] {
        let fault = fault(&json(400, &error(110, subcode))).unwrap();
        assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Endpoint));
    }
}

#[test]
fn codes_and_flags_of_other_types_do_not_spoil_the_rest() {
    let code = |code: &str| {
        let fault = fault(&json(400, &format!(r#"{{"error":{{"code":{code}}}}}"#))).unwrap();
        fault.class
    };
    assert_eq!(code("\"190\""), Class::AuthRequired);
    for odd in ["null", "\"x\"", "1.5", "{}", "[190]", "99999999999999999999"] {
        assert_eq!(code(odd), Class::Malformed, "{odd}");
    }
    for body in [r#"{"error":"x"}"#, r#"{"error":[]}"#, r#"{"error":7}"#, "{}", "[]", "7"] {
        assert_eq!(fault(&json(400, body)).unwrap().class, Class::Malformed, "{body}");
    }
}

#[test]
fn the_status_decides_only_where_the_body_has_no_words() {
    use Class::{Blocked, Malformed, RateLimited, Transient};
    use Scope::{Endpoint, Proxy, Session};

    let redirect = |to: &str| exchange(302, &[("content-type", HTML), ("location", to)], "");
    let wall = exchange(403, &[("content-type", HTML), ("cf-mitigated", "challenge")], "");
    for (answer, class, scope) in [
        (json(500, "{}"), Transient, Endpoint),
        (html(502, "<html>"), Transient, Endpoint),
        (json(503, "{"), Transient, Endpoint),
        (json(500, &error(777, None)), Transient, Endpoint),
        (html(429, ""), RateLimited, Session),
        (json(429, "{}"), RateLimited, Session),
        (json(400, &error(777, Some(5))), Malformed, Endpoint),
        (json(200, &error(777, None)), Malformed, Endpoint),
        (json(200, "{\"data\":"), Malformed, Endpoint),
        (json(200, "{\"data\":{}}"), Malformed, Endpoint),
        (json(201, "{\"data\":[]}"), Malformed, Endpoint),
        (json(401, "{}"), Malformed, Endpoint),
        (json(404, "{\"data\":[]}"), Malformed, Endpoint),
        (html(200, "{\"data\":[]}"), Malformed, Proxy),
        (html(400, "<html>"), Malformed, Proxy),
        (html(407, ""), Blocked, Proxy),
        (wall, Blocked, Proxy),
        (redirect("https://www.facebook.com/login"), Malformed, Endpoint),
        (redirect("/v25.0/x"), Malformed, Endpoint),
        (redirect("https://notfacebook.com/"), Malformed, Proxy),
        (redirect("http://wall.test/login"), Malformed, Proxy),
    ] {
        let fault = read_own(&answer, parse_stories).unwrap_err();
        assert_eq!((fault.class, fault.scope), (class, scope), "{fault}");
        assert!(!fault.message.contains("PLANTED"), "{fault}");
    }
}

#[test]
fn a_regular_answer_may_call_itself_a_script() {
    let script =
        exchange(200, &[("content-type", "text/javascript; charset=UTF-8")], r#"{"data":[]}"#);
    assert!(read_own(&script, parse_stories).is_ok());
    assert!(read_own(&json(200, r#"{"data":[]}"#), parse_stories).is_ok());
}

proptest! {
    #[test]
    fn no_error_is_ever_taken_for_an_answer(
        status in prop::sample::select(&[200, 400, 401, 403, 404, 429, 500, 503][..]),
        code in prop_oneof![-3..1_000_i64, 79_990..80_020_i64, any::<i64>()],
        subcode in prop::option::of(prop_oneof![450..500_i64, Just(33), any::<i64>()]),
        passes in any::<bool>(),
    ) {
        let flag = format!("{{\"is_transient\":{passes},\"message\"");
        let body = error(code, subcode).replace("{\"message\"", &flag);
        let exchange = json(status, &body);
        let fault = read_own(&exchange, parse_stories).unwrap_err();
        prop_assert!(!fault.message.contains("PLANTED"), "{}", fault);
        let looked_up = read(&exchange, parse_discovery);
        let nobody = (code, subcode) == (110, Some(2_207_013)) && !passes;
        prop_assert_eq!(looked_up.is_ok(), nobody);
        if code == 190 {
            let stops = matches!(fault.class, Class::AuthRequired | Class::ChallengeRequired);
            prop_assert!(stops && fault.scope == Scope::Session, "{}", fault);
        }
    }
}
