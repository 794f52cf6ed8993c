//! What a page of posts says.

use std::time::Duration;

use story_checker_core::{Fault, Item, MediaKind, MediaVariant, Timestamp};

use super::classify::{Read, judge, malformed, read};
use super::parse::{FoundMedia, FoundPost, PostsAnswer, PostsPage, is_id, parse_posts};
use super::problem::Problem;
use crate::body::BodyError;
use crate::client::Exchange;
use crate::wire::{Number, Text};

/// The time that ids count from, in milliseconds.
const ID_EPOCH: u64 = 1_288_834_974_657;

/// One page of posts, taken out of its answer.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) posts: Vec<Post>,
    /// The newest id, as the answer tells.
    pub(super) newest: Option<u64>,
    /// Where the next page is, if there is one.
    pub(super) next: Option<String>,
    pub(super) problems: Vec<Problem>,
}

/// One post.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) id: u64,
    /// The id before it was edited.
    pub(super) first_id: u64,
    pub(super) at: Timestamp,
    /// Its media, if it has some.
    pub(super) item: Option<Item>,
}

impl Page {
    /// Reads the posts of the account with this id, or those that a search found.
    pub(super) fn read(exchange: &Exchange, id: Option<&str>) -> Result<Read<Self>, Fault> {
        match read(exchange, id, parse_posts)? {
            Read::Answer(PostsAnswer::Page(page)) => {
                let page = Self::of(page, id);
                page.map(Read::Answer).map_err(|error| malformed(exchange, &error.to_string()))
            }
            Read::Answer(PostsAnswer::Refused(problems)) => {
                let problems: Vec<_> = problems.iter().collect();
                judge(exchange, id, &problems).map(Read::Standing)
            }
            Read::Standing(standing) => Ok(Read::Standing(standing)),
        }
    }

    /// If only one account was asked about, all of the page must be that account's.
    fn of(answer: PostsPage<'_>, author: Option<&str>) -> Result<Self, BodyError> {
        let PostsPage { posts, media, newest_id, next_token, problems } = answer;
        let foreign = |post: &FoundPost<'_>| {
            let by = post.author_id.as_ref().map(Text::as_str);
            author.is_some() && by != author
        };
        if posts.iter().any(foreign) {
            return Err(BodyError::Shape("a post is not of the account that was asked about"));
        }
        let untold = |post: &FoundPost<'_>| post.media_keys().is_empty();
        if !media.is_empty() && posts.iter().all(untold) {
            return Err(BodyError::Shape("it holds media, but no post tells of them"));
        }
        let newest = newest_id.as_ref().map(|id| number(id.as_str())).transpose()?;
        let posts = posts.iter().map(|post| Post::of(post, &media)).collect::<Result<_, _>>()?;
        let next = next_token.map(|token| token.0.into_owned()).filter(|token| !token.is_empty());
        Ok(Self { posts, newest, next, problems })
    }

    /// The newest id of the page.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest.or_else(|| self.posts.iter().map(|post| post.id).max())
    }
}

impl Post {
    fn of(found: &FoundPost<'_>, media: &[FoundMedia<'_>]) -> Result<Self, BodyError> {
        let id = number(found.id.as_str())?;
        let first_id = found.first_id().map_or(Ok(id), number)?;
        let told = found.created_at.as_ref().and_then(|at| at.0.parse().ok());
        let at = told.unwrap_or_else(|| time_of_id(id));
        let keys = found.media_keys();
        let item = (!keys.is_empty()).then(|| {
            let find = |key: &Text<'_>| media.iter().find(|media| media.media_key == *key);
            item(id, at, keys.iter().filter_map(find))
        });
        Ok(Self { id, first_id, at, item })
    }
}

/// When the post with this id was made.
pub(super) fn time_of_id(id: u64) -> Timestamp {
    Timestamp::from_millis((id >> 22) + ID_EPOCH)
}

fn number(text: &str) -> Result<u64, BodyError> {
    let number = is_id(text).then(|| text.parse().ok()).flatten();
    number.ok_or(BodyError::Shape("a post's id is no number"))
}

fn item<'a>(id: u64, at: Timestamp, media: impl Iterator<Item = &'a FoundMedia<'a>>) -> Item {
    let mut item = Item::new(id.to_string(), MediaKind::Image, at);
    for media in media {
        let kind = media.kind.as_ref().map_or("", |kind| &*kind.0);
        let videos = mp4_by_bit_rate(media);
        if kind == "video" || kind == "animated_gif" || !videos.is_empty() {
            item.kind = MediaKind::Video;
        }
        let length = media.duration_ms.map(|ms| Duration::from_millis(ms.whole()));
        item.duration = item.duration.or(length);
        for (rank, url) in videos.into_iter().enumerate() {
            // The size that is told is that of the best file.
            add(&mut item, MediaKind::Video, Some(url), (rank == 0).then_some(media));
        }
        add(&mut item, MediaKind::Image, media.url.as_ref(), Some(media));
        add(&mut item, MediaKind::Image, media.preview_image_url.as_ref(), None);
    }
    item
}

/// Playlists are no files and have no bit rate.
fn mp4_by_bit_rate<'a>(media: &'a FoundMedia<'a>) -> Vec<&'a Text<'a>> {
    let variants = media.variants.iter().flatten();
    let is_mp4 = |kind: &str| kind.eq_ignore_ascii_case("video/mp4");
    let mut files: Vec<_> = variants
        .filter(|variant| variant.content_type.as_ref().is_some_and(|kind| is_mp4(&kind.0)))
        .filter_map(|variant| {
            Some((variant.bit_rate.map_or(0, Number::whole), variant.url.as_ref()?))
        })
        .collect();
    files.sort_by_key(|(bit_rate, _)| std::cmp::Reverse(*bit_rate));
    files.into_iter().map(|(_, url)| url).collect()
}

fn add(item: &mut Item, kind: MediaKind, url: Option<&Text<'_>>, size: Option<&FoundMedia<'_>>) {
    let Some(url) = url.map(Text::as_str).filter(|url| !url.is_empty()) else { return };
    let pixels =
        |number: Option<Number>| u32::try_from(number.map_or(0, Number::whole)).unwrap_or(u32::MAX);
    let (width, height) = size.map_or((0, 0), |size| (pixels(size.width), pixels(size.height)));
    item.media.push(MediaVariant::new(kind, url, width, height));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str, author: Option<&str>) -> Result<Page, BodyError> {
        match parse_posts(body.as_bytes())? {
            PostsAnswer::Page(page) => Page::of(page, author),
            PostsAnswer::Refused(problems) => panic!("{problems:?}"),
        }
    }

    fn first(post: &str, media: &str) -> Post {
        let body = format!(
            r#"{{"data":[{post}],"includes":{{"media":{media}}},"meta":{{"result_count":1}}}}"#
        );
        page(&body, None).unwrap().posts.remove(0)
    }

    #[test]
    fn the_best_mp4_comes_first_and_playlists_are_left_out() {
        let post = first(
            r#"{"id":"1990000000000000007","created_at":"2026-11-20T09:15:00.000Z","attachments":{"media_keys":["7_55"]}}"#,
            r#"[{"media_key":"7_54","type":"photo","url":"other"},
                {"media_key":"7_55","type":"video","duration_ms":8000,"width":720,"height":1280,
                "preview_image_url":"p","variants":[
                {"content_type":"application/x-mpegURL","url":"list"},
                {"bit_rate":632000,"content_type":"video/mp4","url":"low"},
                {"bit_rate":2176000,"content_type":"video/mp4","url":"high"},
                {"content_type":"video/mp4"}]}]"#,
        );
        let item = post.item.unwrap();
        let files: Vec<_> = item.media.iter().map(|file| (&*file.url, file.width)).collect();
        assert_eq!(files, [("high", 720), ("low", 0), ("p", 0)]);
        assert_eq!((item.kind, item.media[2].kind), (MediaKind::Video, MediaKind::Image));
        assert_eq!(item.duration, Some(Duration::from_secs(8)));
        assert_eq!(item.taken_at.to_string(), "2026-11-20T09:15:00.000Z");
        assert_eq!((item.id.as_str(), item.expires_at), ("1990000000000000007", None));
    }

    #[test]
    fn photos_have_an_url_and_several_are_one_item() {
        let post = first(
            r#"{"id":1,"attachments":{"media_keys":["3_1","3_2"]}}"#,
            r#"[{"media_key":"3_2","type":"photo","url":"b"},{"media_key":"3_1","type":"photo","url":"a","width":10,"height":20}]"#,
        );
        let item = post.item.unwrap();
        let files: Vec<_> = item.media.iter().map(|file| (&*file.url, file.height)).collect();
        assert_eq!((item.kind, files), (MediaKind::Image, vec![("a", 20), ("b", 0)]));
    }

    #[test]
    fn media_that_is_withheld_still_counts_and_none_does_not() {
        let withheld = first(r#"{"id":"1","attachments":{"media_keys":["3_1"]}}"#, "[]");
        assert!(withheld.item.unwrap().media.is_empty());
        for post in [
            r#"{"id":"1"}"#,
            r#"{"id":"1","attachments":{}}"#,
            r#"{"id":"1","attachments":{"poll_ids":["9"]}}"#,
            r#"{"id":"1","attachments":{"media_keys":[]}}"#,
        ] {
            assert!(first(post, "null").item.is_none(), "{post}");
        }
    }

    #[test]
    fn without_a_time_the_id_tells_it() {
        for post in [
            r#"{"id":"2123944990064640000"}"#,
            r#"{"id":"2123944990064640000","created_at":"yesterday"}"#,
            r#"{"id":"2123944990064640000","created_at":7}"#,
        ] {
            assert_eq!(first(post, "[]").at, Timestamp::from_millis(1_795_222_921_278), "{post}");
        }
    }

    #[test]
    fn ids_authors_and_media_must_fit() {
        let shape = |result: Result<Page, BodyError>| matches!(result, Err(BodyError::Shape(_)));
        let one = |post: &str| format!(r#"{{"data":[{post}],"meta":{{"result_count":1}}}}"#);
        assert!(page(&one(r#"{"id":"1","author_id":7}"#), Some("7")).is_ok());
        assert!(shape(page(&one(r#"{"id":"1","author_id":"8"}"#), Some("7"))));
        assert!(shape(page(&one(r#"{"id":"1"}"#), Some("7"))));
        assert!(page(&one(r#"{"id":"1","author_id":"8"}"#), None).is_ok());
        assert!(shape(page(&one(r#"{"id":"x"}"#), None)));
        assert!(shape(page(&one(r#"{"id":"1","edit_history_post_ids":["x"]}"#), None)));
        assert!(shape(page(r#"{"meta":{"result_count":0,"newest_id":"x"}}"#, None)));
        let media = r#"{"data":[{"id":"1"}],"includes":{"media":[{"media_key":"3_1"}]},"meta":{"result_count":1}}"#;
        assert!(shape(page(media, None)));
    }

    #[test]
    fn the_newest_id_is_told_or_found() {
        let newest = |meta: &str| {
            let body = format!(
                r#"{{"data":[{{"id":"5"}},{{"id":"9"}}],"meta":{{"result_count":2{meta}}}}}"#
            );
            page(&body, None).unwrap().newest()
        };
        assert_eq!(newest(""), Some(9));
        assert_eq!(newest(r#","newest_id":"11""#), Some(11));
        assert_eq!(page(r#"{"meta":{"result_count":0}}"#, None).unwrap().newest(), None);
    }
}
