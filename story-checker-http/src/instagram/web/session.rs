use std::fmt;

use story_checker_core::SessionId;
use story_checker_core::session::{Cookie, Credentials, SessionRecord};

use super::api::{LOGIN, SESSION_KIND};

/// Credentials that make no session. Never quotes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSession {
    what: String,
}

impl InvalidSession {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for InvalidSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for InvalidSession {}

/// Makes a session of credentials with cookies; it ends with its `sessionid`. Files with
/// credentials are read by [`import`](mod@crate::import).
///
/// # Errors
/// [`InvalidSession`] if there is no `sessionid` cookie for Instagram, or it is empty.
pub fn web_session(
    id: SessionId,
    mut credentials: Credentials,
) -> Result<SessionRecord, InvalidSession> {
    let Some(login) = credentials.cookie(LOGIN) else {
        return Err(InvalidSession::new(
            "there is no sessionid cookie of instagram.com: log in with a browser, then export the \
             cookies",
        ));
    };
    if login.value.expose().trim_matches('"').is_empty() {
        let what = "the sessionid is empty: log in again, then export the cookies";
        return Err(InvalidSession::new(what));
    }
    credentials.expires_at = login.expires_at;
    Ok(SessionRecord::new(id, SESSION_KIND, credentials))
}

/// Makes a session of cookies.
///
/// # Errors
/// As [`web_session`].
pub fn web_session_from_cookies(
    id: SessionId,
    cookies: Vec<Cookie>,
) -> Result<SessionRecord, InvalidSession> {
    web_session(id, Credentials::from_cookies(cookies))
}
