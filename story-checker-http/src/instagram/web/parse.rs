//! The three answers of the web API. Each must parse to its end and have its shape, or there is no
//! answer.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::body::{BodyError, read_json};
use crate::wire::{Flag, Loose, Number, Text, present};

/// The answer about a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileAnswer<'a> {
    /// There is nobody of this name, the answer says.
    Missing,
    /// The profile.
    #[non_exhaustive]
    User {
        /// The id, in digits.
        id: Cow<'a, str>,
        /// The name.
        username: Cow<'a, str>,
        /// Whether only followers see the stories.
        private: bool,
        /// Whether the session follows the account.
        followed: bool,
        /// The time of the newest story in seconds; none if there is no story, or the answer does
        /// not tell.
        latest_reel_media: Option<u64>,
    },
}

/// The answer about the session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewerAnswer {
    /// The session is logged in.
    LoggedIn,
    /// It is not.
    LoggedOut,
}

/// The answer about the reels of accounts: see
/// [`ReelsAnswer::sighting`](super::ReelsAnswer::sighting).
#[derive(Clone, Debug)]
pub struct ReelsAnswer<'a> {
    pub(super) reels: Vec<(Cow<'a, str>, Option<Reel<'a>>)>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct DataBody<'a, T> {
    #[serde(default, deserialize_with = "present")]
    data: Option<Option<Data<T>>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(default)]
    errors: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Data<T> {
    #[serde(default, deserialize_with = "present")]
    user: Option<Option<T>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    username: Text<'a>,
    is_private: Flag,
    #[serde(default)]
    followed_by_viewer: Option<Flag>,
    #[serde(default)]
    latest_reel_media: Option<Number>,
}

#[derive(Deserialize)]
struct Viewer<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

/// What stands where the user stands: none for null, an error if there is no such place.
fn user_of<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Option<T>, BodyError> {
    let DataBody { data, status, errors } = read_json::<DataBody<'a, T>>(body)?;
    if status.is_none_or(|status| status.as_str() != "ok")
        || errors.is_some_and(|errors| !errors.is_empty())
    {
        return Err(BodyError::NotOk);
    }
    let data = data.flatten().ok_or(BodyError::Shape("data is not an object"))?;
    data.user.ok_or(BodyError::Shape("data has no user"))
}

fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads the answer of `web_profile_info`.
///
/// # Errors
/// [`BodyError`] if the body is not the whole answer, says that something went wrong, or lacks what
/// a decision rests on.
pub fn parse_profile(body: &[u8]) -> Result<ProfileAnswer<'_>, BodyError> {
    let Some(user) = user_of::<User<'_>>(body)? else { return Ok(ProfileAnswer::Missing) };
    if !is_id(user.id.as_str()) {
        return Err(BodyError::Shape("the user's id is no number"));
    }
    let private = user.is_private.0;
    let followed = match user.followed_by_viewer {
        Some(flag) => flag.0,
        None if private => {
            return Err(BodyError::Shape("a private profile does not say if it is followed"));
        }
        None => false,
    };
    let latest_reel_media = user.latest_reel_media.map(Number::whole).filter(|at| *at > 0);
    let User { id: Text(id), username: Text(username), .. } = user;
    Ok(ProfileAnswer::User { id, username, private, followed, latest_reel_media })
}

/// Reads the answer about the session itself.
///
/// # Errors
/// As [`parse_profile`].
pub fn parse_viewer(body: &[u8]) -> Result<ViewerAnswer, BodyError> {
    match user_of::<Viewer<'_>>(body)? {
        Some(viewer) if is_id(viewer.id.as_str()) => Ok(ViewerAnswer::LoggedIn),
        Some(_) => Err(BodyError::Shape("the viewer's id is no number")),
        None => Ok(ViewerAnswer::LoggedOut),
    }
}

/// Reads the answer of `reels_media`.
///
/// # Errors
/// As [`parse_profile`]; in particular if neither `reels` nor `reels_media` is there.
pub fn parse_reels(body: &[u8]) -> Result<ReelsAnswer<'_>, BodyError> {
    let ReelsBody { reels, listed, status } = read_json(body)?;
    if status.is_none_or(|status| status.as_str() != "ok") {
        return Err(BodyError::NotOk);
    }
    let reels = reels.ok_or(BodyError::Shape("there is neither reels nor reels_media"))?;
    if listed > reels.len() {
        return Err(BodyError::Shape("reels_media holds more than reels"));
    }
    Ok(ReelsAnswer { reels })
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reel<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) items: Option<Vec<Story<'a>>>,
    #[serde(default)]
    pub(super) media_count: Option<Number>,
    #[serde(borrow, default)]
    pub(super) owner: Option<Owner<'a>>,
    #[serde(borrow, default)]
    pub(super) reel_type: Option<Loose<'a>>,
    #[serde(borrow, default)]
    pub(super) user: Option<Owner<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Owner<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) pk: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Story<'a> {
    #[serde(default)]
    pub(super) expiring_at: Option<Number>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) image_versions2: Option<Images<'a>>,
    #[serde(default)]
    pub(super) media_type: Option<Number>,
    #[serde(default)]
    pub(super) original_media_type: Option<Number>,
    #[serde(borrow, default)]
    pub(super) owner: Option<Owner<'a>>,
    #[serde(borrow, default)]
    pub(super) pk: Option<Text<'a>>,
    #[serde(default)]
    pub(super) taken_at: Option<Number>,
    #[serde(borrow, default)]
    pub(super) user: Option<Owner<'a>>,
    #[serde(default)]
    pub(super) video_duration: Option<Number>,
    #[serde(borrow, default)]
    pub(super) video_versions: Option<Vec<File<'a>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Images<'a> {
    #[serde(borrow, default)]
    pub(super) candidates: Option<Vec<File<'a>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct File<'a> {
    #[serde(default)]
    pub(super) height: Option<Number>,
    #[serde(borrow, default)]
    pub(super) url: Option<Text<'a>>,
    #[serde(default)]
    pub(super) width: Option<Number>,
}

/// Written by hand for speed: the platform sends every reel twice, in a map and in a list, and what
/// comes second is only checked for being JSON, and counted.
struct ReelsBody<'a> {
    /// How many reels the list has.
    listed: usize,
    reels: Option<Vec<(Cow<'a, str>, Option<Reel<'a>>)>>,
    status: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Reels,
    ReelsMedia,
    Status,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for ReelsBody<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Body;

        impl<'de> Visitor<'de> for Body {
            type Value = ReelsBody<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut by_id, mut list, mut status) = (None, None::<Vec<Reel<'de>>>, None);
                let mut listed = None;
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Reels if by_id.is_some() => {
                            return Err(A::Error::duplicate_field("reels"));
                        }
                        Field::Reels => by_id = Some(map.next_value::<ById<'de>>()?.0),
                        Field::ReelsMedia if listed.is_some() => {
                            return Err(A::Error::duplicate_field("reels_media"));
                        }
                        Field::ReelsMedia if by_id.is_some() => {
                            listed = Some(map.next_value::<Vec<IgnoredAny>>()?.len());
                        }
                        Field::ReelsMedia => {
                            listed = Some(list.insert(map.next_value()?).len());
                        }
                        Field::Status if status.is_some() => {
                            return Err(A::Error::duplicate_field("status"));
                        }
                        Field::Status => status = Some(map.next_value()?),
                        Field::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let reels = by_id.or_else(|| {
                    let keyed = |reel: Reel<'de>| {
                        let id = reel.id.as_ref().map(|id| id.0.clone()).unwrap_or_default();
                        (id, Some(reel))
                    };
                    list.map(|list| list.into_iter().map(keyed).collect())
                });
                Ok(ReelsBody { listed: listed.unwrap_or(0), reels, status })
            }
        }

        deserializer.deserialize_map(Body)
    }
}

struct ById<'a>(Vec<(Cow<'a, str>, Option<Reel<'a>>)>);

impl<'de> Deserialize<'de> for ById<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = ById<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of reels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut reels = Vec::new();
                while let Some((Text(id), reel)) = map.next_entry()? {
                    reels.push((id, reel));
                }
                Ok(ById(reels))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_needs_what_a_decision_rests_on() {
        let parse = |text: &'static str| parse_profile(text.as_bytes());
        assert_eq!(
            parse(
                r#"{"data":{"user":{"id":42,"username":"a","is_private":0,"latest_reel_media":null,"x":[]}},"status":"ok"}"#
            ),
            Ok(ProfileAnswer::User {
                id: "42".into(),
                username: "a".into(),
                private: false,
                followed: false,
                latest_reel_media: None
            })
        );
        assert_eq!(
            parse(
                r#"{"status":"ok","data":{"user":{"id":"42","username":"a","is_private":true,"followed_by_viewer":true,"latest_reel_media":1795251600}}}"#
            ),
            Ok(ProfileAnswer::User {
                id: "42".into(),
                username: "a".into(),
                private: true,
                followed: true,
                latest_reel_media: Some(1_795_251_600)
            })
        );
        assert_eq!(parse(r#"{"data":{"user":null},"status":"ok"}"#), Ok(ProfileAnswer::Missing));

        let shape = |result| matches!(result, Err(BodyError::Shape(_)));
        assert!(shape(parse(r#"{"data":{},"status":"ok"}"#)));
        assert!(shape(parse(r#"{"data":null,"status":"ok"}"#)));
        assert!(shape(parse(r#"{"status":"ok"}"#)));
        assert!(shape(parse(
            r#"{"data":{"user":{"id":"a","username":"a","is_private":false}},"status":"ok"}"#
        )));
        assert!(shape(parse(r#"{"data":{"user":{"id":"1","username":"a"}},"status":"ok"}"#)));
        assert!(shape(parse(
            r#"{"data":{"user":{"id":"1","username":"a","is_private":true}},"status":"ok"}"#
        )));
        assert!(shape(parse(r#"{"data":{"user":null},"data":{"user":null},"status":"ok"}"#)));
        assert!(parse("[]").is_err() && parse("7").is_err());
        assert_eq!(parse(r#"{"data":{"user":null}}"#), Err(BodyError::NotOk));
        assert_eq!(parse(r#"{"data":{"user":null},"status":"fail"}"#), Err(BodyError::NotOk));
        assert_eq!(
            parse(r#"{"data":{"user":null},"errors":[{}],"status":"ok"}"#),
            Err(BodyError::NotOk)
        );
        assert_eq!(parse(r#"{"data":{"user":nu"#), Err(BodyError::Truncated));
        assert_eq!(parse(r#"{"data":{"user":null},"status":"ok"} x"#), Err(BodyError::NotJson));
        assert_eq!(parse("<html>"), Err(BodyError::NotJson));
        assert_eq!(parse(""), Err(BodyError::Truncated));
    }

    #[test]
    fn a_viewer_is_somebody_or_null() {
        let parse = |text: &'static str| parse_viewer(text.as_bytes());
        let somebody = r#"{"data":{"user":{"id":"1","username":"me"}},"status":"ok"}"#;
        assert_eq!(parse(somebody), Ok(ViewerAnswer::LoggedIn));
        let nobody = r#"{"data":{"user":null},"status":"ok"}"#;
        assert_eq!(parse(nobody), Ok(ViewerAnswer::LoggedOut));
        assert!(parse(r#"{"data":{"user":{}},"status":"ok"}"#).is_err());
        assert!(parse(r#"{"data":{},"status":"ok"}"#).is_err());
    }

    #[test]
    fn reels_come_as_map_or_list() {
        let count = |text: &'static str| parse_reels(text.as_bytes()).map(|r| r.reels.len());
        assert_eq!(count(r#"{"reels":{},"reels_media":[],"status":"ok"}"#), Ok(0));
        assert_eq!(count(r#"{"reels_media":[{"id":7,"items":[]}],"status":"ok"}"#), Ok(1));
        assert_eq!(
            count(r#"{"reels_media":[{"id":7}],"reels":{"7":{},"8":null},"status":"ok"}"#),
            Ok(2)
        );
        assert_eq!(count(r#"{"reels":{},"status":"fail"}"#), Err(BodyError::NotOk));
        assert_eq!(count(r#"{"reels":{}}"#), Err(BodyError::NotOk));
        for text in [
            r#"{"status":"ok"}"#,
            r#"{"reels":null,"status":"ok"}"#,
            r#"{"reels":{},"reels_media":[{"id":7}],"status":"ok"}"#,
            r#"{"reels_media":[{"id":7}],"reels":{},"status":"ok"}"#,
            r#"{"reels":{},"reels_media":"odd","status":"ok"}"#,
            r#"{"reels":[],"status":"ok"}"#,
            r#"{"reels_media":{},"status":"ok"}"#,
            r#"{"reels":{},"reels":{},"status":"ok"}"#,
            r#"{"reels":{"7":{"items":{}}},"status":"ok"}"#,
        ] {
            assert!(matches!(count(text), Err(BodyError::Shape(_))), "{text}");
        }
        assert_eq!(count(r#"{"reels":{"7":{"it"#), Err(BodyError::Truncated));
        let latin1 = b"{\"reels\":{},\"title\":\"caf\xe9\",\"status\":\"ok\"}";
        assert_eq!(parse_reels(latin1).unwrap_err(), BodyError::NotJson);
    }
}
