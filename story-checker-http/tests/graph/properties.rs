//! Damaged bodies never panic and never become a verdict.

use proptest::prelude::*;
use story_checker_core::Timestamp;
use story_checker_http::instagram::{parse_discovery, parse_stories};

/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);
const ACTIVE: &str = r#"{"data":[{"id":"17900000000000011","media_type":"VIDEO","media_product_type":"STORY","media_url":"https://cdn.sim.test/v/a.mp4?oe=1","thumbnail_url":"t\u0026","permalink":"p","timestamp":"2026-11-21T08:15:00+0000","username":"tea_house"}],"paging":{"cursors":{"before":"QQ","after":"Qg"}}}"#;
const EMPTY: &str = r#"{"data":[],"paging":{"cursors":{}}}"#;
const FOUND: &str =
    r#"{"business_discovery":{"id":"178","username":"tea_house","media_count":3},"id":"1"}"#;

/// One damage: cut, flip, insert or remove at a place.
fn damaged(body: &str, damages: &[(u8, prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for (kind, at, byte) in damages {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match kind {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= byte,
            2 => bytes.insert(at, *byte),
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes
}

fn damages() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

/// The rules again, slowly, over a generic reader.
fn is_live(item: &serde_json::Value) -> bool {
    let name = item["username"].as_str().unwrap_or_default();
    let has_id = item["id"].as_str().is_some_and(|id| !id.is_empty()) || item["id"].is_u64();
    let day = item["timestamp"].as_str().and_then(|text| text.get(..10));
    has_id
        && name.eq_ignore_ascii_case("tea_house")
        && item["media_product_type"] == "STORY"
        && day.is_some_and(|day| day == "2026-11-20" || day == "2026-11-21")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn damaged_pages_are_believed_only_if_they_are_still_pages(
        damages in damages(),
        body in prop::sample::select(&[ACTIVE, EMPTY][..]),
    ) {
        let bytes = damaged(body, &damages);
        let Ok(page) = parse_stories(&bytes) else { return Ok(()) };
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let data = value["data"].as_array();
        prop_assert!(data.is_some() && value["error"].is_null(), "{text}");
        let data = data.unwrap();
        let shown = page.shows("tea_house", NOW);
        if shown.foreign == 0 && !shown.items.is_empty() {
            prop_assert!(data.iter().any(is_live), "{text}");
        }
        let empty = shown.items.is_empty() && shown.foreign == 0 && shown.broken == 0;
        if empty && !page.has_more() {
            prop_assert!(!data.iter().any(|item| is_live(item) && !item["timestamp"].as_str().unwrap().starts_with("2026-11-20")), "{text}");
            prop_assert_eq!(shown.expired + shown.others, data.len(), "{}", text);
        }
    }

    #[test]
    fn damaged_look_ups_find_nobody_else(damages in damages()) {
        let bytes = damaged(FOUND, &damages);
        if let Ok(found) = parse_discovery(&bytes) {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let business = &value["business_discovery"];
            let text = |field: &str| match &business[field] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            prop_assert_eq!(text("username"), found.username);
            prop_assert_eq!(text("id"), found.id);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_discovery(&bytes);
        if let Ok(page) = parse_stories(&bytes) {
            let _ = page.shows("tea_house", NOW);
        }
    }
}
