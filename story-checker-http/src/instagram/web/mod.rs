//! The web API, as a browser with a logged-in session asks it.

mod api;
mod check;
mod checker;
mod classify;
mod config;
mod parse;
mod profile;
mod session;
mod story;
mod strikes;

pub use self::checker::WebChecker;
pub use self::config::WebConfig;
pub use self::parse::{
    ProfileAnswer, ReelsAnswer, ViewerAnswer, parse_profile, parse_reels, parse_tray,
    parse_user_story, parse_viewer,
};
pub use self::session::{InvalidSession, web_session, web_session_from_cookies};
pub use self::story::Sighting;
