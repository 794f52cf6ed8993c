//! The parameters of a request, checked as the API checks them.

use serde_json::{Value, json};

use crate::calendar;
use crate::request::Request;
use crate::time::Timestamp;

const POST_FIELDS: &[&str] = &[
    "attachments",
    "author_id",
    "conversation_id",
    "created_at",
    "edit_history_post_ids",
    "edit_history_tweet_ids",
    "entities",
    "id",
    "lang",
    "possibly_sensitive",
    "public_metrics",
    "referenced_posts",
    "referenced_tweets",
    "text",
];
const MEDIA_FIELDS: &[&str] = &[
    "alt_text",
    "duration_ms",
    "height",
    "media_key",
    "preview_image_url",
    "type",
    "url",
    "variants",
    "width",
];
const USER_FIELDS: &[&str] = &[
    "created_at",
    "description",
    "id",
    "name",
    "profile_image_url",
    "protected",
    "public_metrics",
    "username",
    "verified",
];
const EXPANSIONS: &[&str] =
    &["attachments.media_keys", "author_id", "referenced_posts.id", "referenced_tweets.id"];

/// A parameter that the API refuses.
#[derive(Debug)]
pub(super) struct Invalid {
    name: &'static str,
    value: String,
    message: String,
}

impl Invalid {
    pub(super) fn new(name: &'static str, value: &str, message: impl Into<String>) -> Self {
        Self { name, value: value.into(), message: message.into() }
    }

    /// The error as an entry of `errors`.
    pub(super) fn body(&self) -> Value {
        let Self { name, value, message } = self;
        json!({ "parameters": { *name: [value] }, "message": message })
    }
}

/// Which fields an answer has, beside those that it always has.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) post: Vec<String>,
    pub(super) media: Vec<String>,
    pub(super) user: Vec<String>,
    pub(super) expansions: Vec<String>,
}

impl Fields {
    pub(super) fn of(request: &Request<'_>) -> Result<Self, Invalid> {
        let mut post = list(request, "tweet.fields", POST_FIELDS)?;
        post.extend(list(request, "post.fields", POST_FIELDS)?);
        Ok(Self {
            post,
            media: list(request, "media.fields", MEDIA_FIELDS)?,
            user: list(request, "user.fields", USER_FIELDS)?,
            expansions: list(request, "expansions", EXPANSIONS)?,
        })
    }
}

/// Which posts an answer is about.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// Only posts with larger ids.
    pub(super) since_id: Option<u64>,
    /// Only posts with smaller ids.
    pub(super) until_id: Option<u64>,
    pub(super) page: usize,
    /// Whether somebody reads on.
    pub(super) is_later_page: bool,
}

impl Span {
    /// `pages` says how large pages may be.
    pub(super) fn of(
        request: &Request<'_>,
        pages: std::ops::RangeInclusive<usize>,
    ) -> Result<Self, Invalid> {
        let page = match text(request, "max_results") {
            None => 10,
            Some(value) => value.parse().ok().filter(|page| pages.contains(page)).ok_or_else(|| {
                let (min, max) = (pages.start(), pages.end());
                let message = format!(
                    "The `max_results` query parameter value [{value}] is not between {min} and {max}"
                );
                Invalid::new("max_results", &value, message)
            })?,
        };
        let next = match text(request, "pagination_token") {
            Some(token) => Some(("pagination_token", token)),
            None => text(request, "next_token").map(|token| ("next_token", token)),
        };
        let next = match next {
            None => None,
            Some((name, token)) => Some(behind(&token).ok_or_else(|| {
                let message = format!("The `{name}` query parameter value [{token}] is not valid");
                Invalid::new(name, &token, message)
            })?),
        };
        let until_id = id(request, "until_id")?;
        Ok(Self {
            start: time(request, "start_time")?,
            end: time(request, "end_time")?,
            since_id: id(request, "since_id")?,
            until_id: next.into_iter().chain(until_id).min(),
            page,
            is_later_page: next.is_some(),
        })
    }

    pub(super) fn has(&self, post: u64) -> bool {
        self.since_id.is_none_or(|since| post > since)
            && self.until_id.is_none_or(|until| post < until)
    }
}

/// The token of the page behind a post.
pub(super) fn next_token(post: u64) -> String {
    format!("b26v{:016x}", post.rotate_left(17))
}

/// The post that a page begins behind.
fn behind(token: &str) -> Option<u64> {
    let digits = token.strip_prefix("b26v").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().map(|post| post.rotate_right(17))
}

pub(super) fn text<'a>(request: &Request<'a>, name: &'a str) -> Option<String> {
    request.params(name).next().map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// A list of words that are all known.
pub(super) fn list(
    request: &Request<'_>,
    name: &'static str,
    known: &[&str],
) -> Result<Vec<String>, Invalid> {
    let words = text(request, name).unwrap_or_default();
    let words: Vec<_> =
        words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(word) => {
            let known = known.join(",");
            let message =
                format!("The `{name}` query parameter value [{word}] is not one of [{known}]");
            Err(Invalid::new(name, word, message))
        }
        None => Ok(words),
    }
}

fn id(request: &Request<'_>, name: &'static str) -> Result<Option<u64>, Invalid> {
    let Some(value) = text(request, name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        let message = format!("The `{name}` query parameter value [{value}] is not a valid id");
        Invalid::new(name, &value, message)
    })
}

fn time(request: &Request<'_>, name: &'static str) -> Result<Option<Timestamp>, Invalid> {
    let Some(value) = text(request, name) else { return Ok(None) };
    calendar::parse(&value).map(Some).ok_or_else(|| {
        let message = format!(
            "The `{name}` query parameter value [{value}] is not a valid RFC3339 date and time"
        );
        Invalid::new(name, &value, message)
    })
}
