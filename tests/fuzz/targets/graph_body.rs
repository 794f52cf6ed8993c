//! Answers of the Graph API, through the parsers and through whole checks.
#![no_main]

use std::sync::OnceLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use story_checker_core::{Item, Verdict};
use story_checker_fuzz::{Court, Input, NAME, NOW, seeds, text, value};
use story_checker_http::instagram::{parse_discovery, parse_stories};

fn is_ours(story: &Value) -> bool {
    text(&story["username"]).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}

/// Whether a story is one of this morning, in the plainest form: that is live whatever the rest says.
fn is_plainly_live(story: &Value) -> bool {
    let at = story["timestamp"].as_str().unwrap_or_default();
    let clock = at.strip_prefix("2026-11-21T0").and_then(|rest| rest.strip_suffix("+0000"));
    is_ours(story)
        && text(&story["id"]).is_some_and(|id| !id.is_empty())
        && story["media_product_type"] == "STORY"
        && clock.is_some_and(|clock| {
            clock.len() == 7
                && format!("2026-11-21T0{clock}Z").parse::<story_checker_core::Timestamp>().is_ok()
        })
}

fn deny(body: &[u8], verdict: &Verdict, items: &[Item]) {
    let Some(value) = value::<Value>(body) else { return };
    assert!(value["error"].is_null(), "{verdict:?} from an error");
    let stories = value["data"].as_array().expect("a verdict without a list");
    assert!(stories.iter().all(Value::is_object), "{verdict:?} from stories that are none");
    if *verdict == Verdict::NoStory {
        assert!(!stories.iter().any(is_plainly_live), "no story, though there is one");
        assert!(stories.iter().all(is_ours), "no story, but of somebody else");
    }
    for item in items {
        let is_it = |story: &Value| {
            text(&story["id"]).as_deref() == Some(&item.id)
                && is_ours(story)
                && story["media_product_type"] == "STORY"
                && story["timestamp"].is_string()
        };
        assert!(stories.iter().any(is_it), "an item that is not in the answer: {item:?}");
        assert!(item.expires_at.is_some_and(|ends| ends > NOW));
    }
}

fuzz_target!(
    init: seeds::plant(seeds::graph),
    |input: &[u8]| {
        static COURT: OnceLock<Court> = OnceLock::new();
        let Some(Input { status, body, .. }) = Input::read(input, 1) else { return };
        if let Ok(page) = parse_stories(body) {
            let shown = page.shows(NAME, NOW);
            if shown.foreign == 0 {
                deny(body, &Verdict::Active, &shown.items);
            }
        }
        let _ = parse_discovery(body);
        let canned = vec![("", status, Bytes::copy_from_slice(body))];
        let Ok(report) = COURT.get_or_init(Court::graph).check(canned) else { return };
        assert_eq!(status, 200, "a verdict with another status");
        assert!(matches!(report.verdict, Verdict::Active | Verdict::NoStory));
        assert_eq!(report.evidence.weak, report.verdict == Verdict::NoStory);
        deny(body, &report.verdict, &report.items);
    }
);
