//! What a file holds, whatever its format.

use std::fmt::Display;

use story_checker_core::SessionId;
use story_checker_core::session::{Cookie, Credentials, SessionRecord};

use super::cookie::Parts;
use super::error::ImportError;
use crate::client::put_cookie;
use crate::instagram::{self, GraphLogin, GraphToken};
use crate::x;

/// Sessions whose label is still to be given.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sessions: Vec<SessionRecord>,
    pub(super) warnings: Vec<String>,
}

impl Found {
    pub(super) fn one(session: SessionRecord) -> Self {
        Self { sessions: vec![session], warnings: Vec::new() }
    }

    /// The same session twice would be two that break the limits of one.
    pub(super) fn add(&mut self, session: SessionRecord, what: &str, number: usize) {
        if self.sessions.contains(&session) {
            let text = format!("{what} {number} repeats an earlier one and was left out");
            self.warnings.push(text);
        } else {
            self.sessions.push(session);
        }
    }
}

pub(super) fn web(credentials: Credentials) -> Result<SessionRecord, ImportError> {
    made(instagram::web_session(unnamed(), credentials))
}

/// A session of cookies by name.
pub(super) fn web_of_pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<SessionRecord, ImportError> {
    web(Credentials::from_cookies(cookies(pairs)?))
}

/// A token of the Graph API without an end.
pub(super) fn graph_token(username: &str, ig_user_id: &str, token: &str) -> GraphToken {
    let token = token.trim();
    let mut made = GraphToken::new(token, ig_user_id, username.trim());
    // Meta's own forms: IGQ... and IGAA... of Instagram Login, EAA... of Facebook Login.
    if token.starts_with("IG") {
        made.login = GraphLogin::Instagram;
    }
    made
}

pub(super) fn graph(token: GraphToken) -> Result<SessionRecord, ImportError> {
    made(instagram::graph_session(unnamed(), token))
}

pub(super) fn x(token: &str) -> Result<SessionRecord, ImportError> {
    made(x::x_session(unnamed(), token))
}

fn unnamed() -> SessionId {
    SessionId::new("")
}

fn made(session: Result<SessionRecord, impl Display>) -> Result<SessionRecord, ImportError> {
    session.map_err(|error| ImportError::file(error.to_string()))
}

/// Cookies of Instagram, by name.
pub(super) fn cookies<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Cookie>, ImportError> {
    let mut cookies = Vec::new();
    for (name, value) in pairs {
        let cookie = Parts::new(name, value).cookie().map_err(|wrong| {
            // Only a well-known name tells no secret.
            let name = ["csrftoken", "ds_user_id", "mid", "rur", "sessionid"]
                .into_iter()
                .find(|known| *known == name)
                .map_or_else(|| "a cookie".to_owned(), |name| format!("the cookie {name}"));
            ImportError::file(format!("the {} of {name} {}", wrong.part, wrong.rule))
        })?;
        put_cookie(&mut cookies, cookie);
    }
    Ok(cookies)
}
