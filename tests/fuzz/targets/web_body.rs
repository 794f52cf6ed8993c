//! Answers of Instagram's web API, through the parsers and through whole checks.
#![no_main]

use std::sync::OnceLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;
use story_checker_core::{Item, Verdict};
use story_checker_fuzz::{Court, ID, Input, NAME, NOW, Pairs, seconds, seeds, text, value};
use story_checker_http::instagram::{
    ProfileAnswer, Sighting, ViewerAnswer, parse_profile, parse_reels, parse_viewer,
};

const EMPTY: &[u8] = br#"{"reels":{},"reels_media":[],"status":"ok"}"#;
const ME: &[u8] = br#"{"data":{"user":{"id":"4200000009","username":"me"}},"status":"ok"}"#;

#[derive(Deserialize)]
struct Reels {
    #[serde(default)]
    reels: Option<Pairs>,
    #[serde(default)]
    reels_media: Option<Vec<Value>>,
    #[serde(default)]
    status: Value,
}

impl Reels {
    fn of_account(&self) -> Vec<&Value> {
        match (&self.reels, &self.reels_media) {
            (Some(reels), _) => reels.all(ID).collect(),
            (None, Some(list)) => {
                list.iter().filter(|reel| text(&reel["id"]).as_deref() == Some(ID)).collect()
            }
            (None, None) => panic!("there is neither reels nor reels_media"),
        }
    }
}

/// The rules again, slowly: when a story ends.
fn ends(story: &Value) -> Option<u64> {
    let taken = seconds(&story["taken_at"]).map(|taken| taken.saturating_add(86_400));
    seconds(&story["expiring_at"]).or(taken)
}

fn deny_reels(body: &[u8], verdict: &Verdict, items: &[Item]) {
    let Some(answer) = value::<Reels>(body) else { return };
    assert_eq!(answer.status, "ok");
    let reels = answer.of_account();
    assert!(reels.iter().all(|reel| reel.is_object()), "{verdict:?} from a reel that is none");
    let mut stories = reels.iter().flat_map(|reel| reel["items"].as_array().into_iter().flatten());
    if *verdict == Verdict::NoStory {
        let ended = |story: &Value| ends(story).is_some_and(|ends| ends <= NOW.as_secs());
        assert!(reels.iter().all(|reel| reel["items"].is_array()), "no list, and no story?");
        assert!(stories.all(ended), "no story, though one has not ended");
        return;
    }
    for item in items {
        let is_it = |story: &Value| {
            let pk = text(&story["pk"]).or_else(|| {
                let id = text(&story["id"])?;
                Some(id.split('_').next().unwrap_or_default().to_owned())
            });
            story.is_object()
                && pk.as_deref() == Some(&item.id)
                && ends(story).is_some_and(|ends| ends > NOW.as_secs())
        };
        assert!(stories.clone().any(is_it), "an item that is not in the answer: {item:?}");
    }
}

fn parse(body: &[u8]) {
    if let Ok(answer) = parse_reels(body) {
        match answer.sighting(ID, NOW) {
            Sighting::Empty { .. } => deny_reels(body, &Verdict::NoStory, &[]),
            Sighting::Live { items, .. } => deny_reels(body, &Verdict::Active, &items),
            _ => {}
        }
    }
    if let Ok(answer) = parse_profile(body)
        && let Some(value) = value::<Value>(body)
    {
        let user = &value["data"]["user"];
        assert_eq!(value["status"], "ok");
        match answer {
            ProfileAnswer::User { id, username, private, .. } => {
                assert_eq!(text(&user["id"]).as_deref(), Some(&*id));
                assert_eq!(text(&user["username"]).as_deref(), Some(&*username));
                let flag = &user["is_private"];
                assert_eq!(flag.as_bool().or(flag.as_u64().map(|flag| flag != 0)), Some(private));
            }
            _ => assert!(value["data"].is_object() && user.is_null(), "nobody, though there is"),
        }
    }
    if let Ok(answer) = parse_viewer(body)
        && let Some(value) = value::<Value>(body)
    {
        let nobody = value["data"]["user"].is_null();
        assert!(value["data"].is_object() && nobody == (answer == ViewerAnswer::LoggedOut));
    }
}

fuzz_target!(
    init: seeds::plant(seeds::web),
    |input: &[u8]| {
        static COURT: OnceLock<Court> = OnceLock::new();
        let Some(Input { request, status, body }) = Input::read(input, 3) else { return };
        parse(body);
        let profile = format!(
            r#"{{"data":{{"user":{{"id":"{ID}","username":"{NAME}","is_private":false}}}},"status":"ok"}}"#
        );
        let mut canned = vec![
            ("reels_media", 200, Bytes::from_static(EMPTY)),
            ("web_profile_info", 200, Bytes::from(profile)),
            ("graphql", 200, Bytes::from_static(ME)),
        ];
        (canned[request].1, canned[request].2) = (status, Bytes::copy_from_slice(body));
        let Ok(report) = COURT.get_or_init(Court::web).check(canned) else { return };
        match (&report.verdict, request) {
            (Verdict::Active | Verdict::NoStory, _) if status != 200 => {
                panic!("{:?} with status {status}", report.verdict);
            }
            (verdict @ (Verdict::Active | Verdict::NoStory), 0) => {
                deny_reels(body, verdict, &report.items);
            }
            (Verdict::NoStory, 1) => {
                let named = value::<Value>(body).is_none_or(|value| {
                    let name = text(&value["data"]["user"]["username"]).unwrap_or_default();
                    name.eq_ignore_ascii_case(NAME)
                });
                assert!(named, "no story of somebody else");
            }
            (Verdict::NoStory, _) => {
                let known = value::<Value>(body)
                    .is_none_or(|value| text(&value["data"]["user"]["id"]).is_some());
                assert!(known, "no story, seen by nobody");
            }
            (Verdict::NotFound | Verdict::Private, 1) => {}
            (verdict, _) => panic!("{verdict:?} by an answer that cannot tell it"),
        }
    }
);
