//! What an answer of the Graph API means. One table; the ids of its rows stand in tests and in the
//! messages to the operator.

use std::time::Duration;

use http::{StatusCode, header};
use serde_json::Value;
use story_checker_core::{Class, Fault, Scope};

use super::usage::regained_at;
use crate::body::BodyError;
use crate::client::Exchange;

/// What an answer is that is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A regular answer; its shape has still to be read.
    Answer,
    /// Nobody of this name, or nobody with a professional account (G110).
    NotFound,
}

/// One row: codes from the first to the last, with one subcode or with any.
struct Row {
    id: &'static str,
    codes: (i64, i64),
    subcode: Option<i64>,
    class: Class,
    scope: Scope,
    /// How long nothing is asked, without a word of the platform.
    rest: Option<Duration>,
    tell: &'static str,
}

const HOUR: Option<Duration> = Some(Duration::from_secs(3_600));
const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

/// Each answer of the platform has one of these fields.
const MARKS: &[&str] = &["access_token", "business_discovery", "data", "error", "id", "paging"];

/// G110: an answer to a look-up, and a fault elsewhere.
const NOT_FOUND: (i64, i64) = (110, 2_207_013);

/// The first row that fits counts, so rows with a subcode stand before those without (domain: Graph
/// error codes, Meta docs).
#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { id: "G1", codes: (1, 1), subcode: None, class: Class::Transient, scope: Scope::Endpoint, rest: None,
        tell: "the platform has an unknown error of its own" },
    Row { id: "G2", codes: (2, 2), subcode: None, class: Class::Transient, scope: Scope::Endpoint, rest: None,
        tell: "the platform's service is down for the moment" },
    Row { id: "G341", codes: (341, 341), subcode: None, class: Class::Transient, scope: Scope::Endpoint, rest: None,
        tell: "the platform is at a limit of its own that passes" },
    Row { id: "G-1", codes: (-1, -1), subcode: None, class: Class::Transient, scope: Scope::Endpoint, rest: None,
        tell: "the platform's server has an error of its own" },
    Row { id: "G-2", codes: (-2, -2), subcode: None, class: Class::Transient, scope: Scope::Endpoint, rest: None,
        tell: "the platform took too long by itself" },

    Row { id: "G4-spam", codes: (4, 4), subcode: Some(2_207_051), class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform takes this account's actions for spam: look at the account in the app, wait, then import it anew" },
    Row { id: "G4", codes: (4, 4), subcode: None, class: Class::RateLimited, scope: Scope::App, rest: HOUR,
        tell: "the limit of the whole app is reached; nothing is asked until it has recovered: ask less often, or have more users" },
    Row { id: "G17", codes: (17, 17), subcode: None, class: Class::RateLimited, scope: Scope::Session, rest: HOUR,
        tell: "the limit of this token's user is reached; the token rests" },
    Row { id: "G32", codes: (32, 32), subcode: None, class: Class::RateLimited, scope: Scope::Session, rest: HOUR,
        tell: "the limit of this token's Page is reached; the token rests" },
    Row { id: "G613", codes: (613, 613), subcode: None, class: Class::RateLimited, scope: Scope::Session, rest: HOUR,
        tell: "a limit of this call is reached; the token rests" },
    Row { id: "G80002", codes: (80_000, 80_014), subcode: None, class: Class::RateLimited, scope: Scope::Session, rest: HOUR,
        tell: "this account's budget for the API is used up; the token rests until the platform gives access again" },

    Row { id: "G190-458", codes: (190, 190), subcode: Some(458), class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the account's owner has removed the app: let them log in to it again, and import the new token" },
    Row { id: "G190-459", codes: (190, 190), subcode: Some(459), class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the account's owner has to pass a checkpoint: let them log in to facebook.com, then import it anew" },
    Row { id: "G190-460", codes: (190, 190), subcode: Some(460), class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the account's owner has changed the password: let them log in again, and import the new token" },
    Row { id: "G190-463", codes: (190, 190), subcode: Some(463), class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the token has expired: let the account's owner log in again, and import the new token" },
    Row { id: "G190-464", codes: (190, 190), subcode: Some(464), class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the account's owner is not confirmed: let them log in to facebook.com and confirm, then import it anew" },
    Row { id: "G190-467", codes: (190, 190), subcode: Some(467), class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the token was made invalid, by a log-out for instance: let the account's owner log in again, and import the new token" },
    Row { id: "G190-492", codes: (190, 190), subcode: Some(492), class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the account's owner has lost their role on the Page: give it back, then import a new token" },
    Row { id: "G190", codes: (190, 190), subcode: None, class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the token is not valid: let the account's owner log in again, and import the new token" },
    Row { id: "G102", codes: (102, 102), subcode: None, class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the login behind the token is over: let the account's owner log in again, and import the new token" },

    Row { id: "G104", codes: (104, 104), subcode: None, class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "the token did not arrive: see that nothing on the way takes headers away; a refresh may need refresh_by_query, so set that" },
    Row { id: "G3", codes: (3, 3), subcode: None, class: Class::Permanent, scope: Scope::Endpoint, rest: None,
        tell: "the app may not make this call: give it the capability in the app's dashboard" },
    Row { id: "G10", codes: (10, 10), subcode: None, class: Class::Permanent, scope: Scope::Endpoint, rest: None,
        tell: "the token lacks a permission for this call: let the owner grant instagram_basic and pages_read_engagement, and import the new token" },
    Row { id: "G200", codes: (200, 299), subcode: None, class: Class::Permanent, scope: Scope::Endpoint, rest: None,
        tell: "a permission was not granted or was taken back: let the owner grant it, and import the new token" },
    Row { id: "G100-33", codes: (100, 100), subcode: Some(33), class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "there is no such id that this token may see: import the token again with its own ig_user_id" },
    Row { id: "G100", codes: (100, 100), subcode: None, class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "the platform refuses a parameter: this version asks in a wrong way, update it or set another version of the API" },
    Row { id: "G110", codes: (NOT_FOUND.0, NOT_FOUND.0), subcode: Some(NOT_FOUND.1), class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "the platform does not know the session's own account: import the token again with its own ig_user_id" },

    Row { id: "G24", codes: (24, 24), subcode: None, class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants the account's owner to act: let them open the app with this account, then import it anew" },
    Row { id: "G25", codes: (25, 25), subcode: None, class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the account is inactive, checkpointed or restricted: let its owner open the app and follow it, then import it anew" },
    Row { id: "G368", codes: (368, 368), subcode: None, class: Class::Blocked, scope: Scope::Session, rest: DAY,
        tell: "the platform has blocked this account for a while because of its policies; leave it alone, and read its support inbox" },
    Row { id: "G12", codes: (12, 12), subcode: None, class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "this call is no longer offered: update this program, or set a newer version of the API" },
    Row { id: "G2635", codes: (2_635, 2_635), subcode: None, class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "this version of the API is no longer offered: set a newer one" },
];

impl Row {
    fn fits(&self, code: i64, subcode: Option<i64>) -> bool {
        let (first, last) = self.codes;
        (first..=last).contains(&code) && (self.subcode.is_none() || self.subcode == subcode)
    }

    /// Whether the platform may take it back by saying that it will pass. What stops a session does
    /// not pass by asking again, and a limit knows better when.
    fn may_be_transient(&self) -> bool {
        self.class == Class::Permanent
    }

    fn fault(&self, exchange: &Exchange) -> Fault {
        let fault = exchange.fault(self.class, self.scope, format!("{} ({})", self.tell, self.id));
        let told = exchange.retry_after();
        let told = match self.scope {
            Scope::Session if self.class == Class::RateLimited => told.max(regained_at(exchange)),
            _ => told,
        };
        match told.or(self.rest.map(|rest| exchange.received_at + rest)) {
            Some(until) if self.rest.is_some() || self.class == Class::Transient => {
                fault.with_until(until)
            }
            _ => fault,
        }
    }
}

/// Reads a regular answer with `parse`; none says that nobody was found, and every other answer is a
/// fault.
pub(super) fn read<'a, T>(
    exchange: &'a Exchange,
    parse: impl FnOnce(&'a [u8]) -> Result<T, BodyError>,
) -> Result<Option<T>, Fault> {
    let shape = if exchange.status == StatusCode::OK && is_json(exchange) && !exchange.is_old() {
        match parse(&exchange.body) {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        }
    } else {
        BodyError::NotOk
    };
    match classify(exchange)? {
        Meaning::NotFound => Ok(None),
        Meaning::Answer => {
            let text = format!("{shape}; if that stays, the platform has changed");
            Err(exchange.fault(Class::Malformed, Scope::Endpoint, text))
        }
    }
}

/// As [`read`], for requests about the token's own account: that cannot be missing.
pub(super) fn read_own<'a, T>(
    exchange: &'a Exchange,
    parse: impl FnOnce(&'a [u8]) -> Result<T, BodyError>,
) -> Result<T, Fault> {
    let row = || ROWS.iter().find(|row| row.fits(NOT_FOUND.0, Some(NOT_FOUND.1)));
    read(exchange, parse)?.ok_or_else(|| match row() {
        Some(row) => row.fault(exchange),
        None => exchange.fault(Class::Malformed, Scope::Endpoint, "nobody was found"),
    })
}

/// The table. In order: redirect, content type, JSON, the body's own code, and last the status: alone
/// it decides only what a server without words means.
pub(super) fn classify(exchange: &Exchange) -> Result<Meaning, Fault> {
    if exchange.status.is_redirection() {
        return Err(redirect(exchange));
    }
    if let Some(fault) = exchange.of_somebody_else() {
        return Err(fault);
    }
    if exchange.is_old() {
        return Err(exchange.old_answer());
    }
    if !is_json(exchange) {
        return Err(wordless(exchange).unwrap_or_else(|| exchange.foreign_page()));
    }
    let body: Value = match serde_json::from_slice(&exchange.body) {
        Ok(body) => body,
        Err(error) => {
            let text = format!("{}, although it should be", BodyError::from(error));
            let broken = || exchange.fault(Class::Malformed, Scope::Endpoint, text);
            return Err(wordless(exchange).unwrap_or_else(broken));
        }
    };
    if exchange.status == StatusCode::OK && Exchange::is_foreign(&body, MARKS) {
        return Err(exchange.foreign_json());
    }
    match &body["error"] {
        Value::Null if exchange.status == StatusCode::OK => Ok(Meaning::Answer),
        Value::Null => Err(wordless(exchange).unwrap_or_else(|| unknown(exchange, "no code"))),
        error => words(exchange, error),
    }
}

fn words(exchange: &Exchange, error: &Value) -> Result<Meaning, Fault> {
    let Some(code) = whole(&error["code"]) else {
        return Err(wordless(exchange).unwrap_or_else(|| unknown(exchange, "no code")));
    };
    let subcode = whole(&error["error_subcode"]);
    let passes = error["is_transient"].as_bool() == Some(true);
    let shown = match subcode {
        Some(subcode) => format!("code {code}, subcode {subcode}"),
        None => format!("code {code}"),
    };
    let row = ROWS.iter().find(|row| row.fits(code, subcode));
    if passes && row.is_none_or(Row::may_be_transient) {
        let text = format!("the platform says itself that this will pass (G-transient, {shown})");
        let fault = exchange.fault(Class::Transient, Scope::Endpoint, text);
        return Err(match exchange.retry_after() {
            Some(until) => fault.with_until(until),
            None => fault,
        });
    }
    match row {
        Some(_) if (code, subcode) == (NOT_FOUND.0, Some(NOT_FOUND.1)) => Ok(Meaning::NotFound),
        Some(row) => Err(row.fault(exchange)),
        None => Err(wordless(exchange).unwrap_or_else(|| unknown(exchange, &shown))),
    }
}

/// An answer whose body says nothing that is known.
fn wordless(exchange: &Exchange) -> Option<Fault> {
    match exchange.status.as_u16() {
        429 => Some(exchange.limit(Scope::Session, HOUR.unwrap_or_default())),
        408 | 500..=599 => Some(exchange.server_error()),
        _ => None,
    }
}

fn unknown(exchange: &Exchange, shown: &str) -> Fault {
    let text =
        format!("an error that nobody knows (G-unknown, {shown}); the platform may have changed");
    exchange.fault(Class::Malformed, Scope::Endpoint, text)
}

fn redirect(exchange: &Exchange) -> Fault {
    let domain = |host: &str| {
        let host = host.to_ascii_lowercase();
        ["facebook.com", "instagram.com"].iter().any(|known| {
            host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    };
    if exchange.redirect_path(domain).is_none() {
        return exchange.foreign_redirect();
    }
    let tell = "a redirect where an answer should be; if that stays, check the base URL";
    exchange.fault(Class::Malformed, Scope::Endpoint, tell)
}

/// The API has called its JSON a script for years, and may do so again.
fn is_json(exchange: &Exchange) -> bool {
    let kind = exchange.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    exchange.is_json() || kind.starts_with(b"text/javascript")
}

/// A whole number, or a text of one.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
