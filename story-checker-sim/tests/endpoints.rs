//! The endpoints beside profile, reels and viewer.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use story_checker_sim::{
    AccountKind, AccountScript, Platform, ScriptedStory, SessionState, SimConfig, TruthKind,
};

use crate::support::{NOON, answer, get, platform};

const ID: u64 = 4_200_000_001;

fn with_account(script: AccountScript) -> Platform {
    let platform = platform(SimConfig::new(1).with_sessions(2));
    assert!(platform.set_account("acct_000001", script));
    assert!(platform.set_session_state(1, SessionState::LoggedOut, None));
    platform
}

fn image_and_video() -> AccountScript {
    let hour = Duration::from_secs(3600);
    let (taken, gone) = (NOON.saturating_sub(hour), NOON.saturating_add(hour));
    AccountScript::active([ScriptedStory::image(taken, gone), ScriptedStory::video(NOON, gone)])
}

#[test]
fn one_account_can_be_asked_for_its_story() {
    let path = format!("/api/v1/feed/user/{ID}/story/");
    let platform = with_account(image_and_video());
    let (status, body) = answer(&platform, Some(0), &path, NOON);
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ok")));
    assert_eq!(body["broadcast"], json!(null));
    assert_eq!(body["reel"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(answer(&platform, Some(1), &path, NOON).0, StatusCode::FORBIDDEN);
    for (script, reel) in [
        (AccountScript::no_story(), Some(json!(null))),
        (AccountScript::new(AccountKind::Private), Some(json!(null))),
        (AccountScript::new(AccountKind::NotFound), None),
    ] {
        let platform = with_account(script);
        let (status, body) = answer(&platform, Some(0), &path, NOON);
        assert_eq!(status == StatusCode::OK, reel.is_some());
        assert_eq!(body.get("reel").cloned(), reel);
    }
}

#[test]
fn graphql_tells_the_same_in_its_own_words() {
    let path = "/graphql/query/?query_hash=303a4ae99711322310f25250d988f3b7&variables=%7B%22reel_ids%22%3A%5B%224200000001%22%5D%2C%22precomposed_overlay%22%3Afalse%7D";
    let platform = with_account(image_and_video());
    let (_, body) = answer(&platform, Some(0), path, NOON);
    let reel = &body["data"]["reels_media"][0];
    assert_eq!(
        (&reel["id"], &reel["owner"]["id"]),
        (&json!(ID.to_string()), &json!(ID.to_string()))
    );
    let truth = platform.truth("acct_000001", NOON).items;
    for (item, truth) in reel["items"].as_array().unwrap().iter().zip(&truth) {
        assert_eq!(item["id"], truth.pk.to_string());
        assert_eq!(item["is_video"], truth.video);
        assert_eq!(item["taken_at_timestamp"], truth.taken_at.unix_secs());
        assert_eq!(item["expiring_at_timestamp"], truth.expires_at.unix_secs());
        assert_eq!(item["owner"]["id"], ID.to_string());
        assert_eq!(item.get("video_resources").is_some(), truth.video);
        assert_eq!(item["display_resources"].as_array().unwrap().len(), 3);
    }
    // The trap is the same, too.
    let empty = json!({ "data": { "reels_media": [] }, "status": "ok" });
    assert_eq!(answer(&platform, Some(1), path, NOON), (StatusCode::OK, empty));
    let (_, body) = answer(&platform, Some(0), &path[..61], NOON);
    assert_eq!(body["errors"][0]["summary"], "Incorrect Query");
}

#[test]
fn an_account_is_known_by_its_id() {
    let path = format!("/api/v1/users/{ID}/info/");
    let platform = with_account(image_and_video());
    let (_, body) = answer(&platform, Some(0), &path, NOON);
    let user = &body["user"];
    assert_eq!((&user["username"], &user["is_private"]), (&json!("acct_000001"), &json!(false)));
    assert_eq!(user["latest_reel_media"], NOON.unix_secs());
    assert_eq!(answer(&platform, Some(1), &path, NOON).0, StatusCode::FORBIDDEN);
    let platform = with_account(AccountScript::new(AccountKind::NotFound));
    assert_eq!(answer(&platform, Some(0), &path, NOON).0, StatusCode::NOT_FOUND);
}

#[test]
fn a_gated_account_is_there_by_id_only() {
    let platform = with_account(AccountScript::new(AccountKind::Gated));
    assert_eq!(platform.truth("acct_000001", NOON).kind, TruthKind::Gated);
    let profile = "/api/v1/users/web_profile_info/?username=acct_000001";
    let (status, body) = answer(&platform, Some(0), profile, NOON);
    assert_eq!((status, &body["error_type"]), (StatusCode::NOT_FOUND, &json!("user_not_found")));
    let (_, body) = answer(&platform, Some(0), &format!("/api/v1/users/{ID}/info/"), NOON);
    assert_eq!(body["user"]["gating"]["gating_type"], "restricted_profile");
    assert_eq!(body["user"]["follower_count"], 0);
    let (_, body) = answer(&platform, Some(0), "/web/search/topsearch/?query=acct_000001", NOON);
    assert!(!body.to_string().contains("\"acct_000001\""));
}

#[test]
fn a_search_finds_the_name_itself_first() {
    let path = "/web/search/topsearch/?query=acct_000001";
    let platform = with_account(image_and_video());
    let (_, body) = answer(&platform, Some(0), path, NOON);
    assert_eq!(body["users"][0]["user"]["username"], "acct_000001");
    assert_eq!(body["users"][0]["user"]["pk"], ID.to_string());
    assert_eq!(get(&platform, Some(1), path, NOON).status, StatusCode::UNAUTHORIZED);
    let platform = with_account(AccountScript::new(AccountKind::NotFound));
    let (_, body) = answer(&platform, Some(0), path, NOON);
    let found = body["users"].as_array().unwrap().iter();
    assert!(found.map(|user| &user["user"]["username"]).all(|name| *name != "acct_000001"));
}

#[test]
fn the_tray_shows_stubs() {
    let platform = with_account(image_and_video());
    let (_, body) = answer(&platform, Some(0), "/api/v1/feed/reels_tray/", NOON);
    let tray = body["tray"].as_array().unwrap();
    assert!(tray.len() > 2, "{}", tray.len());
    for (index, reel) in tray.iter().enumerate() {
        assert_eq!(reel.get("items").is_some(), index < 2);
        assert!(reel["media_count"].as_u64().unwrap() > 0);
        let name = reel["user"]["username"].as_str().unwrap();
        assert_eq!(platform.truth(name, NOON).kind, TruthKind::Active);
    }
}
