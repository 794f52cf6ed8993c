//! Instagram: its web API, asked with a session that its owner supplied.

mod account;
mod web;

pub use self::account::account;
pub use self::web::{
    InvalidSession, ProfileAnswer, ReelsAnswer, Sighting, ViewerAnswer, WebChecker, WebConfig,
    parse_profile, parse_reels, parse_viewer, web_session, web_session_from_cookies,
};
