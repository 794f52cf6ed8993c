//! The JSON of the web API. Written by hand: names are `[a-z0-9._]`, so nothing needs escaping.

mod graphql;
mod page;
mod profile;
mod reel;

pub(crate) use graphql::{
    profile as graphql_profile, public_story as graphql_public_story, reels as graphql_reels,
    tray as graphql_tray,
};
pub(crate) use page::{home_page, profile_page};
pub(crate) use profile::{info, profile, search, viewer};
pub(crate) use reel::{Reel, reels, tray, user_story};

pub(crate) const EMPTY_REELS: &str = r#"{"reels":{},"reels_media":[],"status":"ok"}"#;
pub(crate) const EMPTY_GRAPHQL_REELS: &str = r#"{"data":{"reels_media":[]},"status":"ok"}"#;
pub(crate) const INVALID_REEL_LIST: &str = r#"{"message":"Invalid reel id list","status":"fail"}"#;
