//! What is true, and what the endpoints say about it.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use story_checker_sim::{
    AccountKind, AccountScript, Platform, Population, ScriptedStory, SimConfig, Timestamp, Truth,
    TruthKind, numbered_id, numbered_name,
};

use crate::support::{NOON, VIEWER, answer, ask, get, headers, json as body, peer, platform};

const HOUR: Duration = Duration::from_secs(3600);

fn profile(name: &str) -> String {
    format!("/api/v1/users/web_profile_info/?username={name}")
}

fn reels(ids: impl IntoIterator<Item = u64>) -> String {
    let ids: Vec<_> = ids.into_iter().map(|id| format!("reel_ids={id}")).collect();
    format!("/api/v1/feed/reels_media/?{}", ids.join("&"))
}

fn busy() -> Population {
    Population::default().with_mix(10, 10, 10).with_posting(80, 1.0)
}

/// A number that is written as a number or as a string.
fn loose(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        number => number.as_u64().unwrap(),
    }
}

#[test]
fn a_seed_says_it_all() {
    let first = platform(SimConfig::new(11).with_population(busy()));
    let second = platform(SimConfig::new(11).with_population(busy()));
    let other = platform(SimConfig::new(12).with_population(busy()));
    let mut differences = 0;
    for number in 0..200 {
        let name = numbered_name(number);
        let now = NOON.saturating_add(HOUR * number);
        let ask = |platform: &Platform, path: &str| {
            let plan = get(platform, Some(0), path, now);
            (plan.status, plan.headers, plan.body, plan.delay)
        };
        // The second platform is asked about something else in between: it must not matter.
        let _ = second.truth("somebody_else", now);
        let paths = [profile(&name), reels([numbered_id(number)])];
        for path in paths {
            assert_eq!(ask(&first, &path), ask(&second, &path));
        }
        differences += usize::from(first.truth(&name, now) != other.truth(&name, now));
    }
    assert!(differences > 50, "{differences}");
    assert_ne!(first.session_credentials(0), other.session_credentials(0));
}

#[test]
fn endpoints_say_what_is_true_over_days() {
    let platform = platform(SimConfig::new(3).with_population(busy()));
    let names: Vec<_> =
        (0..250).map(numbered_name).chain((0..50).map(|i| format!("tea.house{i}"))).collect();
    let ids: BTreeMap<&str, u64> = names
        .iter()
        .map(String::as_str)
        .zip(platform.register(names.iter().map(String::as_str)).into_iter().flatten())
        .collect();
    assert_eq!(ids.len(), names.len());
    let mut seen = BTreeMap::new();
    for step in 0..12 {
        let now = NOON.saturating_add(HOUR * 7 * step + Duration::from_millis(137));
        for chunk in names.chunks(50) {
            let (status, answered) =
                answer(&platform, Some(0), &reels(chunk.iter().map(|name| ids[&**name])), now);
            assert_eq!((status, &answered["status"]), (StatusCode::OK, &json!("ok")));
            let listed = answered["reels_media"].as_array().unwrap();
            assert_eq!(listed.len(), answered["reels"].as_object().unwrap().len());
            for name in chunk {
                let truth = platform.truth(name, now);
                assert_eq!(truth, platform.truth(name, now));
                *seen.entry(format!("{:?}", truth.kind)).or_insert(0) += 1;
                let id = ids[&**name];
                check_profile(&platform, name, id, &truth, now);
                let reel = answered["reels"].get(id.to_string());
                assert_eq!(reel.is_some(), truth.kind == TruthKind::Active, "{name}");
                if let Some(reel) = reel {
                    assert!(listed.contains(reel));
                    check_reel(reel, name, id, &truth);
                }
            }
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert!(seen["Active"] > 500, "{seen:?}");
}

fn check_profile(platform: &Platform, name: &str, id: u64, truth: &Truth, now: Timestamp) {
    let (status, answered) = answer(platform, Some(0), &profile(name), now);
    if truth.kind == TruthKind::NotFound {
        let body =
            json!({"message":"User not found","status":"fail","error_type":"user_not_found"});
        assert_eq!((status, answered), (StatusCode::NOT_FOUND, body));
        return;
    }
    assert_eq!((status, &answered["status"]), (StatusCode::OK, &json!("ok")));
    let user = &answered["data"]["user"];
    assert_eq!(user["id"], id.to_string());
    assert_eq!(user["username"], name);
    let latest = truth.items.last().map_or(0, |item| item.taken_at.unix_secs());
    assert_eq!(user["latest_reel_media"], latest, "{name}");
    let shut_out = user["is_private"] == true && user["followed_by_viewer"] == false;
    assert_eq!(shut_out, truth.kind == TruthKind::Private);
}

fn check_reel(reel: &Value, name: &str, id: u64, truth: &Truth) {
    assert_eq!(loose(&reel["id"]), id);
    assert_eq!(loose(&reel["user"]["pk"]), id);
    assert_eq!(reel["user"]["username"], name);
    assert_eq!(reel["media_count"], truth.items.len());
    let last = truth.items.last().unwrap();
    assert_eq!(reel["latest_reel_media"], last.taken_at.unix_secs());
    assert_eq!(reel["expiring_at"], last.expires_at.unix_secs());
    let items = reel["items"].as_array().unwrap();
    assert_eq!(items.len(), truth.items.len());
    for (item, truth) in items.iter().zip(&truth.items) {
        assert_eq!(loose(&item["pk"]), truth.pk);
        assert_eq!(item["id"], format!("{}_{id}", truth.pk));
        assert_eq!(item["taken_at"], truth.taken_at.unix_secs());
        assert_eq!(item["expiring_at"], truth.expires_at.unix_secs());
        assert_eq!(item["media_type"], if truth.video { 2 } else { 1 });
        assert_eq!(item["video_duration"].is_f64(), truth.video);
        assert_eq!(item["video_versions"].is_array(), truth.video);
        assert!(item["image_versions2"]["candidates"][0]["url"].is_string());
        assert_eq!(truth.owner_id, id);
    }
}

#[test]
fn ids_come_as_numbers_and_as_strings() {
    let platform = platform(SimConfig::new(3).with_population(busy()));
    let mut strings = [0, 0];
    let mut total = 0;
    for number in 0..200 {
        let (_, answered) = answer(&platform, Some(0), &reels([numbered_id(number)]), NOON);
        for reel in answered["reels_media"].as_array().unwrap() {
            total += 1;
            strings[0] += usize::from(reel["id"].is_string());
            strings[1] += usize::from(reel["items"][0]["pk"].is_string());
        }
    }
    assert!(strings.iter().all(|&count| count > total / 4 && count < total * 3 / 4));
}

#[test]
fn the_trap_looks_like_no_story() {
    let platform = platform(SimConfig::new(1));
    let story = ScriptedStory::image(NOON, NOON.saturating_add(HOUR));
    assert!(platform.set_account("acct_000007", AccountScript::active([story])));
    let empty = json!({"reels":{},"reels_media":[],"status":"ok"});
    let path = reels([numbered_id(7)]);
    assert_ne!(answer(&platform, Some(0), &path, NOON).1, empty);
    // Logged out, and never known: the same answer as for an account without a story.
    assert_eq!(answer(&platform, None, &path, NOON), (StatusCode::OK, empty.clone()));
    assert!(platform.set_account("acct_000007", AccountScript::no_story()));
    assert_eq!(answer(&platform, Some(0), &path, NOON), (StatusCode::OK, empty));
    // Who asks can find out.
    let nobody = json!({"data":{"user":null},"status":"ok"});
    assert_eq!(answer(&platform, None, VIEWER, NOON), (StatusCode::OK, nobody));
    let viewer = json!({"data":{"user":{"id":"7000000000","username":"viewer_0"}},"status":"ok"});
    assert_eq!(answer(&platform, Some(0), VIEWER, NOON), (StatusCode::OK, viewer));
    let (status, wait) = answer(&platform, None, &profile("acct_000007"), NOON);
    assert_eq!((status, &wait["require_login"]), (StatusCode::UNAUTHORIZED, &json!(true)));
}

#[test]
fn who_cannot_be_seen_is_left_out() {
    let platform = platform(SimConfig::new(1));
    let story = ScriptedStory::video(NOON, NOON.saturating_add(HOUR));
    let with = |kind| {
        let mut script = AccountScript::active([story]);
        script.kind = kind;
        script
    };
    let kinds = [AccountKind::Private, AccountKind::NotFound, AccountKind::PrivateFollowed];
    for (number, kind) in (0..).zip(kinds) {
        assert!(platform.set_account(&numbered_name(number), with(kind)));
    }
    let unknown = 1 << 46;
    let (_, answered) = answer(&platform, Some(0), &reels([0, 1, 2].map(numbered_id)), NOON);
    let listed: Vec<_> = answered["reels"].as_object().unwrap().keys().collect();
    assert_eq!(listed, [&numbered_id(2).to_string()]);
    assert_eq!(answer(&platform, Some(0), &reels([unknown]), NOON).1["reels"], json!({}));
    let (_, private) = answer(&platform, Some(0), &profile("acct_000000"), NOON);
    assert_eq!(private["data"]["user"]["is_private"], true);
    assert_eq!(private["data"]["user"]["followed_by_viewer"], false);
    assert_eq!(private["data"]["user"]["latest_reel_media"], 0);
    assert_eq!(platform.truth("acct_000000", NOON).kind, TruthKind::Private);
    assert!(platform.reset_account("acct_000000"));
}

#[test]
fn odd_requests_get_the_answers_of_the_contract() {
    let platform = platform(SimConfig::new(1));
    assert_eq!(answer(&platform, Some(0), &reels(0..50), NOON).0, StatusCode::OK);
    let (status, many) = answer(&platform, Some(0), &reels(0..51), NOON);
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(many["message"], "Invalid reel id list");
    for name in ["", "no%20name", "caf%C3%A9", &"a".repeat(31)] {
        assert_eq!(answer(&platform, Some(0), &profile(name), NOON).0, StatusCode::NOT_FOUND);
    }
    let path = "/api/v1/feed/reels_media/?reel_ids=tea_house&reel_ids=";
    assert_eq!(answer(&platform, Some(0), path, NOON).1["reels"], json!({}));
    for path in [
        "/tea_house",
        "/tea_house/reels/",
        "/graphql/query/?query_hash=1",
        "/api/v1/feed/reels_media",
    ] {
        let plan = get(&platform, Some(0), path, NOON);
        assert_eq!(plan.status, StatusCode::NOT_FOUND);
        assert_eq!(plan.headers["content-type"], "text/html; charset=utf-8");
    }
    let bare = http::HeaderMap::new();
    let plan = ask(&platform, &http::Method::GET, VIEWER, &bare, NOON, &peer());
    assert_eq!(plan.status, StatusCode::BAD_REQUEST);
    assert_eq!(body(&plan)["message"], "useragent mismatch");
}

#[test]
fn answers_carry_a_date_and_now_and_then_cookies() {
    let platform = platform(SimConfig::new(1));
    let mut cookies = 0;
    for number in 0..129 {
        let plan = get(&platform, Some(0), VIEWER, NOON.saturating_add(HOUR * number));
        let claimed = plan.headers.contains_key("x-ig-set-www-claim");
        assert_eq!(claimed, number == 0);
        cookies += plan.headers.get_all("set-cookie").iter().count();
        if number == 1 {
            assert_eq!(plan.headers["date"], "Sat, 21 Nov 2026 13:00:00 GMT");
            assert_eq!(plan.headers["content-type"], "application/json; charset=utf-8");
        }
    }
    assert_eq!(cookies, 3);
}

#[test]
fn the_pad_is_about_the_size_of_an_active_reel() {
    let stories = |count| {
        let story = |index| {
            let taken = NOON.saturating_sub(Duration::from_secs(index));
            ScriptedStory::image(taken, NOON.saturating_add(HOUR))
        };
        AccountScript::active((0..count).map(story))
    };
    for (pad, count) in [(3000, 1), (10_000, 1), (10_000, 3), (50_000, 4)] {
        let platform = platform(SimConfig::new(1).with_pad(pad));
        assert!(platform.set_account("acct_000001", stories(count)));
        let size = get(&platform, Some(0), &reels([numbered_id(1)]), NOON).body.len();
        let error = size.abs_diff(pad) * 100 / pad;
        assert!(error <= 10, "{pad} bytes for {count} stories became {size}");
    }
}

fn anything() -> impl Strategy<Value = String> {
    let route = prop_oneof![
        Just("/api/v1/users/web_profile_info/"),
        Just("/api/v1/feed/reels_media/"),
        Just("/graphql/query/"),
        Just("/_sim/truth"),
        Just("/_sim/requests"),
        Just("/_sim/sessions/0"),
        Just("/_sim/accounts/tea"),
        Just("/_sim/"),
    ];
    let key = prop_oneof![
        Just("username"),
        Just("reel_ids"),
        Just("query_hash"),
        Just("name"),
        Just("at"),
        Just("limit"),
        Just("state"),
        Just("kind"),
    ];
    let value = prop_oneof!["[ -~]{0,40}", "[0-9]{0,22}", "%[0-9a-f]{2}", "active|challenged"];
    prop_oneof![
        "/[ -~]{0,80}",
        (route, prop::collection::vec((key, value), 0..4)).prop_map(|(route, params)| {
            let params: Vec<_> =
                params.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{route}?{}", params.join("&"))
        }),
    ]
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        paths in prop::collection::vec(anything(), 1..8),
        cookie in prop::option::of("(sessionid=)?[ -~]{0,60}"),
        post in any::<bool>(),
        now in prop_oneof![any::<u64>(), 0..4_000_000_000_000u64],
    ) {
        let platform = platform(SimConfig::new(9).with_population(busy()).with_pad(3000));
        let known = crate::support::cookie(&platform, 0);
        let method = if post { http::Method::POST } else { http::Method::GET };
        for path in paths.iter().filter(|path| path.parse::<http::Uri>().is_ok()) {
            for cookie in [cookie.as_deref(), Some(&known)] {
                let now = Timestamp::from_unix_millis(now);
                let plan = ask(&platform, &method, path, &headers(cookie), now, &peer());
                prop_assert!(plan.headers.contains_key("date"));
            }
        }
    }

    #[test]
    fn a_story_is_true_exactly_while_it_lives(number in 0..5000u32, offset in 0..864_000_000u64) {
        let platform = platform(SimConfig::new(9).with_population(busy()));
        let name = numbered_name(number);
        let at = NOON.saturating_add(Duration::from_millis(offset));
        let truth = platform.truth(&name, at);
        for item in &truth.items {
            prop_assert!(item.taken_at <= at && at < item.expires_at);
            prop_assert_eq!(item.expires_at.saturating_since(item.taken_at), HOUR * 24);
            let has = |at| platform.truth(&name, at).items.contains(item);
            prop_assert!(has(item.taken_at) && !has(item.expires_at));
            prop_assert!(!has(item.taken_at.saturating_sub(Duration::from_millis(1))));
            prop_assert!(has(item.expires_at.saturating_sub(Duration::from_millis(1))));
        }
    }
}
