//! What browsers and the app ask for beside the endpoints, as other programs imitate it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};
use story_checker_sim::{
    AccountKind, AccountScript, Plan, Platform, Request, RequestFilter, Route, ScriptedStory,
    SessionState, SimConfig,
};

use crate::support::{NOON, answer, ask, cookie, get, headers, json, peer, platform};

const ID: u64 = 4_200_000_001;
const DOC: &str = "doc_id=27937681195819736&variables=";
const REELS: &str = "/api/v1/feed/reels_media/?reel_ids=4200000001";

fn with_account(script: AccountScript) -> Platform {
    let platform = platform(SimConfig::new(1).with_sessions(2));
    assert!(platform.set_account("acct_000001", script));
    assert!(platform.set_session_state(1, SessionState::LoggedOut, None));
    platform
}

fn active() -> AccountScript {
    AccountScript::active([ScriptedStory::image(NOON, NOON.saturating_add(Duration::from_secs(9)))])
}

/// Asks as a browser that navigates: it sends none of the headers of the API.
fn navigate(platform: &Platform, path: &str, cookie: Option<&str>) -> Plan {
    let mut headers = HeaderMap::new();
    if let Some(cookie) = cookie {
        headers.insert("cookie", HeaderValue::try_from(cookie).unwrap());
    }
    ask(platform, &Method::GET, path, &headers, NOON, &peer())
}

fn post(platform: &Platform, session: Option<usize>, path: &str, body: &str) -> Plan {
    let cookie = session.map(|session| cookie(platform, session));
    let (uri, headers) = (path.parse::<Uri>().unwrap(), headers(cookie.as_deref()));
    let request = Request::new(&Method::POST, &uri, &headers).with_body(body.as_bytes());
    platform.handle(&request, NOON, &peer())
}

/// The JSON in the script of a page.
fn script(plan: &Plan) -> Value {
    let page = str::from_utf8(&plan.body).unwrap();
    let (_, rest) = page.split_once("data-sjs>").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_profile_has_a_page_that_anybody_may_read() {
    let platform = with_account(active());
    let plan = navigate(&platform, "/acct_000001/", None);
    assert_eq!(plan.headers["content-type"], "text/html; charset=utf-8");
    let script = script(&plan);
    let inner = &script["require"][0][3][0]["__bbox"]["require"][0][3][1];
    let user = &inner["__bbox"]["result"]["data"]["xig_user_by_username"];
    assert_eq!((&user["pk"], &user["username"]), (&json!(ID.to_string()), &json!("acct_000001")));
    assert_ne!(user["id"], user["pk"]);
    for kind in [AccountKind::NotFound, AccountKind::Gated] {
        let platform = with_account(AccountScript::new(kind));
        let plan = navigate(&platform, "/acct_000001/", None);
        assert_eq!(plan.status, StatusCode::NOT_FOUND, "{kind:?}");
    }
}

#[test]
fn the_home_page_hands_out_what_queries_need() {
    let platform = with_account(active());
    let visitor = navigate(&platform, "/", None);
    let cookie_set = visitor.headers["set-cookie"].to_str().unwrap();
    assert!(cookie_set.starts_with("csrftoken="), "{cookie_set}");
    let text = script(&visitor).to_string();
    assert!(text.contains("LSD") && !text.contains("DTSGInitialData"), "{text}");
    let viewer = navigate(&platform, "/", Some(&cookie(&platform, 0)));
    let text = script(&viewer).to_string();
    assert!(text.contains("DTSGInitialData") && text.contains("7000000000"), "{text}");
    // It has its token already; the cookie is the one that every session gets with its first answer.
    let mut cookies = viewer.headers.get_all("set-cookie").iter();
    assert!(cookies.all(|cookie| cookie.as_bytes().starts_with(b"rur=")));
}

#[test]
fn a_profile_can_be_queried_by_id() {
    let body = format!("{DOC}%7B%22id%22%3A%22{ID}%22%7D");
    for (kind, private, following) in [
        (AccountKind::Public, false, false),
        (AccountKind::Private, true, false),
        (AccountKind::PrivateFollowed, true, true),
    ] {
        let platform = with_account(AccountScript::new(kind));
        for path in ["/graphql/query", "/graphql/query/", "/api/graphql"] {
            let plan = post(&platform, Some(0), path, &body);
            let user = &json(&plan)["data"]["user"];
            assert_eq!(user["username"], "acct_000001");
            assert_eq!(user["is_private"], private);
            assert_eq!(user["friendship_status"]["following"], following);
        }
        let plan = post(&platform, Some(1), "/graphql/query", &body);
        assert_eq!(plan.status, StatusCode::FORBIDDEN);
    }
    let platform = with_account(AccountScript::new(AccountKind::NotFound));
    let plan = post(&platform, Some(0), "/graphql/query", &body);
    assert_eq!(json(&plan), json!({ "data": { "user": null }, "status": "ok" }));
    let plan = post(&platform, Some(0), "/graphql/query", &format!("{DOC}%7B"));
    assert_eq!(json(&plan)["errors"][0]["summary"], "Incorrect Query");
}

#[test]
fn only_a_story_for_everybody_is_public() {
    let path = format!(
        "/graphql/query?query_hash=9ca88e465c3f866a76f7adee3871bdd8&variables=%7B%22user_id%22%3A{ID}%7D"
    );
    let mut followed = active();
    followed.kind = AccountKind::PrivateFollowed;
    for (script, is_public) in
        [(active(), true), (AccountScript::no_story(), false), (followed, false)]
    {
        let platform = with_account(script);
        let (_, body) = answer(&platform, Some(0), &path, NOON);
        assert_eq!(body["data"]["user"]["has_public_story"], is_public);
    }
}

#[test]
fn the_tray_of_graphql_names_the_same_accounts() {
    let path = "/graphql/query?query_hash=d15efd8c0c5b23f0ef71f18bf363c704&variables=%7B%22only_stories%22%3Atrue%7D";
    let platform = with_account(active());
    let (_, body) = answer(&platform, Some(0), path, NOON);
    let edges = &body["data"]["user"]["feed_reels_tray"]["edge_reels_tray_to_reel"]["edges"];
    let names: Vec<_> =
        edges.as_array().unwrap().iter().map(|edge| &edge["node"]["owner"]["username"]).collect();
    let (_, tray) = answer(&platform, Some(0), "/api/v1/feed/reels_tray/", NOON);
    let tray: Vec<_> =
        tray["tray"].as_array().unwrap().iter().map(|reel| &reel["user"]["username"]).collect();
    assert_eq!(names, tray);
    assert!(names.contains(&&json!("acct_000001")));
    let (status, body) = answer(&platform, Some(1), path, NOON);
    assert_eq!((status, &body["data"]["user"]), (StatusCode::OK, &Value::Null));
}

#[test]
fn the_token_of_the_app_is_a_session_too() {
    let platform = with_account(active());
    // {"ds_user_id":"7000000000","sessionid":"…"}, packed without a library.
    let ask_with = |token: &str| {
        let mut headers = headers(None);
        headers.insert("authorization", HeaderValue::try_from(format!("Bearer {token}")).unwrap());
        ask(&platform, &Method::GET, REELS, &headers, NOON, &peer())
    };
    let [(_, sessionid), ..] = platform.session_credentials(0).unwrap();
    let json_of_session = json!({ "ds_user_id": "7000000000", "sessionid": sessionid }).to_string();
    let reels = json(&ask_with(&format!("IGT:2:{}", base64(json_of_session.as_bytes()))));
    let item = &reels["reels"][ID.to_string()]["items"][0];
    // The app knows ids as numbers only.
    assert_eq!(item["pk"], platform.truth("acct_000001", NOON).items[0].pk);
    assert_eq!(item["user"]["pk"], ID);
    let seen = platform.requests(&RequestFilter::new().with_route(Route::Reels), 1);
    assert_eq!(seen[0].session, Some(0));
    assert_eq!(json(&ask_with("IGT:2:e30="))["reels"], json!({}));
}

#[test]
fn a_rule_finds_its_account_in_a_form() {
    let platform = with_account(active());
    let rules = r#"{"target":"acct_000001","effect":{"row":"W20"}}"#;
    let rules = story_checker_sim::parse_rules(rules.as_bytes()).unwrap();
    platform.add_rule(rules[0].clone()).unwrap();
    let body = format!("{DOC}%7B%22id%22%3A%22{ID}%22%7D");
    let plan = post(&platform, Some(0), "/graphql/query", &body);
    assert_eq!(plan.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(get(&platform, None, "/acct_000002/", NOON).status, StatusCode::OK);
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|group| {
            let bits =
                (0..3).fold(0, |bits, at| bits << 8 | usize::from(*group.get(at).unwrap_or(&0)));
            (0..=group.len()).map(move |at| char::from(DIGITS[bits >> (18 - 6 * at) & 63]))
        })
        .collect()
}
