//! Answers of X, through whole checks.
#![no_main]

use std::sync::OnceLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use story_checker_core::{Item, Timestamp, Verdict};
use story_checker_fuzz::{Court, Input, NAME, NOW, X_ID, seeds, text, value};

const NOTHING: &[u8] = br#"{"meta":{"result_count":0}}"#;

fn has_media(post: &Value) -> bool {
    post["attachments"]["media_keys"].as_array().is_some_and(|keys| !keys.is_empty())
}

/// Whether a post is of this morning, in the plainest form.
fn is_plainly_new(post: &Value) -> bool {
    let at = post["created_at"].as_str().unwrap_or_default();
    at.starts_with("2026-11-21T0") && at.parse::<Timestamp>().is_ok()
}

fn deny_posts(body: &[u8], verdict: &Verdict, items: &[Item]) {
    let Some(value) = value::<Value>(body) else { return };
    let none = Vec::new();
    let posts = match &value["data"] {
        Value::Null => &none,
        data => data.as_array().expect("a verdict without a list"),
    };
    let whole =
        |post: &Value| post.is_object() && text(&post["author_id"]).as_deref() == Some(X_ID);
    assert!(posts.iter().all(whole), "{verdict:?} from posts of somebody else");
    let count = &value["meta"]["result_count"];
    let count = count.as_f64().or_else(|| count.as_str()?.parse().ok()).expect("no count");
    assert_eq!(count as u64, posts.len() as u64);
    if *verdict == Verdict::NoStory {
        let new = |post: &Value| has_media(post) && is_plainly_new(post);
        assert!(!posts.iter().any(new), "no story, though there is one");
        assert!(!value["meta"]["next_token"].as_str().is_some_and(|token| !token.is_empty()));
    }
    for item in items {
        let is_it = |post: &Value| {
            let number = text(&post["id"]).and_then(|id| id.parse::<u64>().ok());
            number.is_some_and(|number| number.to_string() == item.id) && has_media(post)
        };
        assert!(posts.iter().any(is_it), "an item that is not in the answer: {item:?}");
        assert!(NOW.since(item.taken_at).as_secs() < 86_400, "an item that is too old: {item:?}");
    }
}

fuzz_target!(
    init: seeds::plant(seeds::x),
    |input: &[u8]| {
        static COURT: OnceLock<Court> = OnceLock::new();
        let Some(Input { request, status, body }) = Input::read(input, 2) else { return };
        let user =
            format!(r#"{{"data":[{{"id":"{X_ID}","username":"{NAME}","protected":false}}]}}"#);
        let mut canned = vec![
            ("/tweets", 200, Bytes::from_static(NOTHING)),
            ("/users/by", 200, Bytes::from(user)),
        ];
        (canned[request].1, canned[request].2) = (status, Bytes::copy_from_slice(body));
        let Ok(report) = COURT.get_or_init(Court::x).check(canned) else { return };
        match (&report.verdict, request) {
            (Verdict::Active | Verdict::NoStory, _) if status != 200 => {
                panic!("{:?} with status {status}", report.verdict);
            }
            (verdict @ (Verdict::Active | Verdict::NoStory), 0) => {
                deny_posts(body, verdict, &report.items);
            }
            (Verdict::NoStory, _) => {
                let Some(value) = value::<Value>(body) else { return };
                let named = |user: &Value| {
                    text(&user["username"]).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
                };
                let mut users = value["data"].as_array().expect("no story of nobody").iter();
                assert!(users.any(named), "no story of somebody else");
            }
            (Verdict::NotFound | Verdict::Private | Verdict::Suspended, _) => {}
            (verdict, _) => panic!("{verdict:?} by an answer that cannot tell it"),
        }
    }
);
