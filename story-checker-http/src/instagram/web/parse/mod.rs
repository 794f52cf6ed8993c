//! The answers of the web API. Each must parse to its end and have its shape, or there is no answer.

mod item;
mod reels;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub(super) use self::item::{File, Story};
pub(super) use self::reels::{Broadcast, Holds, Reel};
pub use self::reels::{ReelsAnswer, parse_reels, parse_tray, parse_user_story};
use crate::body::{BodyError, read_json};
use crate::wire::{Flag, Number, Object, Text, maybe_object, object, present};

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
        /// Whether the account is withheld from the session, by age for instance.
        gated: bool,
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

/// The answer about an account that was asked for by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InfoAnswer<'a> {
    pub(super) username: Cow<'a, str>,
    pub(super) gated: bool,
}

/// The accounts that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SearchAnswer<'a>(Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>);

impl SearchAnswer<'_> {
    /// Whether it found an account of exactly this name, and the id if it tells.
    pub(super) fn find(&self, handle: &str) -> Option<Option<&str>> {
        let (_, id) = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(handle))?;
        Some(id.as_deref())
    }
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
    #[serde(default)]
    is_private: Option<Flag>,
    #[serde(default)]
    followed_by_viewer: Option<Flag>,
    #[serde(default, deserialize_with = "maybe_object")]
    gating: Option<Gating>,
    #[serde(default)]
    is_restricted: Option<Flag>,
    #[serde(default)]
    latest_reel_media: Option<Number>,
}

/// That an account is withheld; why and how is of no use to us.
#[derive(Deserialize)]
struct Gating {}

#[derive(Deserialize)]
struct Viewer<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

#[derive(Deserialize)]
struct InfoBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    user: Info<'a>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    username: Text<'a>,
    #[serde(default, deserialize_with = "maybe_object")]
    gating: Option<Gating>,
    #[serde(default)]
    is_restricted: Option<Flag>,
}

#[derive(Deserialize)]
struct SearchBody<'a> {
    #[serde(borrow)]
    users: Vec<Object<Found<'a>>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, deserialize_with = "object")]
    user: FoundUser<'a>,
}

#[derive(Deserialize)]
struct FoundUser<'a> {
    #[serde(borrow)]
    username: Text<'a>,
    #[serde(borrow, default, alias = "id")]
    pk: Option<Text<'a>>,
}

/// An error unless the answer says "ok".
fn check_status(status: Option<&Text<'_>>) -> Result<(), BodyError> {
    if status.is_some_and(|status| status.as_str() == "ok") {
        Ok(())
    } else {
        Err(BodyError::NotOk)
    }
}

/// What stands where the user stands: none for null, an error if there is no such place.
fn user_of<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Option<T>, BodyError> {
    let DataBody { data, status, errors } = read_json::<DataBody<'a, T>>(body)?;
    check_status(status.as_ref())?;
    if errors.is_some_and(|errors| !errors.is_empty()) {
        return Err(BodyError::NotOk);
    }
    let data = data.flatten().ok_or(BodyError::Shape("data is not an object"))?;
    data.user.ok_or(BodyError::Shape("data has no user"))
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the marks of an account say that it is withheld.
fn is_gated(gating: Option<&Gating>, restricted: Option<Flag>) -> bool {
    gating.is_some() || restricted.is_some_and(|flag| flag.0)
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
    let gated = is_gated(user.gating.as_ref(), user.is_restricted);
    let private = match user.is_private {
        Some(flag) => flag.0,
        None if gated => false,
        None => return Err(BodyError::Shape("the profile does not say if it is private")),
    };
    let followed = match user.followed_by_viewer {
        Some(flag) => flag.0,
        None if private => {
            return Err(BodyError::Shape("a private profile does not say if it is followed"));
        }
        None => false,
    };
    let latest_reel_media = user.latest_reel_media.map(Number::whole).filter(|at| *at > 0);
    let User { id: Text(id), username: Text(username), .. } = user;
    Ok(ProfileAnswer::User { id, username, private, followed, gated, latest_reel_media })
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

/// Reads the answer of `users/{id}/info`.
pub(super) fn parse_info(body: &[u8]) -> Result<InfoAnswer<'_>, BodyError> {
    let InfoBody { user, status } = read_json(body)?;
    check_status(status.as_ref())?;
    let gated = is_gated(user.gating.as_ref(), user.is_restricted);
    Ok(InfoAnswer { username: user.username.0, gated })
}

/// Reads the answer of `topsearch`. Each account must have a name: one that cannot be read could be
/// the one that is looked for.
pub(super) fn parse_search(body: &[u8]) -> Result<SearchAnswer<'_>, BodyError> {
    let SearchBody { users, status } = read_json(body)?;
    check_status(status.as_ref())?;
    let known = |Object(Found { user: FoundUser { username: Text(name), pk } })| {
        (name, pk.map(|Text(id)| id).filter(|id| is_id(id)))
    };
    Ok(SearchAnswer(users.into_iter().map(known).collect()))
}

#[cfg(test)]
mod tests;
