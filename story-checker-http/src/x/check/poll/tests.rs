use bytes::Bytes;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;
use crate::client::Exchange;
use crate::x::classify::Read;
use crate::x::post::Page;

const DAY: Duration = Duration::from_secs(86_400);
/// The time of [`Exchange::sample`].
const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

const POSTS: &str = r#"{"data":[{"id":"2124000000000000002","author_id":"7","created_at":"2026-11-21T08:00:00.000Z","attachments":{"media_keys":["7_55"]},"edit_history_tweet_ids":["2124000000000000002"]},{"id":"2124000000000000001","author_id":"7","created_at":"2026-11-21T07:00:00.000Z"}],"includes":{"media":[{"media_key":"7_55","type":"video","duration_ms":8000,"width":720,"height":1280,"preview_image_url":"p","variants":[{"bit_rate":2176000,"content_type":"video/mp4","url":"v"}]}]},"meta":{"result_count":2,"newest_id":"2124000000000000002"}}"#;
const NO_MEDIA: &str = r#"{"data":[{"id":"2124000000000000001","author_id":"7","created_at":"2026-11-21T07:00:00.000Z"}],"meta":{"result_count":1,"newest_id":"2124000000000000001"}}"#;
const EMPTY: &str = r#"{"meta":{"result_count":0}}"#;
const PROTECTED: &str = r#"{"errors":[{"resource_id":"7","parameter":"id","resource_type":"user","section":"data","title":"Authorization Error","value":"7","detail":"Sorry, you are not authorized to see the user with id: [7].","type":"https://api.x.com/2/problems/not-authorized-for-resource"}]}"#;

fn poll(page: Page, start: Start) -> Poll {
    let newest = page.newest();
    let Page { posts, next, problems, .. } = page;
    Poll { start, now: NOW, server_time: Some(NOW), newest, posts, problems, next }
}

fn read(body: impl Into<Bytes>) -> Result<Read<Page>, Fault> {
    let mut exchange = Exchange::sample(200, &[("content-type", "application/json")], "");
    exchange.body = body.into();
    Page::read(&exchange, Some("7"))
}

fn outcome(body: &str, start: Start) -> Result<Outcome, Fault> {
    match read(body.to_owned()).unwrap() {
        Read::Answer(page) => poll(page, start).outcome(),
        Read::Standing(standing) => panic!("{standing:?}"),
    }
}

fn ids(outcome: &Outcome) -> Vec<&str> {
    outcome.items.iter().map(|item| item.id.as_str()).collect()
}

/// Posts with media, as `(id, created_at, more)`.
fn posts(posts: &[(u64, &str, &str)]) -> String {
    let post = |(id, at, more): &(u64, &str, &str)| {
        format!(
            r#"{{"id":"{id}","author_id":"7","created_at":"{at}","attachments":{{"media_keys":["3_{id}"]}}{more}}}"#
        )
    };
    let list: Vec<_> = posts.iter().map(post).collect();
    format!(r#"{{"data":[{}],"meta":{{"result_count":{}}}}}"#, list.join(","), list.len())
}

#[test]
fn only_what_is_younger_than_the_window_counts() {
    let body = posts(&[
        (5, "2026-11-21T08:59:59.000Z", ""),
        (4, "2026-11-20T09:00:00.001Z", ""),
        (3, "2026-11-20T09:00:00.000Z", ""),
        (5, "2026-11-21T08:59:59.000Z", ""),
    ]);
    let day = outcome(&body, Start::Window(DAY)).unwrap();
    assert_eq!((day.verdict.clone(), ids(&day)), (Verdict::Active, vec!["4", "5"]));
    assert_eq!(day.facts[0], "2 of 2 posts since 2026-11-20T09:00:00.000Z have media");
    let second = outcome(&body, Start::Window(Duration::from_millis(900))).unwrap();
    assert_eq!(second.verdict, Verdict::NoStory);
}

#[test]
fn a_post_that_is_there_twice_counts_with_its_media() {
    let bare = r#"{"id":"5","author_id":"7","created_at":"2026-11-21T08:00:00.000Z"}"#;
    let media = bare.replace('}', r#","attachments":{"media_keys":["3_5"]}}"#);
    for (first, second) in [(bare, &*media), (&media, bare)] {
        let body = format!(r#"{{"data":[{first},{second}],"meta":{{"result_count":2}}}}"#);
        let outcome = outcome(&body, Start::Window(DAY)).unwrap();
        assert_eq!((outcome.verdict.clone(), ids(&outcome)), (Verdict::Active, vec!["5"]));
    }
}

#[test]
fn after_a_post_only_newer_ones_count_and_an_edited_one_is_not_new() {
    let at = "2026-11-21T08:00:00.000Z";
    let body = posts(&[
        (9, at, r#","edit_history_tweet_ids":["3","9"]"#),
        (8, at, r#","edit_history_post_ids":["6","8"]"#),
        (5, at, ""),
    ]);
    let outcome = |last| outcome(&body, Start::Post(last)).unwrap();
    assert_eq!(ids(&outcome(5)), ["8"]);
    assert_eq!(ids(&outcome(2)), ["5", "8", "9"]);
    assert_eq!(outcome(8).verdict, Verdict::NoStory);
}

#[test]
fn an_absence_is_believed_only_in_a_whole_answer() {
    let with = |body: &str, more: &str| {
        let body = format!("{}{more}}}", body.strip_suffix('}').unwrap());
        outcome(&body, Start::Window(DAY))
    };
    let hydration = |more: &str| {
        format!(
            r#","errors":[{{"type":"https://api.x.com/2/problems/field-hydration-failure"{more}}}]"#
        )
    };
    let attachments = hydration(r#","field":"attachments.media_keys","resource_type":"tweet""#);
    let fault = with(NO_MEDIA, &attachments).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::Transient, Scope::Endpoint));
    assert!(with(NO_MEDIA, &hydration("")).is_err());
    let media = with(NO_MEDIA, &hydration(r#","resource_type":"media""#)).unwrap();
    assert_eq!(media.verdict, Verdict::NoStory);
    let told = "the answer also tells a problem (field-hydration-failure, about a media)";
    assert!(media.facts.iter().any(|fact| fact == told), "{:?}", media.facts);
    // A presence is one whatever else is missing.
    assert_eq!(with(POSTS, &attachments).unwrap().verdict, Verdict::Active);

    let more = NO_MEDIA.replace(r#""result_count":1"#, r#""result_count":1,"next_token":"b26k""#);
    let fault = outcome(&more, Start::Window(DAY)).unwrap_err();
    assert_eq!((fault.class, fault.scope), (Class::Permanent, Scope::Target));
    assert!(fault.message.contains("raise max_pages"));
    let more = POSTS.replace(r#""result_count":2"#, r#""result_count":2,"next_token":"b26k""#);
    let facts = outcome(&more, Start::Window(DAY)).unwrap().facts.join("; ");
    assert!(facts.contains("the oldest are missing"), "{facts}");
}

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
        }
    }
    bytes
}

/// The rules again, slowly, over a generic reader.
fn may_be(value: &Value, verdict: &Verdict) -> bool {
    let whole = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let counted = value["meta"]["result_count"]
        .as_f64()
        .or_else(|| value["meta"]["result_count"].as_str().and_then(|text| text.parse().ok()));
    let empty = Vec::new();
    let posts = value["data"].as_array().unwrap_or(&empty);
    let own = |post: &Value| whole(&post["author_id"]) == Some(7) && whole(&post["id"]).is_some();
    let has_media = |post: &Value| {
        post["attachments"]["media_keys"].as_array().is_some_and(|keys| !keys.is_empty())
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let complete =
        counted.is_some_and(|count| count as u64 == posts.len() as u64) && posts.iter().all(own);
    let problems = value
        .get("errors")
        .is_some_and(|errors| !errors.is_null() && errors != &Value::Array(Vec::new()));
    match verdict {
        Verdict::Active => complete && posts.iter().any(has_media),
        // Whoever is too old or has no media may be there.
        Verdict::NoStory => {
            let media =
                value["includes"]["media"].as_array().is_some_and(|media| !media.is_empty());
            complete
                && (value["data"].is_array() || !problems)
                && (!media || posts.iter().any(has_media))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Read::Answer(page)) = read(bytes) {
            let _ = poll(page, Start::Window(DAY)).outcome();
        }
    }

    #[test]
    fn damaged_answers_are_believed_only_if_they_are_still_answers(
        damages in prop::collection::vec(damage(), 1..4),
        body in prop::sample::select(&[POSTS, NO_MEDIA, EMPTY, PROTECTED][..]),
    ) {
        let bytes = damaged(body, &damages);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        let whole = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        match read(bytes) {
            Ok(Read::Answer(page)) => {
                // A number that is out of range spoils a generic reader even where nobody looks.
                prop_assert!(whole, "{shown}");
                let outcome = poll(page, Start::Window(DAY)).outcome();
                if let (Ok(outcome), Some(value)) = (outcome, value) {
                    prop_assert!(may_be(&value, &outcome.verdict), "{shown}");
                }
            }
            Ok(Read::Standing(_)) => {
                let told = value.is_some_and(|value| {
                    value.get("data").is_none_or(Value::is_null) && value.get("errors").is_some()
                });
                prop_assert!(told, "{shown}");
            }
            Err(_) => {}
        }
    }

    #[test]
    fn every_true_prefix_is_no_answer(cut in 0..POSTS.len()) {
        prop_assert!(read(POSTS.as_bytes()[..cut].to_vec()).is_err());
    }
}
