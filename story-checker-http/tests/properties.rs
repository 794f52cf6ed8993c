//! Damaged bodies never panic and never become a verdict.

use proptest::prelude::*;
use story_checker_core::Timestamp;
use story_checker_http::instagram::{
    ProfileAnswer, Sighting, ViewerAnswer, parse_profile, parse_reels, parse_viewer,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_300_000);
const PROFILE: &str = r#"{"data":{"user":{"id":"42","username":"a","is_private":false,"latest_reel_media":1795251600}},"status":"ok"}"#;
const REELS: &str = r#"{"reels":{"42":{"id":"42","items":[{"pk":"1","id":"1_42","taken_at":1795299000,"expiring_at":1795385400,"media_type":2,"image_versions2":{"candidates":[{"width":1080,"height":1920,"url":"i\u0026"}]},"video_versions":[{"width":720,"height":1280,"url":"v"}],"video_duration":9.5}]}},"reels_media":[],"status":"ok"}"#;
const EMPTY: &str = r#"{"reels":{},"reels_media":[],"status":"ok"}"#;
const VIEWER: &str = r#"{"data":{"user":{"id":"1","username":"me"}},"status":"ok"}"#;

#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
    ]
}

fn damaged(body: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for damage in damages.iter().filter(|_| !body.is_empty()) {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Flip(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] ^= byte;
            }
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
        }
    }
    bytes
}

/// The rules again, slowly, over a generic reader: what has no such shape must not be believed.
fn says_ok(bytes: &[u8]) -> Option<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    (value["status"] == "ok").then_some(value)
}

fn items_ended(value: &serde_json::Value) -> bool {
    let items = value["reels"]["42"]["items"].as_array();
    items.is_some_and(|items| {
        items.iter().all(|item| item["expiring_at"].as_u64().is_none_or(|at| at <= NOW.as_secs()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_profile(&bytes);
        let _ = parse_viewer(&bytes);
        if let Ok(answer) = parse_reels(&bytes) {
            let _ = answer.sighting("42", NOW);
        }
    }

    #[test]
    fn damaged_answers_are_believed_only_if_they_are_still_answers(
        damages in prop::collection::vec(damage(), 1..4),
        body in prop::sample::select(&[REELS, EMPTY][..]),
    ) {
        let bytes = damaged(body, &damages);
        if let Ok(answer) = parse_reels(&bytes) {
            let value = says_ok(&bytes);
            prop_assert!(value.is_some(), "{}", String::from_utf8_lossy(&bytes));
            let value = value.unwrap();
            match answer.sighting("42", NOW) {
                Sighting::Empty { .. } => {
                    prop_assert!(value["reels"].is_object() || value["reels_media"].is_array());
                    prop_assert!(value["reels"]["42"].is_null() || items_ended(&value));
                }
                Sighting::Live { items, .. } => prop_assert!(!items.is_empty()),
                _ => {}
            }
        }
    }

    #[test]
    fn damaged_profiles_and_viewers_too(
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let bytes = damaged(PROFILE, &damages);
        if let Ok(answer) = parse_profile(&bytes) {
            let value = says_ok(&bytes);
            prop_assert!(value.is_some());
            let user = &value.unwrap()["data"]["user"];
            match answer {
                ProfileAnswer::Missing => prop_assert!(user.is_null()),
                _ => prop_assert!(!user.is_null()),
            }
        }
        let bytes = damaged(VIEWER, &damages);
        if let Ok(answer) = parse_viewer(&bytes) {
            let value = says_ok(&bytes);
            prop_assert!(value.is_some());
            let nobody = value.unwrap()["data"]["user"].is_null();
            prop_assert_eq!(answer == ViewerAnswer::LoggedOut, nobody);
        }
    }

    #[test]
    fn every_true_prefix_is_truncated_and_nothing_else(cut in 0..REELS.len()) {
        prop_assert!(parse_reels(&REELS.as_bytes()[..cut]).is_err());
    }
}
