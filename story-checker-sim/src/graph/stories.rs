//! Stories as the Graph API shows them.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::accounts::{Account, TruthItem};
use crate::calendar;
use crate::config::GraphSettings;
use crate::hash;
use crate::time::Timestamp;

/// Every id of an item is this and a hash of its number.
const ITEM_BASE: u64 = 17_900_000_000_000_000;
/// How many ids items have.
const ITEM_COUNT: u64 = 90_000_000_000_000;
/// Every field of an item that can be asked for.
const FIELDS: [&str; 11] = [
    "caption",
    "id",
    "like_count",
    "media_product_type",
    "media_type",
    "media_url",
    "owner",
    "permalink",
    "thumbnail_url",
    "timestamp",
    "username",
];

/// The id that the Graph API has for the story with this number: another one than the web API's.
pub fn graph_item_id(pk: u64) -> u64 {
    ITEM_BASE + hash::pair(pk, 61) % ITEM_COUNT
}

/// The stories that this API shows, newest first.
pub(super) fn shown(settings: &GraphSettings, account: &Account) -> Vec<TruthItem> {
    let reshared = |item: &TruthItem| drawn(item, 62, settings.reshared);
    account.stories().iter().rev().filter(|item| !reshared(item)).copied().collect()
}

fn drawn(item: &TruthItem, salt: u64, percent: u8) -> bool {
    hash::pair(item.pk, salt) % 100 < u64::from(percent)
}

/// The first field that no item has.
pub(super) fn unknown_field<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    if fields.discovery.is_some() {
        return Some("business_discovery");
    }
    fields.names.iter().copied().find(|name| !FIELDS.contains(name))
}

/// One item with the fields that were asked for, always with its id.
pub(super) fn item(
    settings: &GraphSettings,
    account: &Account,
    item: &TruthItem,
    owner: u64,
    fields: &Fields<'_>,
) -> Value {
    let id = graph_item_id(item.pk);
    let signed = |name: &str| {
        let signature = hash::bytes(item.pk, name.as_bytes());
        let expires = item.expires_at.unix_secs();
        format!("https://cdn.sim.test/v/{id}_{name}?oh=00_{signature:016x}&oe={expires:X}")
    };
    // The music of another: the item is there, its media is not.
    let withheld = drawn(item, 63, settings.withheld);
    let mut object = Map::new();
    for &name in &fields.names {
        let value: Value = match name {
            "media_type" => if item.video { "VIDEO" } else { "IMAGE" }.into(),
            "media_product_type" => "STORY".into(),
            "media_url" if !withheld => signed(if item.video { "n.mp4" } else { "n.jpg" }).into(),
            "thumbnail_url" if item.video => signed("t.jpg").into(),
            "permalink" => {
                format!("https://www.instagram.com/stories/{}/{}", account.name, item.pk).into()
            }
            "timestamp" => timestamp(item.taken_at).into(),
            "username" => account.name.as_str().into(),
            "owner" => json!({ "id": owner.to_string() }),
            "like_count" => 0.into(),
            _ => continue,
        };
        object.insert(name.into(), value);
    }
    object.insert("id".into(), id.to_string().into());
    Value::Object(object)
}

/// A moment as the API writes it: without a colon in the zone.
fn timestamp(time: Timestamp) -> String {
    calendar::iso(time) + "+0000"
}

/// The place behind or before an item, for who reads on.
pub(super) fn cursor(item: &TruthItem) -> String {
    format!("QVFIUsim{:016x}", item.pk ^ hash::mix(64))
}

/// The number of the item behind a cursor.
pub(super) fn behind(cursor: &str) -> Option<u64> {
    let pk = u64::from_str_radix(cursor.strip_prefix("QVFIUsim")?, 16).ok()? ^ hash::mix(64);
    Some(pk)
}
