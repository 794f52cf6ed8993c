use story_checker_core::session::{Credentials, SessionRecord};
use story_checker_core::{Secret, SessionId, Timestamp};

use super::api::SESSION_KIND;
use super::token::{
    ACCESS_TOKEN, GraphLogin, IG_USER_ID, ISSUED_AT, InvalidGraphToken, LOGIN, is_id, put_time,
};
use crate::instagram::account::is_name;

/// A token as its owner got it from Meta. It speaks for one account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GraphToken {
    /// The token itself.
    pub access_token: Secret,
    /// The Graph API's id of the account, in digits; another one than that of the web API.
    pub ig_user_id: String,
    /// The account's name.
    pub username: String,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was issued or refreshed last, if known.
    pub issued_at: Option<Timestamp>,
    /// How it was given.
    pub login: GraphLogin,
}

impl GraphToken {
    /// A token of Facebook Login, without an end.
    #[must_use]
    pub fn new(
        access_token: impl Into<Secret>,
        ig_user_id: impl Into<String>,
        username: impl Into<String>,
    ) -> Self {
        Self {
            access_token: access_token.into(),
            ig_user_id: ig_user_id.into(),
            username: username.into(),
            expires_at: None,
            issued_at: None,
            login: GraphLogin::default(),
        }
    }
}

/// Makes a session of a token for the Graph API. It answers for its own account only.
///
/// # Errors
/// [`InvalidGraphToken`] that names the field that is wrong.
///
/// # Examples
/// ```
/// use story_checker_http::instagram::{GraphToken, graph_session};
///
/// let token = GraphToken::new("EAAB-secret", "17841400000000001", "Tea_House");
/// let record = graph_session("tea".into(), token)?;
/// assert_eq!(record.account.as_deref(), Some("tea_house"));
/// # Ok::<(), story_checker_http::instagram::InvalidGraphToken>(())
/// ```
pub fn graph_session(id: SessionId, token: GraphToken) -> Result<SessionRecord, InvalidGraphToken> {
    let invalid = |field, rule| InvalidGraphToken { field, rule };
    let text = token.access_token.expose();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let rule = "must be printable ASCII without blanks: copy it again";
        return Err(invalid(ACCESS_TOKEN, rule));
    }
    if !is_id(&token.ig_user_id) {
        let rule = "must be 1 to 20 digits: ask /me/accounts?fields=instagram_business_account, \
                    or /me?fields=user_id for Instagram Login";
        return Err(invalid(IG_USER_ID, rule));
    }
    let username = token.username.trim_start_matches('@').to_ascii_lowercase();
    if !is_name(&username) {
        return Err(invalid("username", "must be 1 to 30 of a-z, 0-9, . and _"));
    }
    let mut credentials = Credentials::default();
    credentials.tokens.insert(ACCESS_TOKEN.into(), token.access_token);
    credentials.tokens.insert(IG_USER_ID.into(), token.ig_user_id.into());
    credentials.tokens.insert(LOGIN.into(), token.login.as_str().into());
    put_time(&mut credentials, ISSUED_AT, token.issued_at);
    credentials.expires_at = token.expires_at;
    let mut record = SessionRecord::new(id, SESSION_KIND, credentials);
    record.account = Some(username);
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::token::Token;
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn token() -> GraphToken {
        GraphToken::new("PLANTED-token", "17841400000000001", "@Tea_House")
    }

    #[test]
    fn a_token_becomes_a_session_of_one_account() {
        let mut token = token();
        token.expires_at = Some(NOW + DAY);
        token.issued_at = Some(NOW - DAY);
        token.login = GraphLogin::Instagram;
        let record = graph_session("tea".into(), token).unwrap();
        assert_eq!(record.kind, SESSION_KIND);
        assert_eq!(record.account.as_deref(), Some("tea_house"));
        assert_eq!(record.credentials.expires_at, Some(NOW + DAY));
        let known = Token::of(&record.credentials, NOW).unwrap();
        assert_eq!(known.ig_user_id, "17841400000000001");
        assert_eq!(known.login, GraphLogin::Instagram);
        assert_eq!(record.credentials.tokens["issued_at"].expose(), "1795165200");
        assert!(!format!("{record:?}{known:?}").contains("PLANTED"));
    }

    #[test]
    fn mistakes_name_the_field_and_quote_nothing() {
        let with = |change: fn(&mut GraphToken)| {
            let mut token = token();
            change(&mut token);
            graph_session("tea".into(), token).unwrap_err().to_string()
        };
        for (field, text) in [
            ("access_token", with(|token| token.access_token = "".into())),
            ("access_token", with(|token| token.access_token = "PLANTED token".into())),
            ("access_token", with(|token| token.access_token = "PLANTED\n".into())),
            ("ig_user_id", with(|token| token.ig_user_id = "PLANTED".into())),
            ("ig_user_id", with(|token| token.ig_user_id = "1".repeat(21))),
            ("username", with(|token| token.username = "PLANTED name".into())),
        ] {
            assert!(text.starts_with(&format!("the Graph token: {field} must")), "{text}");
            assert!(!text.contains("PLANTED"), "{text}");
        }
        assert!("page".parse::<GraphLogin>().unwrap_err().to_string().contains("login must"));
    }
}
