//! The Graph API: the official one, which shows an account its own stories.

mod api;
mod check;
mod checker;
mod classify;
mod config;
mod parse;
mod session;
mod story;
mod token;
mod usage;

pub use self::checker::GraphChecker;
pub use self::config::GraphConfig;
pub use self::parse::{DiscoveryAnswer, StoriesPage, parse_discovery, parse_stories};
pub use self::session::{GraphToken, graph_session};
pub use self::story::StoriesShown;
pub use self::token::{GraphLogin, InvalidGraphToken};
