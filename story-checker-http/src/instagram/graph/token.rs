//! The token of a session: what it is good for, and for how long.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use story_checker_core::session::Credentials;
use story_checker_core::{Class, Fault, Scope, Secret, Timestamp};
use thiserror::Error;

pub(super) const ACCESS_TOKEN: &str = "access_token";
pub(super) const IG_USER_ID: &str = "ig_user_id";
pub(super) const ISSUED_AT: &str = "issued_at";
pub(super) const LOGIN: &str = "login";
/// When a refresh that failed may be tried again.
const REFRESH_AFTER: &str = "refresh_after";

/// How long a token must have lived before it can be refreshed (domain: Graph tokens, Meta docs).
const LEAST_AGE: Duration = Duration::from_secs(86_400);
/// How long a refreshed token lives (domain: Graph tokens, Meta docs).
const LONG_LIFE: Duration = Duration::from_secs(60 * 86_400);
/// How long a refresh that failed is left alone.
const REFRESH_REST: Duration = Duration::from_secs(3_600);

/// How the owner of the account gave the token: it decides where it is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphLogin {
    /// Facebook Login: the account belongs to a Page.
    #[default]
    Facebook,
    /// Instagram Login, without a Page. That it shows stories too is not documented by Meta.
    Instagram,
}

impl GraphLogin {
    /// The word used in sessions: `facebook` or `instagram`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
        }
    }
}

impl FromStr for GraphLogin {
    type Err = InvalidGraphToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "facebook" => Ok(Self::Facebook),
            "instagram" => Ok(Self::Instagram),
            _ => Err(InvalidGraphToken { field: LOGIN, rule: "must be facebook or instagram" }),
        }
    }
}

impl fmt::Display for GraphLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token that makes no session. Never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the Graph token: {field} {rule}")]
pub struct InvalidGraphToken {
    pub(super) field: &'static str,
    pub(super) rule: &'static str,
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a check needs to know of a session's token, without the token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) ig_user_id: String,
    pub(super) login: GraphLogin,
    pub(super) expires_at: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    refresh_after: Option<Timestamp>,
}

impl Token {
    /// The token of these credentials, if it can be used at all at this time.
    pub(super) fn of(credentials: &Credentials, now: Timestamp) -> Result<Self, Fault> {
        let refuse = |text: String| Fault::new(Class::AuthRequired, Scope::Session, text);
        let text = |name| credentials.tokens.get(name).map_or("", Secret::expose);
        let broken = |name: &str| {
            refuse(format!("the session has no usable {name}: import the account's token again"))
        };
        if text(ACCESS_TOKEN).is_empty() {
            return Err(broken(ACCESS_TOKEN));
        }
        let ig_user_id = text(IG_USER_ID).to_owned();
        if !is_id(&ig_user_id) {
            return Err(broken(IG_USER_ID));
        }
        let login = match text(LOGIN) {
            "" => GraphLogin::default(),
            word => word.parse().map_err(|_| broken(LOGIN))?,
        };
        if let Some(at) = credentials.expires_at.filter(|at| *at <= now) {
            let text = format!(
                "the token expired at {at}: let the account's owner log in and get a new one"
            );
            return Err(refuse(text));
        }
        let time = |name| text(name).parse().ok().map(Timestamp::from_secs);
        Ok(Self {
            ig_user_id,
            login,
            expires_at: credentials.expires_at,
            issued_at: time(ISSUED_AT),
            refresh_after: time(REFRESH_AFTER),
        })
    }

    /// Whether it should be refreshed now: only tokens of Instagram Login can be.
    pub(super) fn refresh_is_due(&self, now: Timestamp, before: Duration) -> bool {
        let Some(ends) = self.expires_at.filter(|_| self.login == GraphLogin::Instagram) else {
            return false;
        };
        let issued = self.issued_at.unwrap_or(ends - LONG_LIFE);
        ends.since(now) < before
            && now.since(issued) >= LEAST_AGE
            && self.refresh_after.is_none_or(|after| after <= now)
    }
}

/// Puts a new token in the place of the old one.
pub(super) fn renew(credentials: &mut Credentials, token: Secret, now: Timestamp, life: Duration) {
    credentials.tokens.insert(ACCESS_TOKEN.into(), token);
    credentials.tokens.remove(REFRESH_AFTER);
    put_time(credentials, ISSUED_AT, Some(now));
    credentials.expires_at = Some(now + life);
}

/// Keeps the next checks from trying what has just failed.
pub(super) fn rest_from_refresh(credentials: &mut Credentials, now: Timestamp) {
    put_time(credentials, REFRESH_AFTER, Some(now + REFRESH_REST));
}

pub(super) fn put_time(credentials: &mut Credentials, name: &str, at: Option<Timestamp>) {
    if let Some(at) = at {
        credentials.tokens.insert(name.into(), at.as_secs().to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn credentials(login: GraphLogin, expires_at: Timestamp) -> Credentials {
        let mut credentials = Credentials::default();
        for (name, value) in [
            (ACCESS_TOKEN, "PLANTED-token"),
            (IG_USER_ID, "17841400000000001"),
            (LOGIN, login.as_str()),
        ] {
            credentials.tokens.insert(name.into(), value.into());
        }
        credentials.expires_at = Some(expires_at);
        credentials
    }

    #[test]
    fn what_cannot_be_used_is_refused_before_any_request() {
        let credentials = credentials(GraphLogin::Facebook, NOW);
        let fault = Token::of(&credentials, NOW).unwrap_err();
        assert_eq!((fault.class, fault.scope), (Class::AuthRequired, Scope::Session));
        assert!(fault.message.contains("expired at 2026-11-21T09:00:00.000Z"), "{fault}");
        assert!(Token::of(&credentials, NOW - DAY).is_ok());

        for (name, value) in [(ACCESS_TOKEN, ""), (IG_USER_ID, "x/y"), (LOGIN, "PLANTED")] {
            let mut credentials = credentials.clone();
            credentials.tokens.insert(name.into(), value.into());
            let fault = Token::of(&credentials, NOW - DAY).unwrap_err();
            assert_eq!((fault.class, fault.scope), (Class::AuthRequired, Scope::Session));
            assert!(fault.message.contains(name) && !fault.message.contains("PLANTED"), "{fault}");
        }
    }

    #[test]
    fn a_token_is_refreshed_when_it_is_old_enough_and_near_its_end() {
        let due = |login, age: u32, left: u32, before: u32| {
            let mut credentials = credentials(login, NOW + DAY * left);
            put_time(&mut credentials, ISSUED_AT, Some(NOW - DAY * age));
            Token::of(&credentials, NOW).unwrap().refresh_is_due(NOW, DAY * before)
        };
        assert!(due(GraphLogin::Instagram, 51, 9, 10));
        assert!(due(GraphLogin::Instagram, 1, 9, 10));
        assert!(!due(GraphLogin::Instagram, 0, 9, 10));
        assert!(!due(GraphLogin::Instagram, 50, 10, 10));
        assert!(!due(GraphLogin::Instagram, 59, 1, 0));
        assert!(!due(GraphLogin::Facebook, 51, 9, 10));
    }

    #[test]
    fn without_a_date_of_issue_the_end_tells_the_age() {
        let due = |left| {
            let credentials = credentials(GraphLogin::Instagram, NOW + left);
            Token::of(&credentials, NOW).unwrap().refresh_is_due(NOW, LONG_LIFE * 2)
        };
        assert!(due(DAY * 59) && !due(DAY * 60));
    }

    #[test]
    fn a_failed_refresh_rests_and_a_good_one_starts_anew() {
        let mut credentials = credentials(GraphLogin::Instagram, NOW + DAY);
        let due = |credentials: &Credentials, at| {
            Token::of(credentials, at).unwrap().refresh_is_due(at, DAY * 10)
        };
        assert!(due(&credentials, NOW));
        rest_from_refresh(&mut credentials, NOW);
        assert!(!due(&credentials, NOW) && due(&credentials, NOW + REFRESH_REST));
        renew(&mut credentials, "new".into(), NOW, LONG_LIFE);
        assert_eq!(credentials.expires_at, Some(NOW + LONG_LIFE));
        let almost = NOW + DAY * 50;
        assert!(!due(&credentials, almost) && due(&credentials, almost + DAY));
    }
}
