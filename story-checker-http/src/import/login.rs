//! What a file holds, whatever its format, and the session that it makes.

use story_checker_core::session::{Cookie, Credentials, SessionKind, SessionRecord};
use story_checker_core::{Secret, SessionId, Timestamp};

use super::cookie::Parts;
use super::error::ImportError;
use crate::client::put_cookie;
use crate::instagram;

const GRAPH: SessionKind = SessionKind::from_static("instagram-graph");
const X: SessionKind = SessionKind::from_static("x-api");

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) logins: Vec<Login>,
    pub(super) warnings: Vec<String>,
}

impl Found {
    pub(super) fn one(login: Login) -> Self {
        Self { logins: vec![login], warnings: Vec::new() }
    }

    /// The same login twice would be two sessions that break the limits of one.
    pub(super) fn add(&mut self, login: Login, what: &str, number: usize) {
        if self.logins.contains(&login) {
            let text = format!("{what} {number} repeats an earlier one and was left out");
            self.warnings.push(text);
        } else {
            self.logins.push(login);
        }
    }
}

/// One identity.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    Graph(GraphLogin),
    Web(Credentials),
    X(Secret),
}

/// A token of the Graph API, which speaks for one account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GraphLogin {
    pub(super) username: String,
    pub(super) ig_user_id: String,
    pub(super) access_token: Secret,
    /// Which login gave the token: `facebook` or `instagram`.
    pub(super) login: &'static str,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

impl GraphLogin {
    /// Checks what people write.
    pub(super) fn new(username: &str, ig_user_id: &str, token: &str) -> Result<Self, ImportError> {
        // Its error would quote the name, and the fields may have been mixed up.
        let account = instagram::account(username).map_err(|_| {
            ImportError::file("the username must be that of the account that gave the token")
        })?;
        if !(1..=20).contains(&ig_user_id.len()) || !is_digits(ig_user_id) {
            let what = "the ig_user_id must be the number of the account, as the API tells it";
            return Err(ImportError::file(what));
        }
        let access_token = read_token("access_token", token)?;
        // Meta's own forms of tokens: IGQ... and IGAA... of Instagram Login, EAA... of Facebook's.
        let login = if access_token.expose().starts_with("IG") { "instagram" } else { "facebook" };
        Ok(Self {
            username: account.handle().to_owned(),
            ig_user_id: ig_user_id.to_owned(),
            access_token,
            login,
            issued_at: None,
            expires_at: None,
        })
    }
}

impl Login {
    /// A login of cookies by name.
    pub(super) fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ImportError> {
        Ok(Self::Web(Credentials::from_cookies(cookies(pairs)?)))
    }

    pub(super) fn into_session(self, id: SessionId) -> Result<SessionRecord, ImportError> {
        match self {
            Self::Graph(login) => {
                let mut credentials = Credentials::default();
                let issued_at = login.issued_at.map(|at| Secret::new(at.as_secs().to_string()));
                let tokens = [
                    ("access_token", Some(login.access_token)),
                    ("ig_user_id", Some(login.ig_user_id.into())),
                    ("issued_at", issued_at),
                    ("login", Some(login.login.into())),
                ];
                let tokens = tokens.into_iter();
                credentials.tokens =
                    tokens.filter_map(|(name, token)| Some((name.to_owned(), token?))).collect();
                credentials.expires_at = login.expires_at;
                let mut record = SessionRecord::new(id, GRAPH, credentials);
                record.account = Some(login.username);
                Ok(record)
            }
            Self::Web(credentials) => instagram::web_session(id, credentials)
                .map_err(|error| ImportError::file(error.to_string())),
            Self::X(token) => {
                let mut credentials = Credentials::default();
                credentials.tokens.insert("access_token".to_owned(), token);
                Ok(SessionRecord::new(id, X, credentials))
            }
        }
    }
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

/// A token as it stands in a header.
pub(super) fn read_token(name: &str, text: &str) -> Result<Secret, ImportError> {
    let text = text.trim();
    let token = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("the {name} must be one word without blanks: copy it again");
        return Err(ImportError::file(what));
    }
    Ok(Secret::new(token))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
