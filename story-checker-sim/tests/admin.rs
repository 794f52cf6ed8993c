//! The admin API.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use story_checker_sim::{
    GraphSettings, Platform, Request, SimConfig, TruthKind, XSettings, XTruthKind,
};

use crate::support::{NOON, VIEWER, ask, get, json as body, peer, platform};

fn admin(platform: &Platform, method: &Method, path: &str) -> (StatusCode, Value) {
    let plan = ask(platform, method, path, &http::HeaderMap::new(), NOON, &peer());
    (plan.status, body(&plan))
}

fn ok(platform: &Platform, method: &Method, path: &str) -> Value {
    let (status, answered) = admin(platform, method, path);
    assert_eq!(status, StatusCode::OK, "{path}: {answered}");
    answered
}

#[test]
fn it_tells_what_was_seen_and_is_not_seen_itself() {
    let platform = platform(SimConfig::new(1).with_sessions(2));
    for _ in 0..3 {
        let _ = get(&platform, Some(1), VIEWER, NOON);
    }
    assert_eq!(ok(&platform, &Method::GET, "/_sim/health")["now"], NOON.unix_millis());
    let audit = ok(&platform, &Method::GET, "/_sim/audit");
    assert_eq!(audit["total"], 3);
    assert_eq!(audit["by_route"]["viewer"], 3);
    assert_eq!(audit["by_status"]["200"], 3);
    let requests = ok(&platform, &Method::GET, "/_sim/requests?limit=2");
    let expected = json!({
        "time": NOON.unix_millis(), "route": "viewer", "session": 1, "proxy": 0, "status": 200,
    });
    assert_eq!(requests, json!([expected, expected]));
    ok(&platform, &Method::POST, "/_sim/reset-audit");
    assert_eq!(ok(&platform, &Method::GET, "/_sim/audit")["total"], 0);
}

#[test]
fn it_lists_and_switches_sessions() {
    let platform = platform(SimConfig::new(1).with_sessions(2));
    let sessions = ok(&platform, &Method::GET, "/_sim/sessions");
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    assert_eq!(sessions[1]["username"], "viewer_1");
    assert_eq!(sessions[1]["state"], "logged_in");
    let [(_, sessionid), ..] = platform.session_credentials(1).unwrap();
    assert_eq!(sessions[1]["cookies"]["sessionid"], sessionid);
    ok(&platform, &Method::POST, "/_sim/sessions/1?state=challenged");
    assert_eq!(get(&platform, Some(1), VIEWER, NOON).status, StatusCode::BAD_REQUEST);
    ok(&platform, &Method::POST, "/_sim/sessions/1?state=logged_in");
    assert_eq!(get(&platform, Some(1), VIEWER, NOON).status, StatusCode::OK);
    let later = NOON.unix_millis() + 1;
    ok(&platform, &Method::POST, &format!("/_sim/sessions/1?state=logged_out&from={later}"));
    assert_eq!(ok(&platform, &Method::GET, "/_sim/sessions")[1]["state"], "logged_in");
}

#[test]
fn it_knows_and_changes_the_truth() {
    let platform = platform(SimConfig::new(1));
    let seeded = platform.truth("tea_house", NOON);
    for (kind, expected) in [
        ("active", TruthKind::Active),
        ("no_story", TruthKind::NoStory),
        ("private", TruthKind::Private),
        ("gated", TruthKind::Gated),
        ("not_found", TruthKind::NotFound),
    ] {
        ok(&platform, &Method::POST, &format!("/_sim/accounts/Tea_House?kind={kind}"));
        assert_eq!(platform.truth("tea_house", NOON).kind, expected);
        let truth = ok(&platform, &Method::GET, "/_sim/truth?name=tea_house");
        assert_eq!(truth["kind"], kind);
        assert_eq!(truth["items"].as_array().unwrap().len(), usize::from(kind == "active"));
    }
    ok(&platform, &Method::POST, "/_sim/accounts/tea_house?kind=active");
    ok(&platform, &Method::POST, "/_sim/accounts/tea_house?kind=active&for_ms=5000");
    let item = platform.truth("tea_house", NOON).items[0];
    assert_eq!(item.expires_at.unix_millis(), NOON.unix_millis() + 5000);
    let before = NOON.unix_millis() - 1;
    let truth = ok(&platform, &Method::GET, &format!("/_sim/truth?name=tea_house&at={before}"));
    assert_eq!(truth["kind"], "no_story");
    ok(&platform, &Method::POST, "/_sim/accounts/tea_house?kind=seeded");
    assert_eq!(platform.truth("tea_house", NOON), seeded);
}

fn post_rules(platform: &Platform, rules: &str) -> (StatusCode, Value) {
    let (uri, headers) = ("/_sim/rules".parse().unwrap(), http::HeaderMap::new());
    let request = Request::new(&Method::POST, &uri, &headers).with_body(rules.as_bytes());
    let plan = platform.handle(&request, NOON, &peer());
    (plan.status, body(&plan))
}

#[test]
fn it_takes_lists_and_drops_rules() {
    let platform = platform(SimConfig::new(1));
    let one = r#"{"route":"viewer","times":1,"effect":{"row":"W20"}}"#;
    assert_eq!(post_rules(&platform, one), (StatusCode::OK, json!({ "rules": [0] })));
    let two = r#"[{"effect":{"row":"W1"}},{"proxy":0,"effect":{"proxy":"wall"}}]"#;
    assert_eq!(post_rules(&platform, two), (StatusCode::OK, json!({ "rules": [1, 2] })));
    assert_eq!(get(&platform, Some(0), VIEWER, NOON).status.as_u16(), 500);
    let expected = json!({
        "number": 0,
        "hits": 1,
        "rule": { "route": "viewer", "times": 1, "percent": 100.0, "effect": { "row": "W20" } },
    });
    assert_eq!(ok(&platform, &Method::GET, "/_sim/rules")[0], expected);
    assert_eq!(ok(&platform, &Method::GET, "/_sim/audit")["faults"], json!({ "row W20": 1 }));
    ok(&platform, &Method::DELETE, "/_sim/rules/1");
    assert_eq!(ok(&platform, &Method::GET, "/_sim/rules").as_array().unwrap().len(), 2);
    ok(&platform, &Method::DELETE, "/_sim/rules");
    assert_eq!(ok(&platform, &Method::GET, "/_sim/rules"), json!([]));
    for (rules, part) in [
        (r#"{"effect":{"row":"W99"}}"#, "no answer of the catalogue has the id \"W99\""),
        (r#"{"effect":{"form":"reel_nil"}}"#, "unknown variant `reel_nil`"),
        (r#"[{"effect":{"row":"W1"}},{"percent":-1,"effect":{"row":"W1"}}]"#, "0 to 100"),
        (r#"[{"percent":5}]"#, "missing field `effect`"),
    ] {
        let (status, answered) = post_rules(&platform, rules);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answered["error"].as_str().unwrap().contains(part), "{answered}");
    }
    assert!(platform.rules_status().is_empty(), "all or none");
}

#[test]
fn it_lists_the_catalogue() {
    let platform = platform(SimConfig::new(1));
    let rows = ok(&platform, &Method::GET, "/_sim/catalogue");
    let row = rows.as_array().unwrap().iter().find(|row| row["id"] == "W8").unwrap();
    assert_eq!(row["status"], 400);
    assert!(row["body"].as_str().unwrap().contains("checkpoint_required"));
}

#[test]
fn bad_input_is_named() {
    let platform = platform(SimConfig::new(1));
    for (method, path, status, part) in [
        (Method::GET, "/_sim/truth", 400, "parameter name is missing"),
        (Method::GET, "/_sim/truth?name=a&at=noon", 400, "at is a whole number, not \"noon\""),
        (Method::GET, "/_sim/requests?limit=-1", 400, "limit is a whole number"),
        (Method::POST, "/_sim/sessions/0", 400, "parameter state is missing"),
        (Method::POST, "/_sim/sessions/0?state=happy", 400, "not \"happy\""),
        (Method::POST, "/_sim/sessions/0?state=logged_in&from=x", 400, "from is a whole number"),
        (Method::POST, "/_sim/sessions/1?state=logged_in", 400, "no session 1"),
        (Method::POST, "/_sim/sessions/one?state=logged_in", 400, "not \"one\""),
        (Method::POST, "/_sim/accounts/a?kind=busy", 400, "not \"busy\""),
        (Method::POST, "/_sim/accounts/a%20b?kind=active", 400, "a name is"),
        (Method::POST, "/_sim/accounts/?kind=active", 400, "a name is"),
        (Method::GET, "/_sim/accounts/a?kind=active", 405, "is for POST, not GET"),
        (Method::POST, "/_sim/audit", 405, "is for GET, not POST"),
        (Method::POST, "/_sim/accounts/a?kind=active&for_ms=x", 400, "for_ms is a whole number"),
        (Method::POST, "/_sim/rules", 400, "EOF while parsing"),
        (Method::PUT, "/_sim/rules", 405, "is for GET, POST or DELETE, not PUT"),
        (Method::DELETE, "/_sim/rules/7", 404, "there is no rule 7"),
        (Method::DELETE, "/_sim/rules/x", 404, "there is no rule x"),
        (Method::GET, "/_sim/", 404, "no such admin path"),
        (Method::GET, "/_sim/audit/more", 404, "no such admin path"),
    ] {
        let (answered, body) = admin(&platform, &method, path);
        assert_eq!(answered, status, "{path}");
        let message = body["error"].as_str().unwrap();
        assert!(message.contains(part), "{path}: {message}");
    }
}

#[test]
fn it_lists_and_refuses_tokens() {
    let config =
        SimConfig::new(1).with_graph(GraphSettings::new(2, NOON)).with_x(XSettings::new(1));
    let platform = platform(config);
    let tokens = ok(&platform, &Method::GET, "/_sim/graph_tokens");
    let token = platform.graph_token(1).unwrap();
    assert_eq!(tokens[1]["access_token"], token.access_token);
    assert_eq!(tokens[1]["username"], "acct_000001");
    assert_eq!(tokens[1]["refused"], Value::Null);
    ok(&platform, &Method::POST, "/_sim/graph_tokens/1?row=G190-460");
    assert_eq!(ok(&platform, &Method::GET, "/_sim/graph_tokens")[1]["refused"], "G190-460");
    let later = NOON.unix_millis() + 1;
    ok(&platform, &Method::POST, &format!("/_sim/graph_tokens/1?row=none&from={later}"));
    assert_eq!(ok(&platform, &Method::GET, "/_sim/graph_tokens")[1]["refused"], "G190-460");
    ok(&platform, &Method::POST, "/_sim/graph_tokens/1?row=none");
    assert_eq!(ok(&platform, &Method::GET, "/_sim/graph_tokens")[1]["refused"], Value::Null);
    ok(&platform, &Method::POST, "/_sim/x_tokens/0?row=X402");
    let tokens = ok(&platform, &Method::GET, "/_sim/x_tokens");
    let expected = json!({ "index": 0, "bearer_token": platform.x_token(0), "refused": "X402" });
    assert_eq!(tokens, json!([expected]));
    for path in
        ["graph_tokens/2?row=G1", "x_tokens/0?row=X0", "x_tokens/zero?row=X402", "x_tokens/0"]
    {
        let (status, _) = admin(&platform, &Method::POST, &format!("/_sim/{path}"));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[test]
fn it_knows_and_changes_the_truth_of_the_official_apis() {
    let config = SimConfig::new(1).with_graph(GraphSettings::new(1, NOON));
    let platform = platform(config);
    ok(&platform, &Method::POST, "/_sim/accounts/acct_000000?kind=active");
    let truth = ok(&platform, &Method::GET, "/_sim/graph_truth?token=0");
    assert_eq!((&truth["kind"], truth["items"].as_array().unwrap().len()), (&json!("active"), 1));
    let since = NOON.unix_millis() - 1000;
    for (kind, expected) in [
        ("active", XTruthKind::Active),
        ("no_posts", XTruthKind::NoPosts),
        ("protected", XTruthKind::Protected),
        ("suspended", XTruthKind::Suspended),
        ("not_found", XTruthKind::NotFound),
    ] {
        ok(&platform, &Method::POST, &format!("/_sim/x_accounts/Tea_House?kind={kind}"));
        let path = format!("/_sim/x_truth?name=tea_house&since={since}");
        let truth = ok(&platform, &Method::GET, &path);
        assert_eq!((&truth["kind"], kind), (&json!(expected), truth["kind"].as_str().unwrap()));
        assert_eq!(truth["posts"].as_array().unwrap().len(), usize::from(kind == "active"));
    }
    let at = NOON.unix_millis() + 30_000;
    ok(&platform, &Method::POST, "/_sim/x_accounts/tea_house?kind=active");
    let path = format!("/_sim/x_truth?query=from:tea_house&since={since}&at={at}");
    assert_eq!(ok(&platform, &Method::GET, &path)["kind"], "active");
    ok(&platform, &Method::POST, "/_sim/x_accounts/tea_house?kind=seeded");
    for path in ["graph_truth?token=1", "x_truth?name=a", "x_truth?query=has:media&since=0"] {
        let (status, _) = admin(&platform, &Method::GET, &format!("/_sim/{path}"));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in ["x_accounts/tea_house?kind=odd", "x_accounts/no-name?kind=active"] {
        let (status, _) = admin(&platform, &Method::POST, &format!("/_sim/{path}"));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}
