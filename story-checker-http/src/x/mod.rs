//! X: its API v2, asked with a bearer token that its owner supplied.
//!
//! X has no stories. The question is whether there are posts with media since a time: an account's
//! own, or those that a search finds.

mod api;
mod check;
mod checker;
mod classify;
mod config;
mod limit;
mod parse;
mod post;
mod problem;
mod session;
mod target;
mod user;

pub use self::checker::XChecker;
pub use self::config::{Since, Spelling, XConfig};
pub use self::session::{InvalidSession, x_session};
pub use self::target::{account, hashtag, query};
