//! The rules once more, slowly, over a generic reader.

use serde_json::Value;

const DAY: u64 = 86_400;

/// What an answer about reels comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Asked,
    One,
    Tray,
}

/// What may be said on an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is an item of the account in time.
    Live,
    /// The answer is complete and holds none.
    Empty,
    /// Neither.
    Nothing,
}

/// The body, if it is JSON to its end and says ok.
pub(super) fn says_ok(bytes: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    (value["status"] == "ok").then_some(value)
}

/// Whether the generic reader stops at a number, which JSON does not bound and a strict reader skips
/// where it is of no use.
pub(super) fn bounds_a_number(bytes: &[u8]) -> bool {
    let read = serde_json::from_slice::<Value>(bytes);
    read.is_err_and(|error| error.to_string().starts_with("number out of range"))
}

/// A text or whole number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// Seconds that are there and not 0.
fn seconds(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::String(text) => text.parse::<f64>().ok()?,
        value => value.as_f64()?,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    Some(seconds as u64).filter(|seconds| *seconds > 0)
}

/// The first of the fields that is there.
fn either<'a>(value: &'a Value, names: [&str; 2]) -> &'a Value {
    let there = names.into_iter().map(|name| &value[name]).find(|value| !value.is_null());
    there.unwrap_or(&Value::Null)
}

fn owner(value: &Value) -> Option<String> {
    ["user", "owner"].iter().find_map(|who| text(either(&value[*who], ["pk", "id"])))
}

/// Whether the item is of the account, and ends after `now`.
fn is_live(item: &Value, reel_owner: &str, id: &str, now: u64) -> bool {
    let full = text(&item["id"]).unwrap_or_default();
    let suffix = full.split_once('_').map(|(_, owner)| owner.to_owned());
    let of = owner(item).or(suffix).unwrap_or_else(|| reel_owner.to_owned());
    let taken = seconds(either(item, ["taken_at", "taken_at_timestamp"]));
    let ends = seconds(either(item, ["expiring_at", "expiring_at_timestamp"]));
    let ends = ends.or_else(|| taken.map(|taken| taken.saturating_add(DAY)));
    let named = !full.is_empty() || text(&item["pk"]).is_some_and(|pk| !pk.is_empty());
    of == id && named && ends.is_some_and(|ends| ends > now)
}

/// The reels in the answer with the ids they stand under; none if there is no container.
fn reels(value: &Value, container: Container) -> Option<Vec<(Option<String>, Value)>> {
    let keyed = |list: &Vec<Value>| {
        let key = |reel: &Value| (text(&reel["id"]).or_else(|| owner(reel)), reel.clone());
        list.iter().map(key).collect::<Vec<_>>()
    };
    match container {
        Container::Asked => match &value["reels"] {
            Value::Object(reels) => {
                Some(reels.iter().map(|(id, reel)| (Some(id.clone()), reel.clone())).collect())
            }
            _ => {
                let list = [&value["reels_media"], &value["data"]["reels_media"]];
                list.into_iter().find_map(Value::as_array).map(keyed)
            }
        },
        Container::One => {
            let reel = value.get("reel")?;
            let reels = (!reel.is_null()).then(|| (None, reel.clone()));
            Some(reels.into_iter().collect())
        }
        Container::Tray => value["tray"].as_array().map(keyed),
    }
}

/// What may be said about the account.
pub(super) fn end(value: &Value, container: Container, id: &str, now: u64) -> End {
    let Some(reels) = reels(value, container) else { return End::Nothing };
    if value["errors"].as_array().is_some_and(|errors| !errors.is_empty()) {
        return End::Nothing;
    }
    let of_id = |(key, _): &&(Option<String>, Value)| {
        container == Container::One || key.as_deref() == Some(id)
    };
    let mine: Vec<_> = reels.iter().filter(of_id).map(|(_, reel)| reel).collect();
    if container == Container::Tray && mine.is_empty() {
        return End::Nothing;
    }
    let mut end = End::Empty;
    for reel in mine {
        let other = text(&reel["id"]).is_some_and(|own| own != id);
        let kind = format!("{}{}", reel["reel_type"], reel["__typename"]).to_lowercase();
        if other || !reel.is_object() || kind.contains("highlight") || kind.contains("archive") {
            return End::Nothing;
        }
        let reel_owner = owner(reel).unwrap_or_else(|| id.to_owned());
        let none = Vec::new();
        let items = reel["items"].as_array().unwrap_or(&none);
        if items.iter().any(|item| is_live(item, &reel_owner, id, now)) {
            end = End::Live;
            continue;
        }
        // Only what has a time and has ended, is explained.
        let ended = |item: &Value| {
            seconds(either(item, ["taken_at", "taken_at_timestamp"])).is_some()
                || seconds(either(item, ["expiring_at", "expiring_at_timestamp"])).is_some()
        };
        let counted = seconds(&reel["media_count"]).unwrap_or(0);
        let latest = seconds(&reel["latest_reel_media"]).unwrap_or(0);
        let posted = |item: &Value| {
            let ends = seconds(either(item, ["expiring_at", "expiring_at_timestamp"]));
            let taken = seconds(either(item, ["taken_at", "taken_at_timestamp"]));
            taken.or_else(|| ends.map(|ends| ends.saturating_sub(DAY)))
        };
        let recent = latest.saturating_add(DAY) > now
            && items.iter().filter_map(posted).all(|at| at < latest);
        let absent = !reel["items"].is_array()
            && (latest > 0 || reel["broadcast"].is_null() && value["broadcast"].is_null());
        if !items.iter().all(ended) || counted > items.len() as u64 || recent || absent {
            return if end == End::Live { End::Live } else { End::Nothing };
        }
    }
    end
}
