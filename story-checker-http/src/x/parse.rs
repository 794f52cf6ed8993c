//! The two answers of the API. Each must parse to its end and have its shape, or there is no answer.
//!
//! The API is changing its words from tweets to posts; where the names differ both are read.

use serde::Deserialize;
use serde_json::Value;

use super::problem::Problem;
use crate::body::{BodyError, read_json};
use crate::wire::{Flag, Loose, Number, Text, maybe_object, maybe_objects};

/// The answer about accounts.
#[derive(Debug)]
pub(super) struct UsersAnswer<'a> {
    pub(super) users: Vec<FoundUser<'a>>,
    pub(super) problems: Vec<Problem>,
}

/// The answer about posts.
#[derive(Debug)]
pub(super) enum PostsAnswer<'a> {
    /// One page of them, complete.
    Page(PostsPage<'a>),
    /// None, because of these.
    Refused(Vec<Problem>),
}

#[derive(Debug)]
pub(super) struct PostsPage<'a> {
    pub(super) posts: Vec<FoundPost<'a>>,
    pub(super) media: Vec<FoundMedia<'a>>,
    pub(super) newest_id: Option<Text<'a>>,
    pub(super) next_token: Option<Text<'a>>,
    pub(super) problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct UsersBody<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    data: Option<Vec<FoundUser<'a>>>,
    #[serde(default)]
    errors: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundUser<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) username: Text<'a>,
    #[serde(default)]
    pub(super) protected: Option<Flag>,
}

#[derive(Deserialize)]
struct PostsBody<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    data: Option<Vec<FoundPost<'a>>>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    includes: Option<Includes<'a>>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    meta: Option<Meta<'a>>,
    #[serde(default)]
    errors: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundPost<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    attachments: Option<Attachments<'a>>,
    #[serde(borrow, default)]
    pub(super) author_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) created_at: Option<Loose<'a>>,
    #[serde(borrow, default)]
    edit_history_post_ids: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    edit_history_tweet_ids: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Attachments<'a> {
    #[serde(borrow, default)]
    media_keys: Option<Vec<Text<'a>>>,
}

#[derive(Deserialize)]
struct Includes<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    media: Option<Vec<FoundMedia<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundMedia<'a> {
    #[serde(default)]
    pub(super) duration_ms: Option<Number>,
    #[serde(default)]
    pub(super) height: Option<Number>,
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Loose<'a>>,
    #[serde(borrow)]
    pub(super) media_key: Text<'a>,
    #[serde(borrow, default)]
    pub(super) preview_image_url: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) url: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    pub(super) variants: Option<Vec<FoundVariant<'a>>>,
    #[serde(default)]
    pub(super) width: Option<Number>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundVariant<'a> {
    #[serde(default)]
    pub(super) bit_rate: Option<Number>,
    #[serde(borrow, default)]
    pub(super) content_type: Option<Loose<'a>>,
    #[serde(borrow, default)]
    pub(super) url: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    newest_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    next_token: Option<Text<'a>>,
    result_count: Number,
}

impl<'a> FoundPost<'a> {
    pub(super) fn media_keys(&self) -> &[Text<'a>] {
        let keys = self.attachments.as_ref().and_then(|all| all.media_keys.as_deref());
        keys.unwrap_or_default()
    }

    /// The id it had before it was edited, if it was.
    pub(super) fn first_id(&self) -> Option<&str> {
        let history = [&self.edit_history_post_ids, &self.edit_history_tweet_ids];
        history.into_iter().flatten().find_map(|ids| ids.first()).map(Text::as_str)
    }
}

/// Whether the text is an id of the platform.
pub(super) fn is_id(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads the answer about accounts.
///
/// # Errors
/// [`BodyError`] if the body is not the whole answer, or lacks what a decision rests on.
pub(super) fn parse_users(body: &[u8]) -> Result<UsersAnswer<'_>, BodyError> {
    let UsersBody { data, errors } = read_json(body)?;
    let problems = Problem::listed(errors);
    let users = match data {
        Some(users) => users,
        None if problems.is_empty() => {
            return Err(BodyError::Shape("there is neither data nor a problem"));
        }
        None => Vec::new(),
    };
    if users.iter().any(|user| !is_id(user.id.as_str())) {
        return Err(BodyError::Shape("a user's id is no number"));
    }
    Ok(UsersAnswer { users, problems })
}

/// Reads one page of posts. Without `data` it is empty only if it counts none and tells no problem.
///
/// # Errors
/// As [`parse_users`].
pub(super) fn parse_posts(body: &[u8]) -> Result<PostsAnswer<'_>, BodyError> {
    let PostsBody { data, includes, meta, errors } = read_json(body)?;
    let problems = Problem::listed(errors);
    if data.is_none() && !problems.is_empty() {
        return Ok(PostsAnswer::Refused(problems));
    }
    let Meta { newest_id, next_token, result_count } =
        meta.ok_or(BodyError::Shape("there is no meta"))?;
    let posts = data.unwrap_or_default();
    if result_count.whole() != posts.len() as u64 {
        return Err(BodyError::Shape("it counts another number of posts than it holds"));
    }
    let media = includes.and_then(|includes| includes.media).unwrap_or_default();
    Ok(PostsAnswer::Page(PostsPage { posts, media, newest_id, next_token, problems }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_need_data_or_a_problem() {
        let parse = |text: &'static str| parse_users(text.as_bytes());
        let answer = parse(
            r#"{"data":[{"id":"7","username":"A","protected":true,"x":[]},{"id":8,"username":"b"}],"errors":[{"value":"c"}]}"#,
        )
        .unwrap();
        let users: Vec<_> = answer
            .users
            .iter()
            .map(|user| (user.id.as_str(), user.username.as_str(), user.protected.map(|p| p.0)))
            .collect();
        assert_eq!(users, [("7", "A", Some(true)), ("8", "b", None)]);
        assert_eq!(answer.problems.len(), 1);
        assert!(parse(r#"{"errors":[{"value":"c"}]}"#).unwrap().users.is_empty());
        assert!(parse(r#"{"data":[]}"#).unwrap().problems.is_empty());
        for text in [
            "{}",
            r#"{"data":null}"#,
            r#"{"errors":[]}"#,
            r#"{"data":{"id":"7","username":"a"}}"#,
            r#"{"data":[{"id":"x","username":"a"}]}"#,
            r#"{"data":[{"username":"a"}]}"#,
            r#"{"data":[{"id":"7"}]}"#,
            r#"{"data":[["7","a",false]]}"#,
            r#"[[{"id":"7","username":"a"}]]"#,
            r#"{"data":[],"data":[]}"#,
        ] {
            assert!(matches!(parse(text), Err(BodyError::Shape(_))), "{text}");
        }
        assert!(matches!(parse(r#"{"data":[{"id"#), Err(BodyError::Truncated)));
        assert!(matches!(parse("<html>"), Err(BodyError::NotJson)));
    }

    #[test]
    fn an_empty_page_must_say_so() {
        let count = |text: &'static str| match parse_posts(text.as_bytes())? {
            PostsAnswer::Page(page) => Ok(Some(page.posts.len())),
            PostsAnswer::Refused(_) => Ok::<_, BodyError>(None),
        };
        assert_eq!(count(r#"{"meta":{"result_count":0}}"#), Ok(Some(0)));
        assert_eq!(count(r#"{"data":[],"meta":{"result_count":0}}"#), Ok(Some(0)));
        assert_eq!(count(r#"{"data":[{"id":"1"}],"meta":{"result_count":1}}"#), Ok(Some(1)));
        assert_eq!(
            count(r#"{"data":[{"id":1}],"errors":[{}],"meta":{"result_count":"1"}}"#),
            Ok(Some(1))
        );
        assert_eq!(count(r#"{"errors":[{}],"meta":{"result_count":0}}"#), Ok(None));
        assert_eq!(count(r#"{"errors":[{}]}"#), Ok(None));
        for text in [
            "{}",
            r#"{"meta":{}}"#,
            r#"{"meta":null}"#,
            r#"{"meta":{"result_count":1}}"#,
            r#"{"data":[],"meta":{"result_count":1}}"#,
            r#"{"data":[{"id":"1"}]}"#,
            r#"{"data":[{"id":"1"}],"meta":{"result_count":0}}"#,
            r#"{"data":{},"meta":{"result_count":0}}"#,
            r#"{"data":[{}],"meta":{"result_count":1}}"#,
            r#"{"data":[[null,"7",null,null,null,"1"]],"meta":{"result_count":1}}"#,
            r#"{"data":[{"id":"1","attachments":[["3_1"]]}],"meta":{"result_count":1}}"#,
            r#"{"meta":[null,null,0]}"#,
        ] {
            assert!(matches!(count(text), Err(BodyError::Shape(_))), "{text}");
        }
    }

    #[test]
    fn both_spellings_of_the_edit_history_are_read() {
        let first = |text: &str| {
            let post: FoundPost<'_> = serde_json::from_str(text).unwrap();
            post.first_id().map(str::to_owned)
        };
        assert_eq!(first(r#"{"id":"2","edit_history_tweet_ids":["1","2"]}"#).unwrap(), "1");
        assert_eq!(first(r#"{"id":"2","edit_history_post_ids":[1,2]}"#).unwrap(), "1");
        let both = r#"{"id":"2","edit_history_post_ids":["1"],"edit_history_tweet_ids":["1"]}"#;
        assert_eq!(first(both).unwrap(), "1");
        assert_eq!(first(r#"{"id":"2","edit_history_tweet_ids":[]}"#), None);
    }
}
