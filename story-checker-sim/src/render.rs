//! The JSON of the endpoints. Written by hand: names are `[a-z0-9._]`, so nothing needs escaping.

use std::fmt::{self, Write};

use crate::accounts::{Account, AccountKind, TruthItem};
use crate::hash;

pub(crate) const EMPTY_REELS: &str = r#"{"reels":{},"reels_media":[],"status":"ok"}"#;
pub(crate) const USER_NOT_FOUND: &str =
    r#"{"message":"User not found","status":"fail","error_type":"user_not_found"}"#;
pub(crate) const INVALID_REEL_LIST: &str = r#"{"message":"Invalid reel id list","status":"fail"}"#;

/// Half of what one more size of an image adds to a reel.
const HALF_CANDIDATE: usize = 55;

/// The answer to "who am I".
pub(crate) fn viewer(user: u64, username: &str) -> String {
    format!(r#"{{"data":{{"user":{{"id":"{user}","username":"{username}"}}}},"status":"ok"}}"#)
}

/// The answer about one profile.
pub(crate) fn profile(account: &Account) -> String {
    let Account { name, id, key, kind, .. } = account;
    let private = matches!(kind, AccountKind::Private | AccountKind::PrivateFollowed);
    let followed = *kind == AccountKind::PrivateFollowed;
    let latest = account.visible().last().map_or(0, |story| story.taken_at.unix_secs());
    let followers = hash::pair(*key, 20) % 100_000;
    let follows = hash::pair(*key, 21) % 2_000;
    let posts = hash::pair(*key, 22) % 5_000;
    let full_name = name.replace(['.', '_'], " ");
    format!(
        concat!(
            r#"{{"data":{{"user":{{"biography":"","external_url":null,"#,
            r#""edge_followed_by":{{"count":{followers}}},"fbid":"1784{key:016}","#,
            r#""followed_by_viewer":{followed},"edge_follow":{{"count":{follows}}},"#,
            r#""follows_viewer":false,"full_name":"{full_name}","has_blocked_viewer":false,"#,
            r#""highlight_reel_count":0,"id":"{id}","is_business_account":false,"#,
            r#""is_private":{private},"is_verified":false,"latest_reel_media":{latest},"#,
            r#""profile_pic_url":"https://cdn.sim.test/v/{id}_s150x150.jpg","#,
            r#""requested_by_viewer":false,"username":"{name}","#,
            r#""edge_owner_to_timeline_media":{{"count":{posts},"edges":[]}}}}}},"status":"ok"}}"#,
        ),
        followers = followers,
        key = key % 10_000_000_000_000_000,
        followed = followed,
        follows = follows,
        full_name = full_name,
        id = id,
        private = private,
        latest = latest,
        name = name,
        posts = posts,
    )
}

/// The answer about the reels of accounts; those without a visible story are left out.
pub(crate) fn reels<'a>(accounts: impl Iterator<Item = &'a Account>, pad: usize) -> String {
    let mut map = String::with_capacity(pad + 2048);
    let mut list = String::with_capacity(pad / 2 + 1024);
    map.push_str(r#"{"reels":{"#);
    for account in accounts.filter(|account| !account.visible().is_empty()) {
        if !list.is_empty() {
            map.push(',');
            list.push(',');
        }
        let start = list.len();
        // Writing to a String does not fail.
        let _ = write!(map, r#""{}":"#, account.id);
        let _ = reel(&mut list, account, pad);
        map.push_str(&list[start..]);
    }
    map.push_str(r#"},"reels_media":["#);
    map.push_str(&list);
    map.push_str(r#"],"status":"ok"}"#);
    map
}

fn reel(out: &mut String, account: &Account, pad: usize) -> fmt::Result {
    let Account { name, id, key, kind, .. } = account;
    let items = account.visible();
    let start = out.len();
    let private = *kind == AccountKind::PrivateFollowed;
    let latest = items.last().map_or(0, |item| item.taken_at.unix_secs());
    let expiring = items.iter().map(|item| item.expires_at.unix_secs()).max().unwrap_or(0);
    // The real platform writes ids now as numbers, now as strings, and so must we.
    let quote = quote(hash::pair(*key, 30));
    let seen = if hash::pair(*key, 31).is_multiple_of(2) { "0" } else { "null" };
    write!(
        out,
        concat!(
            r#"{{"id":{quote}{id}{quote},"reel_type":"user_reel","latest_reel_media":{latest},"#,
            r#""expiring_at":{expiring},"seen":{seen},"media_count":{count},"can_reply":true,"#,
            r#""user":{{"pk":{quote}{id}{quote},"username":"{name}","is_private":{private},"#,
            r#""is_verified":false}},"items":["#,
        ),
        quote = quote,
        id = id,
        latest = latest,
        expiring = expiring,
        seen = seen,
        count = items.len(),
        name = name,
        private = private,
    )?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        // The answer holds every reel twice, and every item has its share in that.
        let fill_to = start + pad / 2 * (index + 1) / items.len();
        write_item(out, item, fill_to)?;
    }
    out.push_str("]}");
    Ok(())
}

fn write_item(out: &mut String, item: &TruthItem, fill_to: usize) -> fmt::Result {
    let TruthItem { pk, owner_id, video, .. } = *item;
    let (taken, expiring) = (item.taken_at.unix_secs(), item.expires_at.unix_secs());
    let draw = hash::mix(pk);
    let media_type = if video { 2 } else { 1 };
    write!(
        out,
        concat!(
            r#"{{"pk":{quote}{pk}{quote},"id":"{pk}_{owner_id}","taken_at":{taken},"#,
            r#""expiring_at":{expiring},"media_type":{media_type},"original_width":1080,"#,
            r#""original_height":1920,"user":{{"pk":{quote}{owner_id}{quote}}},"#,
        ),
        quote = quote(draw),
        pk = pk,
        owner_id = owner_id,
        taken = taken,
        expiring = expiring,
        media_type = media_type,
    )?;
    if video {
        let duration = 3 + draw % 57;
        let tenth = draw / 64 % 10;
        write!(
            out,
            r#""video_duration":{duration}.{tenth},"has_audio":true,"video_versions":[{{"type":101,"width":720,"height":1280,"url":"https://cdn.sim.test/v/t50/{pk}.mp4?oe={expiring:X}"}}],"#
        )?;
    }
    out.push_str(r#""image_versions2":{"candidates":["#);
    let mut index = 0;
    while index < 2 || out.len() + HALF_CANDIDATE < fill_to {
        let width = 1080usize.saturating_sub(index * 60).max(60);
        let height = width * 16 / 9;
        let comma = if index == 0 { "" } else { "," };
        write!(
            out,
            r#"{comma}{{"width":{width},"height":{height},"url":"https://cdn.sim.test/v/t51/{pk}_{width}_{index}.jpg?oe={expiring:X}"}}"#
        )?;
        index += 1;
    }
    out.push_str("]}}");
    Ok(())
}

fn quote(draw: u64) -> &'static str {
    if draw.is_multiple_of(2) { "\"" } else { "" }
}
