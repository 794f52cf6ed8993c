//! What was posted on X.

use std::time::Duration;

use super::people::{Person, XLink, XMedia};
use crate::config::XSettings;
use crate::hash;
use crate::time::{Timestamp, millis};

/// An account posts at most once in each of these.
const SLOT_SECS: u64 = 1800;
/// How far back posts go.
const HISTORY: Duration = Duration::from_secs(30 * 86_400);
/// Where the time in an id begins: milliseconds since the Unix epoch. domain: ids, X docs.
const EPOCH_MILLIS: u64 = 1_288_834_974_657;

const WORDS: [&str; 12] = [
    "steam",
    "over",
    "the",
    "harbour",
    "before",
    "breakfast",
    "first",
    "light",
    "and",
    "slow",
    "morning",
    "kettle",
];
const TAGS: [&str; 8] = ["tea", "coffee", "rain", "harbour", "light", "oven", "cat", "market"];

/// One post.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) id: u64,
    pub(super) at: Timestamp,
    pub(super) author: u64,
    pub(super) author_name: String,
    pub(super) text: String,
    pub(super) media: Vec<Media>,
    /// What it is to the post with this id.
    pub(super) link: Option<(XLink, u64)>,
}

impl Post {
    pub(super) fn is(&self, link: XLink) -> bool {
        self.link.is_some_and(|(is, _)| is == link)
    }

    /// Media in a post of one's own: what a checker looks for.
    pub(super) fn is_own_media(&self) -> bool {
        self.link.is_none() && !self.media.is_empty()
    }
}

/// One piece of media.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media {
    pub(super) kind: XMedia,
    pub(super) id: u64,
}

impl Media {
    pub(super) fn key(self) -> String {
        let kind = match self.kind {
            XMedia::Photo => 3,
            XMedia::Video => 7,
            XMedia::AnimatedGif => 16,
        };
        format!("{kind}_{}", self.id)
    }
}

/// The posts of an account from `since` to `until`, both included, newest first. Not all may read
/// them.
pub(super) fn posts(
    settings: &XSettings,
    person: &Person,
    since: Timestamp,
    until: Timestamp,
) -> Vec<Post> {
    let mut posts = match &person.script {
        Some(script) => (0..)
            .zip(&script.posts)
            .map(|(index, post)| {
                let at = Timestamp::from_unix_secs(post.at.unix_secs());
                let text = post.text.clone();
                Draft { at, text, media: post.media.clone(), link: post.link }.post(person, index)
            })
            .filter(|post| since <= post.at && post.at <= until)
            .collect(),
        None => seeded(settings, person, since, until),
    };
    posts.sort_unstable_by_key(|post| std::cmp::Reverse(post.id));
    posts
}

fn seeded(settings: &XSettings, person: &Person, since: Timestamp, until: Timestamp) -> Vec<Post> {
    if hash::pair(person.key, 3) % 100 >= u64::from(settings.posting) {
        return Vec::new();
    }
    let chance = settings.posts_per_day * SLOT_SECS as f64 / 86_400.0;
    let since = since.max(until.saturating_sub(HISTORY));
    (since.unix_secs() / SLOT_SECS..=until.unix_secs() / SLOT_SECS)
        .filter_map(|slot| {
            let draw = hash::pair(hash::pair(person.key, 4), slot);
            let at = slot * SLOT_SECS + hash::pair(draw, 1) % SLOT_SECS;
            let at = Timestamp::from_unix_secs(at);
            let is_there = hash::fraction(draw) < chance && since <= at && at <= until;
            is_there.then(|| draft(settings, draw, at).post(person, 0))
        })
        .collect()
}

/// A post before it has an id.
struct Draft {
    at: Timestamp,
    text: String,
    media: Vec<XMedia>,
    link: Option<XLink>,
}

fn draft(settings: &XSettings, draw: u64, at: Timestamp) -> Draft {
    let link = match hash::pair(draw, 2) % 100 {
        0..15 => Some(XLink::Reply),
        15..25 => Some(XLink::Retweet),
        _ => None,
    };
    let shows = hash::pair(draw, 3) % 100 < u64::from(settings.media);
    let media = match hash::pair(draw, 4) % 10 {
        _ if !shows => Vec::new(),
        0..6 => vec![XMedia::Photo; 1 + pick(draw, 5, 4)],
        6 | 7 => vec![XMedia::Video],
        8 => vec![XMedia::AnimatedGif],
        _ => vec![XMedia::Photo, XMedia::Video],
    };
    let mut words: Vec<String> = match link {
        Some(XLink::Reply) => vec!["@acct_000001".into()],
        Some(XLink::Retweet) => vec!["RT @acct_000001:".into()],
        None => Vec::new(),
    };
    words.extend((6..=8).map(|salt| WORDS[pick(draw, salt, WORDS.len())].into()));
    // Two tags, one, or none.
    words.extend((9..=10).take(pick(draw, 11, 3)).map(|salt| {
        let tag = TAGS[pick(draw, salt, TAGS.len())];
        format!("#{tag}")
    }));
    Draft { at, text: words.join(" "), media, link }
}

fn pick(draw: u64, salt: u64, count: usize) -> usize {
    usize::try_from(hash::pair(draw, salt) % count as u64).expect("it is less than a usize")
}

impl Draft {
    fn post(self, person: &Person, index: u64) -> Post {
        let Self { at, text, media, link } = self;
        let tail = (hash::pair(person.key, 5) << 6) | (index & 0x3f);
        let id = snowflake(at) | (tail & ((1 << 22) - 1));
        let media = (1..).zip(media).map(|(index, kind)| Media { kind, id: id + index }).collect();
        // What it is about was posted an hour earlier.
        let other = snowflake(at.saturating_sub(Duration::from_secs(3600))) | 1;
        Post {
            id,
            at,
            author: person.id,
            author_name: person.name.clone(),
            text,
            media,
            link: link.map(|link| (link, other)),
        }
    }
}

/// The smallest id of a moment.
fn snowflake(at: Timestamp) -> u64 {
    let epoch = Timestamp::from_unix_millis(EPOCH_MILLIS);
    millis(at.saturating_since(epoch)) << 22
}
