//! Reels as the private endpoints write them.

use std::fmt::{self, Write};

use crate::accounts::{Account, AccountKind, TruthItem};
use crate::form::Form;
use crate::hash;
use crate::time::Timestamp;

/// Half of what one more size of an image adds to a reel.
const HALF_CANDIDATE: usize = 55;
/// How long ago the story that comes on top was gone, or posted, in seconds.
const EXTRA_AGE: u64 = 3600;

/// One reel to be written.
#[derive(Debug)]
pub(crate) struct Reel<'a> {
    account: &'a Account,
    form: Option<Form>,
    items: Vec<TruthItem>,
    /// How many stories the reel says that it has.
    count: usize,
}

impl<'a> Reel<'a> {
    /// The reel of an account in this form; `None` if there is nothing to show.
    pub(crate) fn new(account: &'a Account, form: Option<Form>, now: Timestamp) -> Option<Self> {
        let mut items = account.visible().to_vec();
        let count = items.len();
        let extra = |owner_id, taken: u64, expires: u64| TruthItem {
            pk: hash::pair(account.key, 32) >> 2,
            owner_id,
            taken_at: Timestamp::from_unix_secs(taken),
            expires_at: Timestamp::from_unix_secs(expires),
            video: false,
        };
        let second = now.unix_secs();
        match form {
            Some(Form::ReelsEmpty) => return None,
            Some(Form::LiveOnly | Form::ReelNull) => items.clear(),
            Some(Form::ExpiredItem) => {
                let gone = second.saturating_sub(EXTRA_AGE);
                items.insert(0, extra(account.id, gone.saturating_sub(86_400), gone));
            }
            Some(Form::ForeignReel) => {
                let other = account.id + 1;
                if items.is_empty() {
                    let taken = second.saturating_sub(EXTRA_AGE);
                    items.push(extra(other, taken, taken + 86_400));
                }
                items.iter_mut().for_each(|item| item.owner_id = other);
            }
            Some(Form::DuplicateItem) => items.extend(items.last().copied()),
            _ if items.is_empty() => return None,
            _ => {}
        }
        let empty = items.is_empty() && !matches!(form, Some(Form::LiveOnly | Form::ReelNull));
        (!empty).then(|| {
            let count = match form {
                Some(Form::LiveOnly) => 0,
                Some(Form::DuplicateItem) => count,
                _ => items.len(),
            };
            Self { account, form, items, count }
        })
    }

    pub(super) fn account(&self) -> &Account {
        self.account
    }

    pub(super) fn items(&self) -> &[TruthItem] {
        &self.items
    }

    /// Whether it is null instead of an object.
    pub(crate) fn is_null(&self) -> bool {
        self.form == Some(Form::ReelNull)
    }

    pub(super) fn is_live(&self) -> bool {
        self.form == Some(Form::LiveOnly)
    }

    pub(super) fn form(&self) -> Option<Form> {
        self.form
    }

    /// Whose reel it says that it is.
    pub(super) fn owner(&self) -> u64 {
        self.items.first().map_or(self.account.id, |item| item.owner_id)
    }

    pub(super) fn latest(&self) -> u64 {
        self.items.iter().map(|item| item.taken_at.unix_secs()).max().unwrap_or(0)
    }

    pub(super) fn expiring(&self) -> u64 {
        self.items.iter().map(|item| item.expires_at.unix_secs()).max().unwrap_or(0)
    }

    /// The real platform writes ids now as numbers, now as strings, and so must we.
    fn quote(&self, draw: u64) -> &'static str {
        match self.form {
            Some(Form::IdsInt) => "",
            Some(Form::IdsString) => "\"",
            _ if draw.is_multiple_of(2) => "\"",
            _ => "",
        }
    }
}

/// The answer about the reels of accounts; accounts without one are left out.
pub(crate) fn reels(reels: &[Reel<'_>], pad: usize) -> String {
    let mut map = String::with_capacity(pad + 2048);
    let mut list = String::with_capacity(pad / 2 + 1024);
    map.push_str(r#"{"reels":{"#);
    for (index, reel) in reels.iter().enumerate() {
        if index > 0 {
            map.push(',');
        }
        // Writing to a String does not fail.
        let _ = write!(map, r#""{}":"#, reel.account.id);
        if reel.is_null() {
            map.push_str("null");
            continue;
        }
        if !list.is_empty() {
            list.push(',');
        }
        let start = list.len();
        let _ = write_reel(&mut list, reel, pad);
        map.push_str(&list[start..]);
    }
    map.push_str(r#"},"reels_media":["#);
    map.push_str(&list);
    map.push_str(r#"],"status":"ok"}"#);
    map
}

/// The answer about the reel of one account.
pub(crate) fn user_story(reel: Option<&Reel<'_>>, pad: usize) -> String {
    let mut out = String::with_capacity(pad + 1024);
    out.push_str(r#"{"broadcast":"#);
    match reel {
        Some(reel) if reel.is_live() => {
            let _ = write_broadcast(&mut out, reel);
        }
        _ => out.push_str("null"),
    }
    out.push_str(r#","reel":"#);
    match reel {
        Some(reel) if !reel.is_null() && !reel.is_live() => {
            let _ = write_reel(&mut out, reel, pad);
        }
        _ => out.push_str("null"),
    }
    out.push_str(r#","status":"ok"}"#);
    out
}

/// The answer about the followed accounts.
pub(crate) fn tray(reels: &[Reel<'_>]) -> String {
    let mut out = String::from(r#"{"tray":["#);
    for (index, reel) in reels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = write_reel(&mut out, reel, 0);
    }
    out.push_str(r#"],"broadcasts":[],"sticker_version":1,"status":"ok"}"#);
    out
}

fn write_broadcast(out: &mut String, reel: &Reel<'_>) -> fmt::Result {
    let Account { name, id, key, .. } = reel.account;
    write!(
        out,
        concat!(
            r#"{{"id":"{broadcast}","broadcast_status":"active","viewer_count":{viewers},"#,
            r#""broadcast_owner":{{"pk":"{id}","username":"{name}"}}}}"#,
        ),
        broadcast = 17_800_000_000_000_000 + hash::pair(*key, 33) % 100_000_000_000_000,
        viewers = hash::pair(*key, 34) % 500,
        id = id,
        name = name,
    )
}

fn write_reel(out: &mut String, reel: &Reel<'_>, pad: usize) -> fmt::Result {
    let Account { name, key, kind, .. } = reel.account;
    let start = out.len();
    let private = *kind == AccountKind::PrivateFollowed;
    let seen = if hash::pair(*key, 31).is_multiple_of(2) { "0" } else { "null" };
    write!(
        out,
        concat!(
            r#"{{"id":{quote}{id}{quote},"reel_type":"user_reel","latest_reel_media":{latest},"#,
            r#""expiring_at":{expiring},"seen":{seen},"media_count":{count},"can_reply":true,"#,
            r#""user":{{"pk":{quote}{id}{quote},"username":"{name}","is_private":{private},"#,
            r#""is_verified":false}}"#,
        ),
        quote = reel.quote(hash::pair(*key, 30)),
        id = reel.owner(),
        latest = reel.latest(),
        expiring = reel.expiring(),
        seen = seen,
        count = reel.count,
        name = name,
        private = private,
    )?;
    match reel.form {
        Some(Form::Stub) => {
            out.push('}');
            return Ok(());
        }
        Some(Form::ItemsNull) => {
            out.push_str(r#","items":null}"#);
            return Ok(());
        }
        Some(Form::ItemsEmpty) => {
            out.push_str(r#","items":[]}"#);
            return Ok(());
        }
        Some(Form::LiveOnly) => {
            out.push_str(r#","broadcast":"#);
            write_broadcast(out, reel)?;
        }
        _ => {}
    }
    out.push_str(r#","items":["#);
    for (index, item) in reel.items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        // The answer holds every reel twice, and every item has its share in that.
        let fill_to = start + pad / 2 * (index + 1) / reel.items.len();
        write_item(out, reel, item, fill_to)?;
    }
    out.push_str("]}");
    Ok(())
}

fn write_item(out: &mut String, reel: &Reel<'_>, item: &TruthItem, fill_to: usize) -> fmt::Result {
    let TruthItem { pk, owner_id, video, .. } = *item;
    let (taken, expiring) = (item.taken_at.unix_secs(), item.expires_at.unix_secs());
    let draw = hash::mix(pk);
    let still = !video && reel.form == Some(Form::StillAsVideo);
    let bare = reel.form == Some(Form::NoCandidates);
    let media_type = if video || still { 2 } else { 1 };
    write!(
        out,
        concat!(
            r#"{{"pk":{quote}{pk}{quote},"id":"{pk}_{owner_id}","taken_at":{taken},"#,
            r#""expiring_at":{expiring},"media_type":{media_type},"original_width":1080,"#,
            r#""original_height":1920,"user":{{"pk":{quote}{owner_id}{quote}}},"#,
        ),
        quote = reel.quote(draw),
        pk = pk,
        owner_id = owner_id,
        taken = taken,
        expiring = expiring,
        media_type = media_type,
    )?;
    if still {
        out.push_str(r#""original_media_type":1,"#);
    }
    if reel.form == Some(Form::Besties) {
        out.push_str(r#""audience":"besties","#);
    }
    if bare {
        out.push_str(r#""image_versions2":{"candidates":[]}}"#);
        return Ok(());
    }
    if video || still {
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
