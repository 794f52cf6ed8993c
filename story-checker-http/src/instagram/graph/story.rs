//! What pages of stories show of one account.

use std::borrow::Cow;
use std::time::Duration;

use story_checker_core::{Item, MediaKind, MediaVariant, Timestamp};

use super::parse::{StoriesPage, Story};

/// How long a story lives; the API does not tell when one ends (domain: Graph API).
const LIFE: Duration = Duration::from_secs(24 * 3_600);
/// A story cannot be newer than the server's time, but for clocks that differ.
const SKEW: Duration = Duration::from_secs(3_600);
/// The kinds of media that are no stories (domain: Meta docs, IG Media).
const NO_STORIES: [&str; 3] = ["AD", "FEED", "REELS"];

/// What pages of stories show of the account with a name.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StoriesShown {
    /// The stories that have not ended, oldest first, each once.
    pub items: Vec<Item>,
    /// What is odd about them.
    pub notes: Vec<Cow<'static, str>>,
    /// How many had ended.
    pub expired: usize,
    /// How many are another account's: then nothing of the answer may be believed.
    pub foreign: usize,
    /// How many lack an id, a time or a name: then the absence of others proves nothing.
    pub broken: usize,
    /// How many are something else, such as posts.
    pub others: usize,
}

impl StoriesShown {
    /// Adds what another page shows.
    pub(super) fn add(&mut self, page: Self) {
        for item in page.items {
            if self.items.iter().all(|known| known.id != item.id) {
                self.items.push(item);
            }
        }
        self.items.sort_by(|one, other| (one.taken_at, &one.id).cmp(&(other.taken_at, &other.id)));
        self.notes.extend(page.notes);
        self.expired += page.expired;
        self.foreign += page.foreign;
        self.broken += page.broken;
        self.others += page.others;
    }

    fn take(&mut self, story: &Story<'_>, username: &str, now: Timestamp) {
        let (Some(id), Some(owner)) = (&story.id, &story.username) else {
            self.broken += 1;
            return;
        };
        if !owner.as_str().eq_ignore_ascii_case(username) {
            self.foreign += 1;
            return;
        }
        let taken = timestamp(&story.timestamp.0).filter(|taken| *taken <= now + SKEW);
        let (Some(taken), false) = (taken, id.as_str().is_empty()) else {
            self.broken += 1;
            return;
        };
        match &*story.media_product_type.0 {
            "STORY" if taken + LIFE <= now => self.expired += 1,
            "STORY" => self.add_live(story, id.as_str(), taken),
            kind if NO_STORIES.contains(&kind) => self.others += 1,
            _ => self.broken += 1,
        }
    }

    fn add_live(&mut self, story: &Story<'_>, id: &str, taken: Timestamp) {
        if self.items.iter().any(|known| known.id == id) {
            return;
        }
        let kind = match &*story.media_type.0 {
            "VIDEO" => MediaKind::Video,
            _ => MediaKind::Image,
        };
        let mut item = Item::new(id, kind, taken);
        item.expires_at = Some(taken + LIFE);
        // The API tells no sizes.
        let files = [(kind, &story.media_url.0), (MediaKind::Image, &story.thumbnail_url.0)];
        for (kind, url) in files.into_iter().filter(|(_, url)| !url.is_empty()) {
            item.media.push(MediaVariant::new(kind, &**url, 0, 0));
        }
        if story.media_url.0.is_empty() {
            let note = format!(
                "item {id} comes without its file: the platform withholds media with licensed sound"
            );
            self.notes.push(note.into());
        }
        self.items.push(item);
    }
}

impl StoriesPage<'_> {
    /// What this page shows of the account with this name, at the server's time `now`.
    #[must_use]
    pub fn shows(&self, username: &str, now: Timestamp) -> StoriesShown {
        let mut page = StoriesShown::default();
        for story in &self.stories {
            page.take(story, username, now);
        }
        let mut shown = StoriesShown::default();
        shown.add(page);
        shown
    }
}

/// Reads `2026-11-20T09:15:00+0000`, also with a colon in the offset, a fraction, or `Z`.
fn timestamp(text: &str) -> Option<Timestamp> {
    let (time, rest) = (text.get(..19)?, text.get(19..)?);
    if time.as_bytes()[10] != b'T' {
        return None;
    }
    let utc: Timestamp = format!("{time}Z").parse().ok()?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => rest,
    };
    if zone == "Z" {
        return Some(utc);
    }
    let (east, offset) = match zone.split_at_checked(1)? {
        ("+", offset) => (true, offset),
        ("-", offset) => (false, offset),
        _ => return None,
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = match offset.len() {
        4 => offset.split_at_checked(2)?,
        5 => offset.split_once(':')?,
        _ => return None,
    };
    if hours.len() != 2 || !digits(hours) || !digits(minutes) {
        return None;
    }
    let number = |text: &str| text.parse::<u64>().ok();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let offset = Duration::from_secs(hours * 3_600 + minutes * 60);
    Some(if east { utc - offset } else { utc + offset })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse_stories;
    use super::*;

    /// 2026-11-21T09:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn shown(items: &str) -> StoriesShown {
        let body = format!(r#"{{"data":[{items}]}}"#);
        parse_stories(body.as_bytes()).unwrap().shows("tea_house", NOW)
    }

    fn story(id: &str, at: &str, more: &str) -> String {
        format!(
            r#"{{"id":"{id}","media_product_type":"STORY","timestamp":"{at}","username":"Tea_House"{more}}}"#
        )
    }

    #[test]
    fn live_items_are_sorted_and_counted_once() {
        let shown = shown(
            &[
                story("3", "2026-11-21T08:00:00+0000", r#","media_type":"IMAGE","media_url":"i""#),
                story(
                    "2",
                    "2026-11-20T09:00:01+0000",
                    r#","media_type":"VIDEO","media_url":"v","thumbnail_url":"t""#,
                ),
                story("3", "2026-11-21T08:00:00+0000", ""),
                story("1", "2026-11-20T09:00:00+0000", ""),
            ]
            .join(","),
        );
        let ids: Vec<_> = shown.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["2", "3"]);
        assert_eq!((shown.expired, shown.broken, shown.foreign, shown.others), (1, 0, 0, 0));
        let video = &shown.items[0];
        assert_eq!(video.expires_at, Some(NOW + Duration::from_secs(1)));
        let media: Vec<_> = video.media.iter().map(|file| (file.kind, &*file.url)).collect();
        assert_eq!(media, [(MediaKind::Video, "v"), (MediaKind::Image, "t")]);
        assert_eq!(shown.items[1].kind, MediaKind::Image);
        assert!(shown.notes.is_empty());
    }

    #[test]
    fn an_item_without_its_file_is_still_a_story() {
        let shown = shown(&story("1", "2026-11-21T08:00:00+0000", r#","media_url":null"#));
        assert_eq!(shown.items.len(), 1);
        assert!(shown.items[0].media.is_empty());
        assert!(shown.notes[0].contains("item 1 comes without its file"));
    }

    #[test]
    fn what_is_no_live_story_of_this_account_is_told_apart() {
        let good = story("1", "2026-11-21T08:00:00+0000", "");
        let counts = |items: &str| {
            let shown = shown(items);
            (shown.items.len(), shown.foreign, shown.others, shown.broken)
        };
        assert_eq!(counts(&good), (1, 0, 0, 0));
        assert_eq!(counts(&good.replace("Tea_House", "tea_house2")), (0, 1, 0, 0));
        for kind in NO_STORIES {
            assert_eq!(counts(&good.replace("STORY", kind)), (0, 0, 1, 0));
        }
        for broken in [
            "{}".to_owned(),
            good.replace("STORY", "STOXY"),
            good.replace("\"STORY\"", "null"),
            good.replace("\"id\":\"1\"", "\"id\":\"\""),
            good.replace("\"id\":\"1\"", "\"id\":null"),
            good.replace("username", "user"),
            good.replace("\"Tea_House\"", "null"),
            good.replace("timestamp", "time"),
            good.replace("2026-11-21T08", "2026-13-21T08"),
            // Tomorrow.
            good.replace("2026-11-21T08", "2026-11-22T08"),
        ] {
            assert_eq!(counts(&broken), (0, 0, 0, 1), "{broken}");
        }
    }

    #[test]
    fn pages_are_taken_together() {
        let mut all = shown(&story("2", "2026-11-21T08:00:00+0000", ""));
        all.add(shown(
            &[
                story("1", "2026-11-21T07:00:00+0000", ""),
                story("2", "2026-11-21T08:00:00+0000", ""),
                "{}".into(),
            ]
            .join(","),
        ));
        let ids: Vec<_> = all.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!((ids, all.broken), (vec!["1", "2"], 1));
    }

    #[test]
    fn times_come_with_an_offset_without_a_colon() {
        for text in [
            "2026-11-21T09:00:00+0000",
            "2026-11-21T09:00:00-0000",
            "2026-11-21T09:00:00Z",
            "2026-11-21T09:00:00.123+0000",
            "2026-11-21T10:30:00+01:30",
            "2026-11-21T01:00:00-0800",
        ] {
            assert_eq!(timestamp(text), Some(NOW), "{text}");
        }
        for text in [
            "",
            "2026-11-21",
            "2026-11-21 09:00:00+0000",
            "2026-11-21T09:00:00",
            "2026-11-21T09:00:00+",
            "2026-11-21T09:00:00+00",
            "2026-11-21T09:00:00+0:000",
            "2026-11-21T09:00:00+00 0",
            "2026-11-21T09:00:00 0000",
            "2026-11-21T09:00:00+2000",
            "2026-11-21T09:00:00+0060",
            "2026-02-30T09:00:00+0000",
            "1795251600",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_times_never_panics(text in "\\PC{0,30}", tail in "[-+Z.:0-9é]{0,8}") {
            let _ = timestamp(&text);
            let _ = timestamp(&format!("2026-11-21T09:00:00{tail}"));
        }
    }
}
