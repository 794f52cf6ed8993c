//! Damaged bodies never panic and never become a verdict.

mod oracle;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;
use story_checker_core::Timestamp;
use story_checker_http::instagram::{
    ProfileAnswer, Sighting, ViewerAnswer, parse_profile, parse_reels, parse_tray,
    parse_user_story, parse_viewer,
};

use self::oracle::{Container, End};

const ID: &str = "42";
const NOW: Timestamp = Timestamp::from_secs(1_795_300_000);

const PROFILE: &str = r#"{"data":{"user":{"id":"42","username":"a","is_private":false,"followed_by_viewer":false,"gating":null,"latest_reel_media":1795251600}},"status":"ok"}"#;
const VIEWER: &str = r#"{"data":{"user":{"id":"1","username":"me"}},"status":"ok"}"#;
const MAP: &str = r#"{"reels":{"42":{"id":"42","latest_reel_media":1795299000,"media_count":2,"user":{"pk":42},"items":[{"pk":"1","id":"1_42","taken_at":1795200000,"expiring_at":1795286400,"media_type":1},{"pk":2,"id":"2_42","taken_at":1795299000,"expiring_at":1795385400,"media_type":2,"image_versions2":{"candidates":[{"width":1080,"height":1920,"url":"i\u0026"}]},"video_versions":[{"width":720,"height":1280,"url":"v"}],"video_duration":9.5}]}},"reels_media":[],"status":"ok"}"#;
const ENDED: &str = r#"{"reels":{"42":{"id":42,"user":{"pk":"42"},"items":[{"pk":"1","id":"1_42","taken_at":1795200000,"expiring_at":1795286400}]}},"reels_media":[],"status":"ok"}"#;
const EMPTY: &str = r#"{"reels":{},"reels_media":[],"status":"ok"}"#;
const LIST: &str = r#"{"reels_media":[{"id":42,"items":[{"pk":"1","taken_at":1795299000,"user":{"pk":"42"}}]},{"id":"43","items":[]}],"status":"ok"}"#;
const GRAPHQL: &str = r#"{"data":{"reels_media":[{"__typename":"GraphReel","id":"42","owner":{"id":"42"},"items":[{"__typename":"GraphStoryVideo","id":"7","is_video":true,"taken_at_timestamp":1795299100,"expiring_at_timestamp":1795385500,"owner":{"id":"42"},"display_resources":[{"src":"i","config_width":640,"config_height":1136}],"video_resources":[{"src":"v"}]}]}]},"errors":null,"status":"ok"}"#;
const ONE: &str = r#"{"reel":{"id":"42","media_count":1,"items":[{"pk":1,"taken_at":"1795299000","audience":"besties"}]},"broadcast":null,"status":"ok"}"#;
const NONE: &str =
    r#"{"reel":null,"broadcast":{"id":"9","broadcast_owner":{"pk":42}},"status":"ok"}"#;
const TRAY: &str = r#"{"tray":[{"id":42,"items":null,"media_count":1,"latest_reel_media":1795299000},{"id":"43","items":[]}],"status":"ok"}"#;

/// What is done to the text of a body.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
        (at(), at()).prop_map(|(one, other)| Damage::Repeat(one, other)),
    ]
}

fn damaged(body: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for damage in damages {
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
            Damage::Repeat(one, other) => {
                let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
                let piece = bytes[one.min(other)..one.max(other)].to_vec();
                bytes.splice(one..one, piece);
            }
        }
    }
    bytes
}

/// What is done to one value in a body: taken away, or made another one.
#[derive(Clone, Debug)]
struct Change {
    at: prop::sample::Index,
    to: Option<&'static str>,
}

fn change() -> impl Strategy<Value = Change> {
    const VALUES: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "1.5",
        "1e300",
        "42",
        "43",
        "1795299000",
        "\"\"",
        "\"42\"",
        "\"43\"",
        "\"x\"",
        "\"fail\"",
        "\"highlight_reel\"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "[{}]",
        r#"{"pk":"43"}"#,
        r#"{"id":"42"}"#,
        r#"[{"pk":"9","taken_at":1795299000}]"#,
    ];
    let to = prop::option::weighted(0.8, prop::sample::select(VALUES));
    (any::<prop::sample::Index>(), to).prop_map(|(at, to)| Change { at, to })
}

/// The paths to all values, outer ones first.
fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                all.push(format!("{path}/{index}"));
                paths(value, &all[all.len() - 1].clone(), all);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                all.push(format!("{path}/{name}"));
                paths(value, &all[all.len() - 1].clone(), all);
            }
        }
        _ => {}
    }
}

fn changed(body: &str, changes: &[Change]) -> Vec<u8> {
    let mut value: Value = serde_json::from_str(body).unwrap();
    for Change { at, to } in changes {
        let mut all = Vec::new();
        paths(&value, "", &mut all);
        if all.is_empty() {
            break;
        }
        let path = &all[at.index(all.len())];
        let (parent, name) = path.rsplit_once('/').unwrap();
        match (to, value.pointer_mut(parent).unwrap()) {
            (Some(to), parent) => {
                let to = serde_json::from_str(to).unwrap();
                match parent {
                    Value::Array(values) => values[name.parse::<usize>().unwrap()] = to,
                    parent => parent[name] = to,
                }
            }
            (None, Value::Array(values)) => {
                values.remove(name.parse().unwrap());
            }
            (None, parent) => {
                parent.as_object_mut().unwrap().remove(name);
            }
        }
    }
    serde_json::to_vec(&value).unwrap()
}

fn mutations(body: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(damage(), 1..4).prop_map(move |all| damaged(body, &all)),
        prop::collection::vec(change(), 1..4).prop_map(move |all| changed(body, &all)),
    ]
}

/// An answer about reels means what the slow rules say, or nothing.
fn judge_reels(bytes: &[u8], container: Container) -> TestCaseResult {
    let answer = match container {
        Container::Asked => parse_reels(bytes),
        Container::One => parse_user_story(bytes),
        Container::Tray => parse_tray(bytes),
    };
    let Ok(answer) = answer else { return Ok(()) };
    let body = String::from_utf8_lossy(bytes);
    let sighting = answer.sighting(ID, NOW);
    if oracle::bounds_a_number(bytes) {
        return Ok(());
    }
    let Some(value) = oracle::says_ok(bytes) else {
        return Err(TestCaseError::fail(format!("it does not say ok: {body}")));
    };
    let end = oracle::end(&value, container, ID, NOW.as_secs());
    match sighting {
        Sighting::Live { items, .. } => {
            prop_assert_eq!(end, End::Live, "{}", body);
            let live = |item: &story_checker_core::Item| item.expires_at.is_some_and(|at| at > NOW);
            prop_assert!(!items.is_empty() && items.iter().all(live), "{}", body);
        }
        Sighting::Empty { .. } => prop_assert_eq!(end, End::Empty, "{}", body),
        // Not believed, so never wrong.
        _ => {}
    }
    Ok(())
}

fn judge_profile(bytes: &[u8]) -> TestCaseResult {
    let Ok(answer) = parse_profile(bytes) else { return Ok(()) };
    let body = String::from_utf8_lossy(bytes);
    if oracle::bounds_a_number(bytes) {
        return Ok(());
    }
    let value = oracle::says_ok(bytes);
    prop_assert!(value.is_some(), "{}", body);
    let data = value.unwrap()["data"].clone();
    match answer {
        ProfileAnswer::Missing => {
            prop_assert!(data.get("user").is_some_and(Value::is_null), "{}", body);
        }
        ProfileAnswer::User { id, username, private, followed, gated, .. } => {
            let user = &data["user"];
            prop_assert!(oracle::text(&user["id"]).as_deref() == Some(&*id), "{}", body);
            prop_assert!(
                oracle::text(&user["username"]).as_deref() == Some(&*username),
                "{}",
                body
            );
            let yes = |field: &str| user[field] == true || user[field] == 1;
            prop_assert_eq!((private, followed), (yes("is_private"), yes("followed_by_viewer")));
            prop_assert_eq!(gated, user["gating"].is_object());
            prop_assert!(gated || !user["is_private"].is_null(), "{}", body);
        }
        _ => unreachable!(),
    }
    Ok(())
}

fn judge_viewer(bytes: &[u8]) -> TestCaseResult {
    let Ok(answer) = parse_viewer(bytes) else { return Ok(()) };
    let body = String::from_utf8_lossy(bytes);
    if oracle::bounds_a_number(bytes) {
        return Ok(());
    }
    let value = oracle::says_ok(bytes);
    prop_assert!(value.is_some(), "{}", body);
    let user = &value.unwrap()["data"]["user"];
    let id = oracle::text(&user["id"]);
    let somebody = id.is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    prop_assert_eq!(answer == ViewerAnswer::LoggedIn, somebody, "{}", body);
    Ok(())
}

/// What each body says as it is, so that the mutations begin with something that works.
#[test]
fn the_bodies_are_what_they_should_be() {
    let live = |sighting| matches!(sighting, Sighting::Live { .. });
    for body in [MAP, LIST, GRAPHQL] {
        assert!(live(parse_reels(body.as_bytes()).unwrap().sighting(ID, NOW)), "{body}");
    }
    assert!(live(parse_user_story(ONE.as_bytes()).unwrap().sighting(ID, NOW)));
    let empty = |sighting| matches!(sighting, Sighting::Empty { .. });
    for body in [EMPTY, ENDED] {
        assert!(empty(parse_reels(body.as_bytes()).unwrap().sighting(ID, NOW)), "{body}");
    }
    assert!(empty(parse_user_story(NONE.as_bytes()).unwrap().sighting(ID, NOW)));
    let stub = parse_tray(TRAY.as_bytes()).unwrap().sighting(ID, NOW);
    assert!(matches!(stub, Sighting::Stub { .. }));
    assert!(matches!(parse_profile(PROFILE.as_bytes()), Ok(ProfileAnswer::User { .. })));
    assert_eq!(parse_viewer(VIEWER.as_bytes()), Ok(ViewerAnswer::LoggedIn));
}

macro_rules! damaged {
    ($cases:literal: $($name:ident: $body:ident => $judge:expr),+ $(,)?) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases($cases))]

            $(
                #[test]
                fn $name(bytes in mutations($body)) {
                    $judge(&bytes)?;
                }
            )+
        }
    };
}

damaged! { 10_000:
    damaged_profiles: PROFILE => judge_profile,
    damaged_viewers: VIEWER => judge_viewer,
    damaged_maps: MAP => |bytes: &[u8]| judge_reels(bytes, Container::Asked),
    damaged_lists: LIST => |bytes: &[u8]| judge_reels(bytes, Container::Asked),
    damaged_graphql: GRAPHQL => |bytes: &[u8]| judge_reels(bytes, Container::Asked),
    damaged_stories: ONE => |bytes: &[u8]| judge_reels(bytes, Container::One),
}

damaged! { 2_000:
    damaged_ended_reels: ENDED => |bytes: &[u8]| judge_reels(bytes, Container::Asked),
    damaged_empty_reels: EMPTY => |bytes: &[u8]| judge_reels(bytes, Container::Asked),
    damaged_empty_stories: NONE => |bytes: &[u8]| judge_reels(bytes, Container::One),
    damaged_trays: TRAY => |bytes: &[u8]| judge_reels(bytes, Container::Tray),
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_profile(&bytes);
        let _ = parse_viewer(&bytes);
        let answers = [parse_reels(&bytes), parse_user_story(&bytes), parse_tray(&bytes)];
        for answer in answers.into_iter().flatten() {
            let _ = answer.sighting(ID, NOW);
        }
    }

    #[test]
    fn every_true_prefix_is_truncated_and_nothing_else(cut in 0..MAP.len()) {
        prop_assert!(parse_reels(&MAP.as_bytes()[..cut]).is_err());
    }
}
