//! Instagram: its web API, asked with a session that its owner supplied.

mod account;
mod check;
mod checker;
mod classify;
mod config;
mod parse;
mod profile;
mod session;
mod story;
mod web;
mod wire;

pub use self::account::account;
pub use self::checker::WebChecker;
pub use self::config::{InvalidConfig, WebConfig};
pub use self::parse::{
    BodyError, ProfileAnswer, ReelsAnswer, ViewerAnswer, parse_profile, parse_reels, parse_viewer,
};
pub use self::session::{InvalidSession, web_session, web_session_from_cookies};
pub use self::story::Sighting;
