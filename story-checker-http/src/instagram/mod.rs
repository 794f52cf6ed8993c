//! Instagram: its Graph API, which shows an account its own stories, and its web API, asked with a
//! session that its owner supplied.

mod account;
mod graph;
mod web;

pub use self::account::account;
pub use self::graph::{
    DiscoveryAnswer, GraphChecker, GraphConfig, GraphLogin, GraphToken, InvalidGraphToken,
    StoriesPage, StoriesShown, graph_session, parse_discovery, parse_stories,
};
pub use self::web::{
    InvalidSession, ProfileAnswer, ReelsAnswer, Sighting, ViewerAnswer, WebChecker, WebConfig,
    parse_profile, parse_reels, parse_tray, parse_user_story, parse_viewer, web_session,
    web_session_from_cookies,
};
