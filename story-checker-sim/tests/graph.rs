//! The Graph API, without sockets.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use story_checker_sim::{
    AccountKind, AccountScript, Api, Effect, GraphSettings, Limit, Plan, Platform, Population,
    Route, Rule, ScriptedStory, SimConfig, Timestamp, TruthKind, graph_item_id, numbered_name, row,
};

use crate::support::{NOON, ask, json as body, peer, platform};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const FIELDS: &str =
    "id,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username";

fn config(settings: GraphSettings) -> SimConfig {
    let busy = Population::default().with_mix(20, 10, 10).with_posting(80, 2.0);
    SimConfig::new(5).with_population(busy).with_graph(settings)
}

fn settings(tokens: usize) -> GraphSettings {
    GraphSettings::new(tokens, NOON)
}

fn limit(requests: u32, secs: u64) -> Limit {
    Limit::new(NonZeroU32::new(requests).unwrap(), Duration::from_secs(secs))
}

fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    headers
}

/// Asks with the text of a token.
fn ask_with(platform: &Platform, token: &str, path: &str, now: Timestamp) -> Plan {
    ask(platform, &Method::GET, path, &bearer(token), now, &peer())
}

/// Asks with the latest text of a token; `{}` in the path is the id of its account.
fn get(platform: &Platform, index: usize, path: &str, now: Timestamp) -> Plan {
    let token = platform.graph_token(index).unwrap();
    let path = path.replace("{}", &token.ig_user_id);
    ask_with(platform, &token.access_token, &path, now)
}

fn stories(platform: &Platform, index: usize, now: Timestamp) -> Value {
    let plan = get(platform, index, &format!("/v25.0/{{}}/stories?fields={FIELDS}"), now);
    assert_eq!(plan.status, StatusCode::OK);
    body(&plan)
}

/// Whether this is the answer of a catalogue row.
fn is_row(plan: &Plan, id: &str) -> bool {
    let row = row(id).unwrap();
    plan.status == row.status && plan.body == row.body
}

/// An account with one image per minute before noon.
fn posting(platform: &Platform, index: u32, stories: u64) {
    let at = |minute| NOON.saturating_sub(Duration::from_secs(60 * minute));
    let story = |minute| ScriptedStory::image(at(minute), at(minute).saturating_add(DAY));
    let script = AccountScript::active((1..=stories).map(story));
    assert!(platform.set_account(&numbered_name(index), script));
}

#[test]
fn an_account_shows_its_own_stories_whatever_it_is() {
    let platform = platform(config(settings(60)));
    let mut seen = std::collections::BTreeMap::new();
    for step in 0..6 {
        let now = NOON.saturating_add(HOUR * 7 * step);
        for index in 0..60 {
            let truth = platform.graph_truth(index, now).unwrap();
            *seen.entry(format!("{:?}", truth.kind)).or_insert(0) += 1;
            let answered = stories(&platform, index, now);
            let data = answered["data"].as_array().unwrap();
            assert_eq!(data.len(), truth.items.len());
            assert_eq!(answered["paging"].is_object(), truth.kind == TruthKind::Active);
            let token = platform.graph_token(index).unwrap();
            for (shown, item) in data.iter().rev().zip(&truth.items) {
                assert_eq!(shown["username"], token.username);
                assert_eq!(shown["media_product_type"], "STORY");
                assert_eq!(shown["media_type"], if item.video { "VIDEO" } else { "IMAGE" });
                assert_eq!(shown["thumbnail_url"].is_string(), item.video);
                assert!(shown["permalink"].as_str().unwrap().ends_with(&item.pk.to_string()));
                assert_eq!(shown["id"], graph_item_id(item.pk).to_string());
            }
            let web = platform.truth(&token.username, now);
            if web.kind == TruthKind::Active {
                assert_eq!(web.items, truth.items);
            }
        }
    }
    assert!(seen["Active"] > 50 && seen["NoStory"] > 50, "{seen:?}");
}

#[test]
fn private_and_missing_accounts_have_a_token_all_the_same() {
    let platform = platform(config(settings(2)));
    let story = ScriptedStory::video(NOON, NOON.saturating_add(HOUR));
    let mut script = AccountScript::active([story]);
    script.kind = AccountKind::Private;
    assert!(platform.set_account(&numbered_name(0), script));
    assert_eq!(platform.truth(&numbered_name(0), NOON).kind, TruthKind::Private);
    assert_eq!(stories(&platform, 0, NOON)["data"].as_array().unwrap().len(), 1);
    assert!(platform.set_account(&numbered_name(1), AccountScript::new(AccountKind::NotFound)));
    assert_eq!(stories(&platform, 1, NOON), json!({ "data": [] }));
}

#[test]
fn only_the_fields_that_were_asked_for_come() {
    let platform = platform(config(settings(1).with_hidden(0, 0)));
    posting(&platform, 0, 1);
    let fields = |path: &str| {
        let answered = body(&get(&platform, 0, path, NOON));
        answered["data"][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(fields("/v25.0/{}/stories"), ["id"]);
    assert_eq!(fields("/v25.0/{}/stories?fields=timestamp"), ["id", "timestamp"]);
    assert_eq!(fields("/v25.0/{}/stories?fields=media_url%2Cid"), ["id", "media_url"]);
    let answered = stories(&platform, 0, NOON);
    assert_eq!(answered["data"][0]["timestamp"], "2026-11-21T11:59:00+0000");
    let unknown = get(&platform, 0, "/v25.0/{}/stories?fields=id,soul", NOON);
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert_eq!(body(&unknown)["error"]["code"], 100);
    assert!(body(&unknown)["error"]["message"].as_str().unwrap().contains("soul"));
}

#[test]
fn media_can_be_withheld_and_stories_hidden() {
    let shown = |settings: GraphSettings| {
        let platform = platform(config(settings));
        posting(&platform, 0, 3);
        (stories(&platform, 0, NOON)["data"].clone(), platform.graph_truth(0, NOON).unwrap().kind)
    };
    let (data, kind) = shown(settings(1).with_hidden(100, 0));
    assert_eq!((data.as_array().unwrap().len(), kind), (3, TruthKind::Active));
    assert!(data.as_array().unwrap().iter().all(|item| item.get("media_url").is_none()));
    // The weak negative: somebody looking would see stories.
    let (data, kind) = shown(settings(1).with_hidden(0, 100));
    assert_eq!((data, kind), (json!([]), TruthKind::NoStory));
}

#[test]
fn pages_follow_each_other_without_gaps() {
    let platform = platform(config(settings(1)));
    posting(&platform, 0, 7);
    let mut seen = Vec::new();
    let mut after = String::new();
    let mut pages = 0;
    loop {
        let path = format!("/v25.0/{{}}/stories?fields=id,timestamp&limit=3{after}");
        let answered = body(&get(&platform, 0, &path, NOON));
        let ids = answered["data"].as_array().unwrap().iter();
        seen.extend(ids.map(|item| item["timestamp"].as_str().unwrap().to_owned()));
        pages += 1;
        let paging = &answered["paging"];
        let cursor = paging["cursors"]["after"].as_str().unwrap();
        after = format!("&after={cursor}");
        let Some(next) = paging["next"].as_str() else { break };
        // A URL that is not for logs.
        let token = platform.graph_token(0).unwrap();
        assert!(next.contains(&token.access_token) && next.contains(&after), "{next}");
        assert!(next.contains("fields=id%2Ctimestamp&limit=3"), "{next}");
    }
    assert_eq!((pages, seen.len()), (3, 7));
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
    let past = body(&get(&platform, 0, &format!("/v25.0/{{}}/stories?{}", &after[1..]), NOON));
    assert_eq!(past, json!({ "data": [] }));
    for wrong in ["limit=0", "limit=x", "after=QVFI"] {
        let plan = get(&platform, 0, &format!("/v25.0/{{}}/stories?{wrong}"), NOON);
        assert_eq!(body(&plan)["error"]["code"], 100, "{wrong}");
    }
}

#[test]
fn an_item_can_be_read_again_until_it_is_gone() {
    let platform = platform(config(settings(2)));
    posting(&platform, 0, 1);
    let item = stories(&platform, 0, NOON)["data"][0].clone();
    let path = format!("/v25.0/{}?fields={FIELDS}", item["id"].as_str().unwrap());
    assert_eq!(body(&get(&platform, 0, &path, NOON)), item);
    // Somebody else's, and gone: both look the same.
    assert!(is_row(&get(&platform, 1, &path, NOON), "G100-33"));
    let gone = NOON.saturating_add(DAY);
    assert!(is_row(&get(&platform, 0, &path, gone), "G100-33"));
    let own = body(&get(&platform, 0, "/v25.0/{}?fields=username", NOON));
    assert_eq!(own, json!({ "id": "17841400000000000", "username": "acct_000000" }));
    let other = get(&platform, 1, "/v25.0/17841400000000000/stories", NOON);
    assert!(is_row(&other, "G100-33"));
    let unknown = get(&platform, 0, "/v25.0/{}/tags", NOON);
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[test]
fn discovery_finds_professional_accounts_and_never_their_stories() {
    let platform = platform(config(settings(1)));
    let discover = |name: &str, fields: &str| {
        let path = format!("/v25.0/{{}}?fields=business_discovery.username({name})%7B{fields}%7D");
        get(&platform, 0, &path, NOON)
    };
    let mut found = 0;
    for number in 0..200 {
        let name = numbered_name(number);
        let plan = discover(&name, "id,username,media_count");
        if platform.graph_discovers(&name, NOON) {
            found += 1;
            let answered = body(&plan);
            assert_eq!(answered["business_discovery"]["username"], name);
            assert!(answered["business_discovery"]["media_count"].is_u64());
            assert_eq!(answered["id"], "17841400000000000");
            let kind = platform.truth(&name, NOON).kind;
            assert!(
                number == 0 || matches!(kind, TruthKind::Active | TruthKind::NoStory),
                "{name}"
            );
        } else {
            assert!(is_row(&plan, "G110"), "{name}");
        }
    }
    assert!((50..180).contains(&found), "{found}");
    assert!(is_row(&discover("acct_000000", "id,stories%7Bid%7D"), "G10"));
    assert!(is_row(&discover("no-name", "id"), "G110"));
    assert_eq!(body(&discover("acct_000000", "soul"))["error"]["code"], 100);
    assert_eq!(body(&discover("acct_000000", "id%7D"))["error"]["code"], 100);
}

#[test]
fn a_token_must_be_known_and_alive() {
    let platform = platform(config(settings(2)));
    let token = platform.graph_token(1).unwrap();
    assert_eq!(token.username, "acct_000001");
    assert_eq!(token.expires_at, NOON.saturating_add(DAY * 60));
    let path = format!("/v25.0/{}/stories", token.ig_user_id);
    let by_query = format!("{path}?access_token={}", token.access_token);
    let none = HeaderMap::new();
    let plan = ask(&platform, &Method::GET, &by_query, &none, NOON, &peer());
    assert_eq!(plan.status, StatusCode::OK);
    let plan = ask(&platform, &Method::GET, &path, &none, NOON, &peer());
    assert!(is_row(&plan, "G104"));
    assert!(is_row(&ask_with(&platform, "IGAA", &path, NOON), "G190"));
    let last = token.expires_at.saturating_sub(Duration::from_millis(1));
    assert_eq!(get(&platform, 1, &path, last).status, StatusCode::OK);
    assert!(is_row(&get(&platform, 1, &path, token.expires_at), "G190-463"));
    assert_eq!(platform.graph_token(2), None);
    let brief = platform_with_lifetime(HOUR);
    assert!(is_row(&get(&brief, 0, "/v25.0/{}/stories", NOON.saturating_add(HOUR)), "G190-463"));
}

fn platform_with_lifetime(lifetime: Duration) -> Platform {
    platform(config(settings(1).with_token_lifetime(lifetime)))
}

#[test]
fn a_token_can_be_refused_from_a_moment_on() {
    let platform = platform(config(settings(2)));
    let later = NOON.saturating_add(HOUR);
    let ask = |index, now| get(&platform, index, "/v25.0/{}/stories", now);
    assert!(platform.set_graph_token(0, Some("G190-459"), Some(later)));
    assert_eq!(ask(0, NOON).status, StatusCode::OK);
    assert!(is_row(&ask(0, later), "G190-459"));
    assert_eq!(platform.audit().requests_after_challenge, 0);
    assert!(is_row(&ask(0, later), "G190-459"));
    assert_eq!(platform.audit().requests_after_challenge, 1);
    assert_eq!(ask(1, later).status, StatusCode::OK);
    assert_eq!(platform.graph_token_row(0, later), Some("G190-459"));
    assert!(platform.set_graph_token(0, None, None));
    assert_eq!(ask(0, later).status, StatusCode::OK);
    assert!(!platform.set_graph_token(2, None, None));
    assert!(!platform.set_graph_token(0, Some("G0"), None));
    let record = *platform.requests(&story_checker_sim::RequestFilter::new(), 1).last().unwrap();
    assert_eq!((record.route, record.session), (Route::GraphStories, Some(0)));
}

#[test]
fn a_token_is_renewed_after_a_day() {
    let platform = platform(config(settings(1)));
    let first = platform.graph_token(0).unwrap();
    let path = "/refresh_access_token?grant_type=ig_refresh_token";
    let young = NOON.saturating_add(DAY).saturating_sub(Duration::from_millis(1));
    assert_eq!(body(&get(&platform, 0, path, young))["error"]["code"], 100);
    let wrong = get(&platform, 0, "/refresh_access_token?grant_type=x", young);
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let day_50 = NOON.saturating_add(DAY * 50);
    let answered = body(&get(&platform, 0, path, day_50));
    let second = platform.graph_token(0).unwrap();
    assert_eq!(answered["access_token"], second.access_token);
    assert_eq!(answered["expires_in"], 60 * 86_400);
    assert_eq!(second.expires_at, day_50.saturating_add(DAY * 60));
    assert_ne!(first.access_token, second.access_token);
    // The old one lives as long as it was going to.
    let stories = format!("/v25.0/{}/stories", first.ig_user_id);
    let ask = |token: &str, now| ask_with(&platform, token, &stories, now);
    assert_eq!(ask(&first.access_token, day_50).status, StatusCode::OK);
    assert!(is_row(&ask(&first.access_token, first.expires_at), "G190-463"));
    assert_eq!(ask(&second.access_token, first.expires_at).status, StatusCode::OK);
    assert!(is_row(&ask(&second.access_token, second.expires_at), "G190-463"));
    // What has expired cannot be renewed.
    assert!(is_row(&get(&platform, 0, path, second.expires_at), "G190-463"));
}

fn header(plan: &Plan, name: &str) -> Option<Value> {
    let value = plan.headers.get(name)?;
    Some(serde_json::from_slice(value.as_bytes()).unwrap())
}

#[test]
fn the_usage_of_an_account_ramps_up_to_a_refusal() {
    let platform = platform(config(settings(2).with_account_limit(limit(20, 3600))));
    let usage = |plan: &Plan| {
        let usage = header(plan, "x-business-use-case-usage")?;
        Some(usage["17841400000000000"][0].clone())
    };
    let mut percents = Vec::new();
    for second in 0..20 {
        let now = NOON.saturating_add(Duration::from_secs(second));
        let plan = get(&platform, 0, "/v25.0/{}/stories", now);
        assert_eq!(plan.status, StatusCode::OK);
        percents.push(usage(&plan).map(|usage| usage["call_count"].as_u64().unwrap()));
        assert_eq!(header(&plan, "x-app-usage"), None);
    }
    // Absent is unknown, not zero.
    assert_eq!(percents[..3], [None, Some(10), Some(15)]);
    assert_eq!(percents[19], Some(100));
    assert_eq!(platform.audit().limits_broken, 0);
    let now = NOON.saturating_add(Duration::from_secs(61));
    let plan = get(&platform, 0, "/v25.0/{}/stories", now);
    assert!(is_row(&plan, "G80002"));
    let usage = usage(&plan).unwrap();
    assert_eq!((&usage["call_count"], &usage["type"]), (&json!(100), &json!("instagram")));
    assert_eq!(usage["estimated_time_to_regain_access"], 59);
    assert_eq!(platform.audit().limits_broken, 1);
    // Each account has its own, and discovery is not about its stories.
    assert_eq!(get(&platform, 1, "/v25.0/{}/stories", now).status, StatusCode::OK);
    let discovery = "/v25.0/{}?fields=business_discovery.username(acct_000001)%7Bid%7D";
    assert_eq!(get(&platform, 0, discovery, now).status, StatusCode::OK);
    let free = NOON.saturating_add(HOUR);
    assert_eq!(get(&platform, 0, "/v25.0/{}/stories", free).status, StatusCode::OK);
}

#[test]
fn the_app_pauses_as_a_whole() {
    let settings = settings(3).with_app_limit(limit(4, 3600)).with_usage_from(50);
    let platform = platform(config(settings));
    let ask = |index| get(&platform, index, "/v25.0/{}/stories", NOON);
    let counts: Vec<_> = [0, 1, 0, 1]
        .map(|index| header(&ask(index), "x-app-usage").map(|usage| usage["call_count"].clone()))
        .into();
    assert_eq!(counts, [None, Some(json!(50)), Some(json!(75)), Some(json!(100))]);
    let plan = ask(2);
    assert!(is_row(&plan, "G4"));
    assert_eq!(header(&plan, "x-app-usage").unwrap()["call_count"], 100);
    assert_eq!(platform.audit().limits_broken, 1);
    assert_eq!(get(&platform, 2, "/v25.0/{}/stories", NOON.saturating_add(HOUR)).status, 200);
}

#[test]
fn the_catalogue_of_the_graph_api_is_complete() {
    let ids = "G1 G2 G341 G-1 G-2 G4 G4-spam G17 G32 G613 G80002 G190 G190-458 G190-459 G190-460 \
               G190-463 G190-464 G190-467 G190-492 G102 G104 G10 G200 G3 G100 G100-33 G110 G24 \
               G25 G368 G12 G2635";
    for id in ids.split_whitespace() {
        let row = row(id).unwrap_or_else(|| panic!("{id} is missing"));
        let body: Value = serde_json::from_str(row.body).unwrap();
        let error = &body["error"];
        let (code, subcode) = (error["code"].to_string(), error["error_subcode"].to_string());
        let (id, wanted) =
            id[1..].rsplit_once('-').filter(|(id, _)| !id.is_empty()).unwrap_or((&id[1..], ""));
        assert_eq!(code, id, "{}", row.id);
        assert!(wanted.parse::<u32>().is_err() || subcode == wanted, "{}", row.id);
        assert!(row.status >= 400, "{}", row.id);
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let new = |settings| Platform::new(config(settings)).is_ok();
    assert!(new(settings(0).with_professional(100)));
    assert!(!new(settings(0).with_professional(101)));
    assert!(!new(settings(2_000_000)));
}

#[test]
fn a_rule_can_give_any_row_and_what_it_says_of_a_token_stays() {
    let platform = platform(config(settings(2)));
    let once = |id: &str| Rule::new(Effect::Row(id.into())).with_api(Api::Graph).with_times(1);
    platform.add_rule(once("G2").with_session(1)).unwrap();
    platform.add_rule(once("G190-464").with_session(1)).unwrap();
    let ask = |index| get(&platform, index, "/v25.0/{}/stories", NOON);
    assert_eq!(ask(0).status, StatusCode::OK);
    assert!(is_row(&ask(1), "G2"));
    assert!(is_row(&ask(1), "G190-464"));
    assert_eq!(platform.audit().requests_after_challenge, 0);
    assert!(is_row(&ask(1), "G190-464"));
    assert_eq!(platform.audit().requests_after_challenge, 1);
    assert_eq!(platform.graph_token_row(1, NOON), Some("G190-464"));
    assert_eq!(ask(0).status, StatusCode::OK);
}
