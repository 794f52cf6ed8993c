//! What a reels answer says about one account.

use std::borrow::Cow;
use std::time::Duration;

use story_checker_core::{Item, MediaKind, MediaVariant, Timestamp};

use super::parse::{Broadcast, File, Holds, Reel, ReelsAnswer, Story};
use crate::client::contains;
use crate::wire::{Number, Text};

/// How long a story lives.
pub(super) const LIFE: Duration = Duration::from_secs(24 * 3_600);
/// A fact about an account.
pub(super) const BROADCASTS: &str = "the account is live now, which is a broadcast and no story";

/// What a reels answer says about one account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sighting {
    /// No live item. Whether that may be believed is another question.
    #[non_exhaustive]
    Empty {
        /// How many items had ended.
        expired: usize,
        /// Whether the account broadcasts at this moment, which is no story.
        broadcast: bool,
    },
    /// Live items, oldest first.
    #[non_exhaustive]
    Live {
        /// The items.
        items: Vec<Item>,
        /// What is special about them.
        notes: Vec<Cow<'static, str>>,
    },
    /// A reel without what it should hold: it has to be asked for alone.
    #[non_exhaustive]
    Stub {
        /// Whether it says that there is a story now.
        claims_story: bool,
        /// When the newest was posted that should still be live; 0 if it does not say.
        latest: Timestamp,
    },
    /// Something that is none of these; the text says what is wrong with the reel.
    Unclear(&'static str),
}

impl ReelsAnswer<'_> {
    /// Whether the answer shows anybody's story: then the session was logged in.
    #[must_use]
    pub fn proves_session(&self) -> bool {
        let has_items =
            |reel: &Reel<'_>| reel.items.as_ref().is_some_and(|items| !items.is_empty());
        self.reels.iter().any(|(_, reel)| reel.as_ref().is_some_and(has_items))
    }

    /// Whether it holds a reel that was not asked for. Then it is the answer to another question, and
    /// who is not in it may have a story all the same.
    pub(super) fn holds_others(&self, asked: &[&str]) -> bool {
        self.reels.iter().any(|(id, _)| !asked.contains(&&**id))
    }

    /// When the newest of all its items was posted, live or not; 0 without items.
    pub(super) fn newest(&self) -> Timestamp {
        let reels = self.reels.iter().filter_map(|(_, reel)| reel.as_ref()?.items.as_deref());
        let times = reels.flatten().filter_map(times);
        times.map(|(taken, _)| taken).max().unwrap_or_default()
    }

    /// What it says about the account with this id, at the server's time `now`.
    #[must_use]
    pub fn sighting(&self, id: &str, now: Timestamp) -> Sighting {
        let mut seen = Seen { broadcast: self.broadcast.is_some(), ..Seen::default() };
        if !is_of(self.broadcast.as_ref(), id) {
            return Sighting::Unclear("the broadcast is another account's");
        }
        for (key, reel) in &self.reels {
            if self.holds != Holds::TheOne && key != id {
                continue;
            }
            seen.reels += 1;
            if let Err(what) = seen.take(reel.as_ref(), id, now) {
                return Sighting::Unclear(what);
            }
        }
        if self.holds == Holds::Some && seen.reels == 0 {
            return Sighting::Unclear("the tray need not hold every account");
        }
        seen.judge()
    }
}

fn is_of(broadcast: Option<&Broadcast<'_>>, id: &str) -> bool {
    let owner = broadcast.and_then(|broadcast| broadcast.owner.as_ref()?.id());
    owner.is_none_or(|owner| owner.as_str() == id)
}

#[derive(Default)]
struct Seen {
    reels: usize,
    items: Vec<Item>,
    notes: Vec<Cow<'static, str>>,
    broadcast: bool,
    expired: usize,
    foreign: usize,
    broken: usize,
    /// Whether items are missing, and then whether there should be live ones.
    stub: Option<bool>,
    /// When the newest of those was posted, if that is told.
    latest: Timestamp,
}

impl Seen {
    /// Takes in one reel, unless something is wrong with the whole of it.
    fn take(
        &mut self,
        reel: Option<&Reel<'_>>,
        id: &str,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let reel = reel.ok_or("the reel is null")?;
        if reel.id.as_ref().is_some_and(|own| own.as_str() != id) {
            return Err("the reel is another account's");
        }
        for kind in [&reel.reel_type, &reel.type_name].into_iter().flatten() {
            if kind.0.is_empty() {
                return Err("the reel does not say in words what it is");
            }
            if ["highlight", "archive"].iter().any(|old| contains(&kind.0, old)) {
                return Err("the reel is not made of current stories");
            }
        }
        if !is_of(reel.broadcast.as_ref(), id) {
            return Err("the broadcast is another account's");
        }
        self.broadcast |= reel.broadcast.is_some();
        let owner = reel.owner_id().map_or(id, Text::as_str);
        let items = reel.items.as_deref().unwrap_or_default();
        for story in items {
            self.add(story, owner, id, now);
        }
        let counted = reel.media_count.map_or(0, Number::whole);
        let latest = Timestamp::from_secs(reel.latest_reel_media.map_or(0, Number::whole));
        let missing = counted > items.len() as u64;
        // The newest may be there and have ended early.
        let recent =
            latest + LIFE > now && items.iter().filter_map(times).all(|(taken, _)| taken < latest);
        if recent {
            self.latest = self.latest.max(latest);
        }
        if missing || recent || reel.items.is_none() && latest > Timestamp::default() {
            self.stub = Some(self.stub == Some(true) || missing || recent);
        } else if reel.items.is_none() && !self.broadcast {
            return Err("the reel comes without its items");
        }
        if items.is_empty() && owner != id {
            return Err("the reel is another account's");
        }
        Ok(())
    }

    fn add(&mut self, story: &Story<'_>, reel_owner: &str, id: &str, now: Timestamp) {
        let (pk, suffix) = match &story.id {
            Some(Text(full)) => {
                full.split_once('_').map_or((&**full, None), |(pk, owner)| (pk, Some(owner)))
            }
            None => ("", None),
        };
        let pk = story.pk.as_ref().map_or(pk, Text::as_str);
        let owner = [&story.user, &story.owner].into_iter().find_map(|owner| owner.as_ref()?.id());
        let owner = owner.map(Text::as_str);
        if owner.or(suffix).unwrap_or(reel_owner) != id {
            self.foreign += 1;
            return;
        }
        let Some((taken, ends)) = times(story) else {
            self.broken += 1;
            return;
        };
        if pk.is_empty() {
            self.broken += 1;
        } else if ends <= now {
            self.expired += 1;
        } else if self.items.iter().all(|known| known.id != pk) {
            self.items.push(item(story, pk, taken, ends));
            self.note(story, pk);
        }
    }

    fn note(&mut self, story: &Story<'_>, pk: &str) {
        let number = |number: Option<Number>| number.map(Number::whole);
        if (number(story.original_media_type), number(story.media_type)) == (Some(1), Some(2)) {
            self.notes.push(format!("item {pk} is a picture that comes as a video").into());
        }
        if story.audience.as_ref().is_some_and(|audience| audience.0 == "besties") {
            self.notes.push(format!("item {pk} is shown to close friends only").into());
        }
    }

    fn judge(mut self) -> Sighting {
        if !self.items.is_empty() {
            self.items
                .sort_by(|one, other| (one.taken_at, &one.id).cmp(&(other.taken_at, &other.id)));
            if self.broadcast {
                self.notes.push(BROADCASTS.into());
            }
            Sighting::Live { items: self.items, notes: self.notes }
        } else if self.foreign > 0 {
            Sighting::Unclear("the reel holds only items of other accounts")
        } else if self.broken > 0 {
            Sighting::Unclear("the reel holds items without id or time")
        } else if let Some(claims_story) = self.stub {
            Sighting::Stub { claims_story, latest: self.latest }
        } else {
            Sighting::Empty { expired: self.expired, broadcast: self.broadcast }
        }
    }
}

/// When an item was posted and when it ends; each follows from the other.
fn times(story: &Story<'_>) -> Option<(Timestamp, Timestamp)> {
    let seconds = |number: Option<Number>| number.map(Number::whole).filter(|at| *at > 0);
    let taken = seconds(story.taken_at).map(Timestamp::from_secs);
    let ends = seconds(story.expiring_at).map(Timestamp::from_secs);
    Some((
        taken.or_else(|| ends.map(|ends| ends - LIFE))?,
        ends.or_else(|| taken.map(|at| at + LIFE))?,
    ))
}

fn item(story: &Story<'_>, pk: &str, taken: Timestamp, ends: Timestamp) -> Item {
    let videos = story.video_versions.as_deref().or(story.video_resources.as_deref());
    let videos = videos.unwrap_or_default();
    let images = story.image_versions2.as_ref().and_then(|images| images.candidates.as_deref());
    let images = images.or(story.display_resources.as_deref()).unwrap_or_default();
    let kind = match (story.media_type.map(Number::whole), story.is_video.map(|flag| flag.0)) {
        (Some(1), _) | (None, Some(false)) => MediaKind::Image,
        (Some(2), _) | (None, Some(true)) => MediaKind::Video,
        _ if !videos.is_empty() => MediaKind::Video,
        _ => MediaKind::Image,
    };
    let mut item = Item::new(pk, kind, taken);
    item.expires_at = Some(ends);
    item.duration = story
        .video_duration
        .filter(|_| kind == MediaKind::Video)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.0).ok());
    item.media.reserve(videos.len() + images.len());
    // A video first, then its pictures, each from the largest; the platform likes to repeat one file
    // under several types.
    for (kind, files) in [(MediaKind::Video, videos), (MediaKind::Image, images)] {
        let start = item.media.len();
        for file in files {
            let Some(Text(url)) = file.url.as_ref().filter(|url| !url.0.is_empty()) else {
                continue;
            };
            if item.media[start..].iter().all(|known| known.url != **url) {
                item.media.push(variant(kind, url, file));
            }
        }
        item.media[start..]
            .sort_by_key(|file| std::cmp::Reverse(u64::from(file.width) * u64::from(file.height)));
    }
    item
}

fn variant(kind: MediaKind, url: &str, file: &File<'_>) -> MediaVariant {
    let pixels =
        |number: Option<Number>| u32::try_from(number.map_or(0, Number::whole)).unwrap_or(u32::MAX);
    MediaVariant::new(kind, url, pixels(file.width), pixels(file.height))
}

#[cfg(test)]
mod tests;
