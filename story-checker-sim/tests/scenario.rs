//! Rules: which requests they are for, and what they do.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use story_checker_sim::{
    AccountScript, Delivery, Effect, Form, Peer, Platform, ProxyId, Route, Rule, ScriptedStory,
    SessionState, SimConfig, Timestamp, parse_rules, rows,
};

use crate::support::{NOON, VIEWER, answer, get, get_via, json, platform};

const REELS: &str = "/api/v1/feed/reels_media/?reel_ids=4200000001&reel_ids=4200000002";
const STORY: &str = "/api/v1/feed/user/4200000001/story/";
const GRAPHQL: &str = "/graphql/query/?query_hash=303a4ae99711322310f25250d988f3b7&variables=%7B%22reel_ids%22%3A%5B%224200000001%22%2C4200000002%5D%7D";

fn later(secs: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(secs))
}

/// Both accounts have one image.
fn two_images(config: SimConfig) -> Platform {
    let platform = platform(config);
    for name in ["acct_000001", "acct_000002"] {
        let taken = NOON.saturating_sub(Duration::from_secs(60));
        let story = ScriptedStory::image(taken, later(3600));
        assert!(platform.set_account(name, AccountScript::active([story])));
    }
    platform
}

fn with_rule(rule: Rule) -> Platform {
    let platform = two_images(SimConfig::new(1).with_sessions(2));
    platform.add_rule(rule).unwrap();
    platform
}

#[test]
fn every_row_of_the_catalogue_can_be_had() {
    for row in rows() {
        let platform = with_rule(Rule::row(row.id));
        let plan = get(&platform, None, REELS, NOON);
        assert_eq!((plan.status.as_u16(), &plan.body[..]), (row.status, row.body.as_bytes()));
        let content_type = plan.headers.get("content-type").map_or("", |v| v.to_str().unwrap());
        assert_eq!(content_type, row.content_type, "{}", row.id);
        for (name, value) in row.headers {
            assert_eq!(plan.headers[*name], *value, "{}", row.id);
        }
        assert_eq!(platform.audit().faults[&format!("row {}", row.id)], 1);
    }
}

#[test]
fn a_row_has_its_consequence_for_the_session() {
    for (id, state) in [
        ("W1", SessionState::LoggedIn),
        ("W2", SessionState::LoggedIn),
        ("W3", SessionState::LoggedOut),
        ("W4", SessionState::LoggedOut),
        ("W5", SessionState::LoggedOut),
        ("W6", SessionState::Challenged),
        ("W8", SessionState::Challenged),
        ("W9", SessionState::Challenged),
        ("W9-suspended", SessionState::Suspended),
        ("W10", SessionState::Challenged),
        ("W11", SessionState::Blocked),
        ("W12", SessionState::Challenged),
        ("W20", SessionState::LoggedIn),
    ] {
        let platform = with_rule(Rule::row(id).with_session(1).with_times(1));
        let _ = get(&platform, Some(1), REELS, NOON);
        assert_eq!(platform.session_state(1, NOON), Some(state), "{id}");
        assert_eq!(platform.session_state(0, NOON), Some(SessionState::LoggedIn));
        let again = get(&platform, Some(1), REELS, later(1));
        let audit = platform.audit();
        let refused = match state {
            SessionState::Challenged => "checkpoint_required",
            SessionState::Suspended => "challenge_required",
            SessionState::Blocked => "feedback_required",
            _ => "",
        };
        assert_eq!(json(&again)["message"].as_str().unwrap_or(""), refused, "{id}");
        let told = u64::from(matches!(state, SessionState::Challenged | SessionState::Suspended));
        assert_eq!(audit.requests_after_challenge, told, "{id}");
        assert_eq!(audit.requests_after_block, u64::from(state == SessionState::Blocked));
    }
}

#[test]
fn a_block_ends_after_a_day() {
    let platform = with_rule(Rule::row("W11").with_times(1));
    let _ = get(&platform, Some(0), VIEWER, NOON);
    assert_eq!(get(&platform, Some(0), VIEWER, later(86_399)).status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&platform, Some(0), VIEWER, later(86_400)).status, StatusCode::OK);
}

#[test]
fn a_rule_switches_a_session() {
    let rule = Rule::new(Effect::Session(SessionState::LoggedOut)).with_session(0).with_times(1);
    let platform = with_rule(rule.with_window(Some(later(10)), None));
    assert!(json(&get(&platform, Some(0), REELS, NOON))["reels"]["4200000001"].is_object());
    let out = json(&get(&platform, Some(0), REELS, later(10)));
    assert_eq!(out["reels"], serde_json::json!({}));
    assert_eq!(platform.session_state(0, later(10)), Some(SessionState::LoggedOut));
}

#[test]
fn rules_are_for_what_they_name() {
    let via = |proxy| Peer::via(ProxyId::new(proxy), ([127, 0, 0, 1], 4000).into());
    let profile = "/api/v1/users/web_profile_info/?username=Acct_000001";
    // (rule, session, path, proxy, seconds, whether it is for that)
    for (rule, session, path, proxy, secs, expected) in [
        (Rule::row("W20"), Some(0), REELS, 0, 0, true),
        (Rule::row("W20").with_route(Route::Reels), Some(0), REELS, 0, 0, true),
        (Rule::row("W20").with_route(Route::Viewer), Some(0), REELS, 0, 0, false),
        (Rule::row("W20").with_target("acct_000001"), Some(0), REELS, 0, 0, true),
        (Rule::row("W20").with_target("acct_000001"), Some(0), STORY, 0, 0, true),
        (Rule::row("W20").with_target("acct_000002"), Some(0), STORY, 0, 0, false),
        (Rule::row("W20").with_target("acct_000002"), Some(0), GRAPHQL, 0, 0, true),
        (Rule::row("W20").with_target("4200000001"), Some(0), profile, 0, 0, true),
        (Rule::row("W20").with_target("ACCT_000001"), Some(0), profile, 0, 0, true),
        (Rule::row("W20").with_target("acct_00000"), Some(0), profile, 0, 0, false),
        (Rule::row("W20").with_session(1), Some(1), REELS, 0, 0, true),
        (Rule::row("W20").with_session(1), Some(0), REELS, 0, 0, false),
        (Rule::row("W20").with_session(1), None, REELS, 0, 0, false),
        (Rule::row("W20").with_proxy(ProxyId::new(4)), Some(0), REELS, 4, 0, true),
        (Rule::row("W20").with_proxy(ProxyId::new(4)), Some(0), REELS, 5, 0, false),
        (Rule::row("W20").with_window(Some(later(5)), Some(later(9))), None, REELS, 0, 4, false),
        (Rule::row("W20").with_window(Some(later(5)), Some(later(9))), None, REELS, 0, 5, true),
        (Rule::row("W20").with_window(Some(later(5)), Some(later(9))), None, REELS, 0, 9, false),
        (Rule::row("W20").with_percent(0.0), None, REELS, 0, 0, false),
        (Rule::row("W20").with_times(0), None, REELS, 0, 0, false),
    ] {
        let platform = with_rule(rule.clone());
        let plan = get_via(&platform, session, path, later(secs), &via(proxy));
        assert_eq!(plan.status == StatusCode::INTERNAL_SERVER_ERROR, expected, "{rule:?} {path}");
    }
}

#[test]
fn rules_end_when_they_are_removed() {
    let platform = with_rule(Rule::row("W20").with_times(2));
    let second = platform.add_rule(Rule::row("W1")).unwrap();
    let status = || get(&platform, None, REELS, NOON).status.as_u16();
    assert_eq!([status(), status(), status()], [500, 500, 429]);
    let rules = platform.rules_status();
    assert_eq!((rules[0].hits, rules[1].hits), (2, 1));
    assert!(platform.remove_rule(second) && !platform.remove_rule(second));
    assert_eq!(status(), 200);
    platform.add_rule(Rule::row("W1")).unwrap();
    platform.clear_rules();
    assert_eq!(status(), 200);
}

#[test]
fn no_rule_hides_a_limit() {
    let platform = two_images(SimConfig::new(1).with_session_limit("1/60".parse().unwrap()));
    platform.add_rule(Rule::row("W20")).unwrap();
    assert_eq!(get(&platform, Some(0), REELS, NOON).status, 500);
    assert_eq!(get(&platform, Some(0), REELS, NOON).status, 429);
    assert_eq!(platform.audit().faults["row W20"], 1);
    assert_eq!(platform.audit().limits_broken, 1);
}

/// The reel of account 1 in the three containers: of the list, of one account, and of GraphQL.
fn in_form(form: Form) -> [Value; 3] {
    let platform = with_rule(Rule::new(Effect::Form(form)).with_target("acct_000001"));
    let (_, list) = answer(&platform, Some(0), REELS, NOON);
    let (_, story) = answer(&platform, Some(0), STORY, NOON);
    let (_, graphql) = answer(&platform, Some(0), GRAPHQL, NOON);
    // The other account looks as ever.
    assert_eq!(list["reels"]["4200000002"]["items"].as_array().unwrap().len(), 1, "{form:?}");
    assert!(graphql["data"]["reels_media"].as_array().unwrap().iter().any(|reel| {
        reel["id"] == "4200000002" && reel["items"].as_array().unwrap().len() == 1
    }));
    [list["reels"]["4200000001"].clone(), story, graphql["data"]["reels_media"][0].clone()]
}

#[test]
fn odd_forms_are_what_they_are_called() {
    let id = "4200000001";
    let [list, story, graphql] = in_form(Form::ReelNull);
    assert_eq!([&list, &story["reel"], &graphql], [&Value::Null; 3]);
    let [list, story, graphql] = in_form(Form::ReelsEmpty);
    assert_eq!([&list, &story["reel"]], [&Value::Null; 2]);
    assert_eq!(graphql["id"], "4200000002");
    for (form, items) in [
        (Form::ItemsNull, Some(Value::Null)),
        (Form::ItemsEmpty, Some(serde_json::json!([]))),
        (Form::Stub, None),
    ] {
        let [list, story, graphql] = in_form(form);
        for reel in [&list, &story["reel"], &graphql] {
            assert_eq!(reel.get("items").cloned(), items, "{form:?}");
            assert_eq!(reel["latest_reel_media"], NOON.unix_secs() - 60);
        }
        assert_eq!(list["media_count"], 1);
    }
    let [list, story, _] = in_form(Form::LiveOnly);
    assert_eq!(story["reel"], Value::Null);
    assert_eq!(story["broadcast"]["broadcast_status"], "active");
    assert_eq!(list["broadcast"]["broadcast_owner"]["pk"], id);
    assert_eq!(list["items"], serde_json::json!([]));
    let [list, story, graphql] = in_form(Form::DuplicateItem);
    for reel in [&list, &story["reel"], &graphql] {
        assert_eq!(reel["items"].as_array().unwrap().len(), 2);
        assert_eq!(reel["items"][0]["id"], reel["items"][1]["id"]);
    }
    let [list, story, graphql] = in_form(Form::ExpiredItem);
    for (reel, field) in [
        (&list, "expiring_at"),
        (&story["reel"], "expiring_at"),
        (&graphql, "expiring_at_timestamp"),
    ] {
        assert_eq!(reel["items"].as_array().unwrap().len(), 2);
        assert!(reel["items"][0][field].as_u64().unwrap() <= NOON.unix_secs());
        assert!(reel["items"][1][field].as_u64().unwrap() > NOON.unix_secs());
    }
    let [list, story, graphql] = in_form(Form::ForeignReel);
    for reel in [&list, &story["reel"], &graphql] {
        let owner = reel["id"].as_str().map_or_else(|| reel["id"].to_string(), str::to_owned);
        assert_eq!(owner, "4200000002");
    }
    assert!(list["items"][0]["id"].as_str().unwrap().ends_with("_4200000002"));
    for (form, text) in [(Form::IdsString, true), (Form::IdsInt, false)] {
        let [list, story, _] = in_form(form);
        for reel in [&list, &story["reel"]] {
            assert_eq!(reel["id"].is_string(), text);
            assert_eq!(reel["items"][0]["pk"].is_string(), text);
        }
    }
    let [list, ..] = in_form(Form::Besties);
    assert_eq!(list["items"][0]["audience"], "besties");
    let [list, ..] = in_form(Form::StillAsVideo);
    assert_eq!(
        (&list["items"][0]["media_type"], &list["items"][0]["original_media_type"]),
        (&2.into(), &1.into())
    );
    assert!(list["items"][0]["video_versions"].is_array());
    let [list, _, graphql] = in_form(Form::NoCandidates);
    assert_eq!(list["items"][0]["image_versions2"]["candidates"], serde_json::json!([]));
    assert_eq!(graphql["items"][0]["display_resources"], serde_json::json!([]));
}

#[test]
fn odd_forms_stay_true_where_nothing_is_posted() {
    let platform = two_images(SimConfig::new(1));
    assert!(platform.set_account("acct_000001", AccountScript::no_story()));
    for (form, shown) in [
        (Form::Besties, false),
        (Form::DuplicateItem, false),
        (Form::ItemsNull, false),
        (Form::Stub, false),
        (Form::ReelsEmpty, false),
        (Form::LiveOnly, true),
        (Form::ExpiredItem, true),
        (Form::ForeignReel, true),
    ] {
        platform.clear_rules();
        platform.add_rule(Rule::new(Effect::Form(form)).with_target("acct_000001")).unwrap();
        let (_, list) = answer(&platform, Some(0), REELS, NOON);
        assert_eq!(list["reels"].get("4200000001").is_some(), shown, "{form:?}");
    }
}

#[test]
fn an_answer_can_come_slowly_oversized_or_under_another_name() {
    let platform = two_images(SimConfig::new(1));
    let plain = get(&platform, Some(0), REELS, NOON);
    for effect in [
        Effect::Oversized(100_000),
        Effect::ContentType("text/plain".into()),
        Effect::DelayMs(1500),
        Effect::Delivery(Delivery::Hang),
    ] {
        platform.add_rule(Rule::new(effect)).unwrap();
    }
    let plan = get(&platform, Some(0), REELS, NOON);
    assert_eq!(plan.body.len(), 100_000);
    assert_eq!(plan.body.trim_ascii_end(), plain.body);
    assert_eq!(plan.headers["content-type"], "text/plain");
    assert_eq!(plan.delay, Duration::from_millis(1500));
    assert_eq!(plan.delivery, Delivery::Hang);
}

#[test]
fn the_readme_names_every_row_and_its_rules_work() {
    let readme = include_str!("../README.md");
    for row in rows() {
        assert!(readme.contains(&format!("`{}`", row.id)), "{} is missing", row.id);
    }
    let platform = two_images(SimConfig::new(1));
    let code = readme.split('`').filter(|code| code.starts_with('{') && code.contains("effect"));
    let mut examples = 0;
    for example in code {
        let rules =
            parse_rules(example.as_bytes()).unwrap_or_else(|error| panic!("{example}: {error}"));
        for rule in rules {
            platform.add_rule(rule).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
        examples += 1;
    }
    assert!(examples > 9, "{examples}");
}
