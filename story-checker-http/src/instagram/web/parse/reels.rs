//! The containers in which reels come, and what stands in them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::check_status;
use super::item::{Owner, Story};
use crate::body::{BodyError, read_json};
use crate::wire::{Loose, Number, Object, Text, maybe_object, maybe_objects, present};

/// The answer about the reels of accounts: see
/// [`ReelsAnswer::sighting`](crate::instagram::ReelsAnswer::sighting).
#[derive(Clone, Debug)]
pub struct ReelsAnswer<'a> {
    pub(in super::super) holds: Holds,
    /// Of the one account; in other containers it stands in the reel.
    pub(in super::super) broadcast: Option<Broadcast<'a>>,
    pub(in super::super) reels: Keyed<'a>,
}

/// Reels, each under an id. One may be null.
type Keyed<'a> = Vec<(Cow<'a, str>, Option<Reel<'a>>)>;

/// Whose reels an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Holds {
    /// Of all the accounts that were asked for: who is not in it shows no story.
    Asked,
    /// Of some of the accounts that the session follows: who is not in it may have a story.
    Some,
    /// Of the one account that was asked for, under whatever id.
    TheOne,
}

/// Reads the answer of `reels_media`, as the JSON API gives it or GraphQL.
///
/// # Errors
/// As [`parse_profile`](crate::instagram::parse_profile); in particular if neither `reels` nor
/// `reels_media` is there.
pub fn parse_reels(body: &[u8]) -> Result<ReelsAnswer<'_>, BodyError> {
    let ReelsBody { by_id, failed, list, listed, status } = read_json(body)?;
    check_status(status.as_ref())?;
    if failed {
        return Err(BodyError::NotOk);
    }
    let reels = match (by_id, list) {
        (Some(ById(reels)), _) => reels,
        (None, Some(list)) => keyed(list)?,
        (None, None) => return Err(BodyError::Shape("there is neither reels nor reels_media")),
    };
    if listed > reels.len() {
        return Err(BodyError::Shape("reels_media holds more than reels"));
    }
    Ok(ReelsAnswer { holds: Holds::Asked, broadcast: None, reels })
}

/// Reads the answer of `feed/user/{id}/story`, which is about one account: `reel` is null if it has
/// no story, and `broadcast` an object while it is live.
///
/// # Errors
/// As [`parse_profile`](crate::instagram::parse_profile); in particular if there is no `reel`.
pub fn parse_user_story(body: &[u8]) -> Result<ReelsAnswer<'_>, BodyError> {
    let UserStoryBody { reel, broadcast, status } = read_json(body)?;
    check_status(status.as_ref())?;
    let reel = reel.ok_or(BodyError::Shape("there is no reel"))?;
    let reels = reel.map(|reel| (Cow::Borrowed(""), Some(reel))).into_iter().collect();
    Ok(ReelsAnswer { holds: Holds::TheOne, broadcast, reels })
}

/// Reads the answer of `feed/reels_tray`: the accounts that the session follows and that have, or
/// lately had, a story. Many come without their items.
///
/// # Errors
/// As [`parse_profile`](crate::instagram::parse_profile); in particular if there is no `tray`.
pub fn parse_tray(body: &[u8]) -> Result<ReelsAnswer<'_>, BodyError> {
    let TrayBody { tray, status } = read_json(body)?;
    check_status(status.as_ref())?;
    let tray = tray.ok_or(BodyError::Shape("there is no tray"))?;
    Ok(ReelsAnswer { holds: Holds::Some, broadcast: None, reels: keyed(tray)? })
}

/// The reels of a list, each under its own id or else its owner's. One that says neither could be
/// anybody's, so there must be none.
fn keyed<'a>(reels: Vec<Reel<'a>>) -> Result<Keyed<'a>, BodyError> {
    let keyed = |reel: Reel<'a>| {
        let id = reel.id.as_ref().or_else(|| reel.owner_id()).map(|id| id.0.clone());
        (id.unwrap_or_default(), Some(reel))
    };
    let reels: Vec<_> = reels.into_iter().map(keyed).collect();
    if reels.iter().any(|(id, _)| id.is_empty()) {
        return Err(BodyError::Shape("a reel does not say whose it is"));
    }
    Ok(reels)
}

#[derive(Deserialize)]
struct UserStoryBody<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    reel: Option<Option<Reel<'a>>>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    broadcast: Option<Broadcast<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct TrayBody<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    tray: Option<Vec<Reel<'a>>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Broadcast<'a> {
    #[serde(borrow, default, rename = "broadcast_owner", deserialize_with = "maybe_object")]
    pub(in super::super) owner: Option<Owner<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Reel<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    pub(in super::super) broadcast: Option<Broadcast<'a>>,
    #[serde(borrow, default)]
    pub(in super::super) id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    pub(in super::super) items: Option<Vec<Story<'a>>>,
    #[serde(default)]
    pub(in super::super) latest_reel_media: Option<Number>,
    #[serde(default)]
    pub(in super::super) media_count: Option<Number>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    pub(in super::super) owner: Option<Owner<'a>>,
    #[serde(borrow, default)]
    pub(in super::super) reel_type: Option<Loose<'a>>,
    #[serde(borrow, default, rename = "__typename")]
    pub(in super::super) type_name: Option<Loose<'a>>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    pub(in super::super) user: Option<Owner<'a>>,
}

impl<'a> Reel<'a> {
    pub(in super::super) fn owner_id(&self) -> Option<&Text<'a>> {
        [&self.user, &self.owner].into_iter().find_map(|owner| owner.as_ref()?.id())
    }
}

/// Written by hand for speed: the platform sends every reel twice, in a map and in a list, and what
/// comes second is only checked for being JSON, and counted.
struct ReelsBody<'a> {
    by_id: Option<ById<'a>>,
    /// Whether it holds errors, which GraphQL sends beside what it has.
    failed: bool,
    /// The list, unless the map came first.
    list: Option<Vec<Reel<'a>>>,
    /// How many reels the list has.
    listed: usize,
    status: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Data,
    Errors,
    Reels,
    ReelsMedia,
    Status,
    #[serde(other)]
    Other,
}

/// Where GraphQL puts the list.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    reels_media: Option<Vec<Reel<'a>>>,
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
                let (mut listed, mut failed) = (None, None);
                while let Some(field) = map.next_key()? {
                    match field {
                        // One list is enough; a second one could say something else.
                        Field::Data | Field::ReelsMedia if listed.is_some() => {
                            return Err(A::Error::duplicate_field("reels_media"));
                        }
                        Field::Data => {
                            let data = map.next_value::<Option<Object<Data<'de>>>>()?;
                            list = data.and_then(|Object(data)| data.reels_media);
                            listed = list.as_ref().map(Vec::len);
                        }
                        Field::Errors if failed.is_some() => {
                            return Err(A::Error::duplicate_field("errors"));
                        }
                        Field::Errors => {
                            let errors = map.next_value::<Option<Vec<IgnoredAny>>>()?;
                            failed = Some(errors.is_some_and(|errors| !errors.is_empty()));
                        }
                        Field::Reels if by_id.is_some() => {
                            return Err(A::Error::duplicate_field("reels"));
                        }
                        Field::Reels => by_id = Some(map.next_value::<ById<'de>>()?),
                        Field::ReelsMedia if by_id.is_some() => {
                            listed = Some(map.next_value::<Vec<IgnoredAny>>()?.len());
                        }
                        Field::ReelsMedia => {
                            let reels = map.next_value::<Vec<Object<Reel<'de>>>>()?;
                            let reels = reels.into_iter().map(|Object(reel)| reel).collect();
                            listed = Some(list.insert(reels).len());
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
                let (failed, listed) = (failed.unwrap_or(false), listed.unwrap_or(0));
                Ok(ReelsBody { by_id, failed, list, listed, status })
            }
        }

        deserializer.deserialize_map(Body)
    }
}

struct ById<'a>(Keyed<'a>);

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
                while let Some((Text(id), reel)) =
                    map.next_entry::<_, Option<Object<Reel<'de>>>>()?
                {
                    reels.push((id, reel.map(|Object(reel)| reel)));
                }
                Ok(ById(reels))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
