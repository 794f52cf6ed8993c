use story_checker_core::Secret;
use story_checker_core::SessionId;
use story_checker_core::session::{Credentials, SessionRecord};
use thiserror::Error;

use super::api::{SESSION_KIND, TOKEN};

/// A token that makes no session. Never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the bearer token {0}: copy it again from the developer portal of X")]
pub struct InvalidSession(&'static str);

/// Makes a session of a bearer token, of an app or of a user. White space around it is taken off.
///
/// # Errors
/// [`InvalidSession`] if the text can be no token.
///
/// # Examples
/// ```
/// let record = story_checker_http::x::x_session("main".into(), "AAAA%2Fexample\n")?;
/// assert_eq!(record.kind.as_str(), "x-api");
/// # Ok::<(), story_checker_http::x::InvalidSession>(())
/// ```
pub fn x_session(id: SessionId, bearer_token: &str) -> Result<SessionRecord, InvalidSession> {
    let token = bearer_token.trim();
    if token.is_empty() {
        return Err(InvalidSession("is empty"));
    }
    let bare = token.get(..7).is_none_or(|start| !start.eq_ignore_ascii_case("bearer "));
    if !bare {
        return Err(InvalidSession("starts with the word Bearer, which is no part of it"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidSession("holds blanks or characters that no token has"));
    }
    let mut credentials = Credentials::default();
    credentials.tokens.insert(TOKEN.to_owned(), Secret::new(token));
    Ok(SessionRecord::new(id, SESSION_KIND, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_makes_a_session() {
        let record = x_session("main".into(), " AAAA%2FPLANTED=\r\n").unwrap();
        assert_eq!(record.kind, SESSION_KIND);
        assert_eq!(record.credentials.tokens[TOKEN].expose(), "AAAA%2FPLANTED=");
        assert!(!format!("{record:?}").contains("PLANTED"));
    }

    #[test]
    fn what_is_no_token_is_refused_without_a_quote() {
        for (text, why) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("Bearer PLANTED", "the word Bearer"),
            ("bearer PLANTED", "the word Bearer"),
            ("PLAN TED", "holds blanks"),
            ("PLANTED\u{1}x", "holds blanks"),
            ("PLANTÉD", "holds blanks"),
        ] {
            let error = x_session("main".into(), text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(why), "{shown}");
            assert!(!shown.contains("PLAN"), "{shown}");
        }
    }
}
