//! What a reels answer says about one account.

use std::borrow::Cow;
use std::time::Duration;

use story_checker_core::{Item, MediaKind, MediaVariant, Timestamp};

use super::parse::{File, Owner, Reel, ReelsAnswer, Story};
use crate::wire::{Number, Text};

/// How long a story lives.
pub(super) const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// What a reels answer says about one account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sighting {
    /// No live item. Whether that may be believed is another question.
    #[non_exhaustive]
    Empty {
        /// How many items had ended.
        expired: usize,
    },
    /// Live items, oldest first.
    #[non_exhaustive]
    Live {
        /// The items.
        items: Vec<Item>,
        /// What is odd about them.
        notes: Vec<Cow<'static, str>>,
    },
    /// Something that is neither; the text says what is wrong with the reel.
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

    /// What it says about the account with this id, at the server's time `now`.
    #[must_use]
    pub fn sighting(&self, id: &str, now: Timestamp) -> Sighting {
        let mut seen = Seen::default();
        for (_, reel) in self.reels.iter().filter(|(key, _)| key == id) {
            let Some(reel) = reel else { return Sighting::Unclear("the reel is null") };
            if reel.id.as_ref().is_some_and(|own| own.as_str() != id) {
                return Sighting::Unclear("the reel is another account's");
            }
            let kind = reel.reel_type.as_ref().map_or("", |kind| &kind.0);
            if kind.contains("highlight") || kind.contains("archive") {
                return Sighting::Unclear("the reel is not made of current stories");
            }
            let Some(items) = &reel.items else {
                return Sighting::Unclear("the reel comes without its items");
            };
            if items.is_empty() && reel.media_count.is_some_and(|count| count.whole() > 0) {
                return Sighting::Unclear("the reel counts items that are not there");
            }
            let owner = [&reel.user, &reel.owner].into_iter().find_map(owner_id).unwrap_or(id);
            for story in items {
                seen.add(story, owner, id, now);
            }
        }
        seen.judge()
    }
}

#[derive(Default)]
struct Seen {
    items: Vec<Item>,
    notes: Vec<Cow<'static, str>>,
    expired: usize,
    foreign: usize,
    broken: usize,
}

impl Seen {
    fn add(&mut self, story: &Story<'_>, reel_owner: &str, id: &str, now: Timestamp) {
        let (pk, suffix) = match &story.id {
            Some(Text(full)) => {
                full.split_once('_').map_or((&**full, None), |(pk, owner)| (pk, Some(owner)))
            }
            None => ("", None),
        };
        let pk = story.pk.as_ref().map_or(pk, Text::as_str);
        let owner = [&story.user, &story.owner].into_iter().find_map(owner_id);
        if owner.or(suffix).unwrap_or(reel_owner) != id {
            self.foreign += 1;
            return;
        }
        let seconds = |number: Option<Number>| number.map(Number::whole).filter(|at| *at > 0);
        let taken = seconds(story.taken_at).map(Timestamp::from_secs);
        let ends = seconds(story.expiring_at).map(Timestamp::from_secs);
        let (Some(taken), Some(ends)) = (
            taken.or_else(|| ends.map(|ends| ends - LIFE)),
            ends.or_else(|| taken.map(|taken| taken + LIFE)),
        ) else {
            self.broken += 1;
            return;
        };
        if pk.is_empty() {
            self.broken += 1;
        } else if ends <= now {
            self.expired += 1;
        } else if self.items.iter().all(|known| known.id != pk) {
            self.items.push(item(story, pk, taken, ends));
            let number = |number: Option<Number>| number.map(Number::whole);
            if (number(story.original_media_type), number(story.media_type)) == (Some(1), Some(2)) {
                let note = format!("item {pk} is a picture that comes as a video");
                self.notes.push(note.into());
            }
        }
    }

    fn judge(mut self) -> Sighting {
        if !self.items.is_empty() {
            self.items
                .sort_by(|one, other| (one.taken_at, &one.id).cmp(&(other.taken_at, &other.id)));
            Sighting::Live { items: self.items, notes: self.notes }
        } else if self.foreign > 0 {
            Sighting::Unclear("the reel holds only items of other accounts")
        } else if self.broken > 0 {
            Sighting::Unclear("the reel holds items without id or time")
        } else {
            Sighting::Empty { expired: self.expired }
        }
    }
}

fn owner_id<'a>(owner: &'a Option<Owner<'_>>) -> Option<&'a str> {
    let owner = owner.as_ref()?;
    owner.pk.as_ref().or(owner.id.as_ref()).map(Text::as_str)
}

fn item(story: &Story<'_>, pk: &str, taken: Timestamp, ends: Timestamp) -> Item {
    let videos = story.video_versions.as_deref().unwrap_or_default();
    let images = story.image_versions2.as_ref().and_then(|images| images.candidates.as_deref());
    let kind = match story.media_type.map(Number::whole) {
        Some(1) => MediaKind::Image,
        Some(2) => MediaKind::Video,
        _ if !videos.is_empty() => MediaKind::Video,
        _ => MediaKind::Image,
    };
    let mut item = Item::new(pk, kind, taken);
    item.expires_at = Some(ends);
    item.duration = story
        .video_duration
        .filter(|_| kind == MediaKind::Video)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.0).ok());
    item.media.reserve(videos.len() + images.map_or(0, <[_]>::len));
    // A video first, then its pictures, each from the largest; the platform likes to repeat one file
    // under several types.
    for (kind, files) in
        [(MediaKind::Video, videos), (MediaKind::Image, images.unwrap_or_default())]
    {
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
mod tests {
    use super::super::parse_reels;
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_300_000);

    fn sighting(reel: &str) -> Sighting {
        let body = format!(r#"{{"reels":{{"42":{reel}}},"status":"ok"}}"#);
        parse_reels(body.as_bytes()).unwrap().sighting("42", NOW)
    }

    fn items(reel: &str) -> Vec<Item> {
        match sighting(reel) {
            Sighting::Live { items, .. } => items,
            other => panic!("{reel}: {other:?}"),
        }
    }

    #[test]
    fn live_items_are_sorted_and_counted_once() {
        let items = items(
            r#"{"id":42,"user":{"pk":"42"},"items":[
                {"pk":"3","id":"3_42","taken_at":1795299000,"expiring_at":1795385400,"media_type":1},
                {"pk":2,"id":"2_42","taken_at":1795251600},
                {"id":"3_42","taken_at":1795299000},
                {"pk":"1","taken_at":1795200000,"expiring_at":1795286400},
                {"pk":"4","taken_at":1795299500,"expiring_at":1795300000}]}"#,
        );
        let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["2", "3"]);
        assert_eq!(items[0].expires_at, Some(Timestamp::from_secs(1_795_338_000)));
    }

    #[test]
    fn media_is_sorted_by_size_and_files_are_listed_once() {
        let items = items(
            r#"{"items":[{"pk":"1","taken_at":1795299000,"media_type":2,"original_media_type":1,
                "video_duration":9.5,
                "image_versions2":{"candidates":[{"width":10,"height":10,"url":"i1"},
                    {"width":"1080","height":1920,"url":"i2\u0026x"},{"width":1,"height":1}]},
                "video_versions":[{"type":101,"width":10,"height":10,"url":"v1"},
                    {"type":102,"width":20,"height":20,"url":"v2"},{"type":103,"url":"v1"}]}]}"#,
        );
        let media: Vec<_> = items[0].media.iter().map(|file| (file.kind, &*file.url)).collect();
        let (image, video) = (MediaKind::Image, MediaKind::Video);
        assert_eq!(media, [(video, "v2"), (video, "v1"), (image, "i2&x"), (image, "i1")]);
        assert_eq!(items[0].kind, MediaKind::Video);
        assert_eq!(items[0].duration, Some(Duration::from_millis(9_500)));
    }

    #[test]
    fn a_picture_as_video_is_noted_and_missing_media_is_still_a_story() {
        let reel = r#"{"items":[{"pk":"1","taken_at":1795299000,"media_type":2,"original_media_type":1}]}"#;
        let Sighting::Live { items, notes } = sighting(reel) else { panic!() };
        assert_eq!(notes, ["item 1 is a picture that comes as a video"]);
        assert!(items[0].media.is_empty());
    }

    #[test]
    fn without_live_items_it_is_empty_or_unclear() {
        assert_eq!(sighting(r#"{"id":"42","items":[]}"#), Sighting::Empty { expired: 0 });
        assert_eq!(
            sighting(r#"{"items":[{"pk":"1","taken_at":1795200000}],"media_count":1}"#),
            Sighting::Empty { expired: 1 }
        );
        for reel in [
            "null",
            "{}",
            r#"{"items":null}"#,
            r#"{"items":[],"media_count":2}"#,
            r#"{"id":"43","items":[]}"#,
            r#"{"id":"42","reel_type":"highlight_reel","items":[{"pk":"1","taken_at":1795299000}]}"#,
            r#"{"reel_type":"archive_day_reel","items":[]}"#,
            r#"{"items":[{"pk":"1","id":"1_43","taken_at":1795299000}]}"#,
            r#"{"items":[{"pk":"1","user":{"pk":43},"taken_at":1795299000}]}"#,
            r#"{"user":{"id":"43"},"items":[{"pk":"1","taken_at":1795299000}]}"#,
            r#"{"items":[{"pk":"1"}]}"#,
            r#"{"items":[{"taken_at":1795299000}]}"#,
        ] {
            assert!(matches!(sighting(reel), Sighting::Unclear(_)), "{reel}");
        }
    }

    #[test]
    fn an_account_that_is_not_in_the_answer_is_empty() {
        let answer = parse_reels(br#"{"reels":{"highlight:42":{"items":[{"pk":"1","taken_at":1795299000}]}},"status":"ok"}"#).unwrap();
        assert_eq!(answer.sighting("42", NOW), Sighting::Empty { expired: 0 });
        assert!(answer.proves_session());
        assert!(
            !parse_reels(br#"{"reels":{"1":{"items":[]},"2":null},"status":"ok"}"#)
                .unwrap()
                .proves_session()
        );
    }
}
