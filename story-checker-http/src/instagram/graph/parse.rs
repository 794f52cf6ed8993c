//! The answers of the Graph API. Each must parse to its end and have its shape, or there is no
//! answer.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use story_checker_core::Secret;

use super::token::is_id;
use crate::body::{BodyError, read_json};
use crate::wire::{Loose, Number, Text, maybe_object, object, objects};

/// One page of an account's own stories: see [`StoriesPage::shows`].
#[derive(Clone, Debug)]
pub struct StoriesPage<'a> {
    pub(super) stories: Vec<Story<'a>>,
    more: bool,
    after: Option<Cow<'a, str>>,
}

impl StoriesPage<'_> {
    /// Whether another page follows.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// The place after which the next page starts.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

/// What a look-up of an account by name says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoveryAnswer<'a> {
    /// The account's id in the Graph API.
    pub id: Cow<'a, str>,
    /// The name.
    pub username: Cow<'a, str>,
}

/// A token that was refreshed.
#[derive(Clone, Debug)]
pub(super) struct Refreshed {
    pub(super) access_token: Secret,
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct StoriesBody<'a> {
    #[serde(borrow, deserialize_with = "objects")]
    data: Vec<Story<'a>>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    paging: Option<Paging<'a>>,
}

#[derive(Deserialize)]
struct Paging<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    cursors: Option<Cursors<'a>>,
    /// Only that it is there counts: it is an address with the token in it.
    #[serde(default)]
    next: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors<'a> {
    #[serde(borrow, default)]
    after: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Story<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) media_product_type: Loose<'a>,
    #[serde(borrow, default)]
    pub(super) media_type: Loose<'a>,
    #[serde(borrow, default)]
    pub(super) media_url: Loose<'a>,
    #[serde(borrow, default)]
    pub(super) thumbnail_url: Loose<'a>,
    #[serde(borrow, default)]
    pub(super) timestamp: Loose<'a>,
    #[serde(borrow, default)]
    pub(super) username: Option<Text<'a>>,
}

/// Reads one page of the stories of an account (domain: Meta docs, IG User stories).
///
/// # Errors
/// [`BodyError`] if the body is not the whole answer, says that something went wrong, or lacks what
/// a decision rests on: above all the list itself.
pub fn parse_stories(body: &[u8]) -> Result<StoriesPage<'_>, BodyError> {
    let StoriesBody { data, error, paging } = read_json(body)?;
    if error.is_some() {
        return Err(BodyError::NotOk);
    }
    let more = paging.as_ref().is_some_and(|paging| paging.next.is_some());
    let after = paging.and_then(|paging| paging.cursors).and_then(|cursors| cursors.after);
    let after = after.map(|Text(after)| after).filter(|after| !after.is_empty());
    Ok(StoriesPage { stories: data, more, after })
}

#[derive(Deserialize)]
struct DiscoveryBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    business_discovery: Business<'a>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Business<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    username: Text<'a>,
}

/// Reads the look-up of another account (domain: Meta docs, business discovery).
///
/// # Errors
/// As [`parse_stories`].
pub fn parse_discovery(body: &[u8]) -> Result<DiscoveryAnswer<'_>, BodyError> {
    let DiscoveryBody { business_discovery, error } = read_json(body)?;
    if error.is_some() {
        return Err(BodyError::NotOk);
    }
    let Business { id: Text(id), username: Text(username) } = business_discovery;
    if !is_id(&id) {
        return Err(BodyError::Shape("the account's id is no number"));
    }
    Ok(DiscoveryAnswer { id, username })
}

#[derive(Deserialize)]
struct RefreshBody<'a> {
    #[serde(borrow)]
    access_token: Text<'a>,
    expires_in: Number,
}

/// Reads a token that was refreshed (domain: Meta docs, refresh access token).
pub(super) fn parse_refresh(body: &[u8]) -> Result<Refreshed, BodyError> {
    let RefreshBody { access_token, expires_in } = read_json(body)?;
    let token = access_token.as_str();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BodyError::Shape("the new token has odd characters"));
    }
    match expires_in.whole() {
        0 => Err(BodyError::Shape("the new token has no life")),
        life => Ok(Refreshed { access_token: token.into(), life: Duration::from_secs(life) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape<T>(result: Result<T, BodyError>) -> bool {
        matches!(result, Err(BodyError::Shape(_)))
    }

    #[test]
    fn a_page_needs_its_list_and_tells_if_more_follow() {
        let parse = |text: &'static str| {
            parse_stories(text.as_bytes())
                .map(|page| (page.stories.len(), page.has_more(), page.after().map(str::to_owned)))
        };
        assert_eq!(parse(r#"{"data":[]}"#), Ok((0, false, None)));
        assert_eq!(parse(r#" {"data":[{"id":"1"},{}],"paging":{},"x":{}}"#), Ok((2, false, None)));
        let last = r#"{"data":[{"id":1}],"paging":{"cursors":{"before":"QQ","after":"Qg"}}}"#;
        assert_eq!(parse(last), Ok((1, false, Some("Qg".into()))));
        let more =
            r#"{"data":[],"paging":{"cursors":{"after":"Qg"},"next":"https://x/?access_token=x"}}"#;
        assert_eq!(parse(more), Ok((0, true, Some("Qg".into()))));
        assert_eq!(parse(r#"{"data":[],"paging":{"next":"x"}}"#), Ok((0, true, None)));

        for text in [
            "{}",
            "[[]]",
            "[]",
            "7",
            "null",
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            r#"{"data":"x"}"#,
            r#"{"data":[1]}"#,
            r#"{"data":[null]}"#,
            r#"{"data":[],"data":[]}"#,
            r#"{"data":[{"id":-1}]}"#,
            r#"{"data":[],"paging":"x"}"#,
            r#"{"data":[[]]}"#,
            r#"{"data":[["17","STORY","IMAGE","u","t","2026-11-21T08:15:00+0000","a"]]}"#,
            r#"{"data":[],"paging":[]}"#,
            r#"{"data":[],"paging":{"cursors":["Qg"]}}"#,
        ] {
            assert!(shape(parse(text)), "{text}");
        }
        assert_eq!(parse(r#"{"data":[],"error":{"code":1}}"#), Err(BodyError::NotOk));
        assert_eq!(parse(r#"{"data":["#), Err(BodyError::Truncated));
        assert_eq!(parse(r#"{"data":[]} x"#), Err(BodyError::NotJson));
        assert_eq!(parse("<html>"), Err(BodyError::NotJson));
        assert_eq!(parse(""), Err(BodyError::Truncated));
    }

    #[test]
    fn a_look_up_needs_id_and_name() {
        let parse = |text: &'static str| parse_discovery(text.as_bytes());
        let found = r#"{"business_discovery":{"id":"178","username":"tea_house","media_count":3},"id":"17841400000000001"}"#;
        let answer = DiscoveryAnswer { id: "178".into(), username: "tea_house".into() };
        assert_eq!(parse(found), Ok(answer));
        assert!(shape(parse(r#"{"id":"1"}"#)));
        assert!(shape(parse(r#"{"business_discovery":{"id":"x","username":"a"}}"#)));
        assert!(shape(parse(r#"{"business_discovery":{"id":"1"}}"#)));
        assert!(shape(parse(r#"[{"id":"1","username":"a"}]"#)));
        assert!(shape(parse(r#"{"business_discovery":["1","a"]}"#)));
        let both = r#"{"business_discovery":{"id":"1","username":"a"},"error":{}}"#;
        assert_eq!(parse(both), Err(BodyError::NotOk));
    }

    #[test]
    fn a_refreshed_token_needs_a_life() {
        let parse = |text: &'static str| parse_refresh(text.as_bytes());
        let good = r#"{"access_token":"IGQPLANTED","token_type":"bearer","expires_in":5183944}"#;
        let refreshed = parse(good).unwrap();
        assert_eq!(refreshed.access_token.expose(), "IGQPLANTED");
        assert_eq!(refreshed.life.as_secs(), 5_183_944);
        assert!(!format!("{refreshed:?}").contains("PLANTED"));
        for text in [
            r#"{"access_token":"a"}"#,
            r#"{"expires_in":1}"#,
            r#"{"access_token":"a","expires_in":0}"#,
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"a b","expires_in":1}"#,
            r#"{"access_token":"a","expires_in":-1}"#,
        ] {
            assert!(shape(parse(text)), "{text}");
        }
    }
}
