//! What an answer of the platform means. One table; the ids W1 to W22 name its rows in code, tests
//! and messages to the operator's log.

mod phrases;

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use story_checker_core::{Class, Fault, Scope};

use self::phrases::PHRASES;
use super::api::LOGIN;
use crate::body::BodyError;
use crate::client::{Exchange, contains};
use crate::wire::Loose;

/// What an answer is that is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A regular answer; its shape has still to be read.
    Answer,
    /// The target does not exist (W17).
    NotFound,
    /// The target is private (W15).
    Private,
}

/// How long the window is in which the hosts count, found by instaloader: longer on the private one.
const WINDOW: Duration = Duration::from_secs(11 * 60);
const PRIVATE_WINDOW: Duration = Duration::from_secs(30 * 60);
const PRIVATE_HOST: &str = "i.instagram.com";
/// What stands on the platform's own page for a name that nobody has.
const NOBODY: &str = "Sorry, this page isn't available";

pub(super) const CHANGED: &str = "the platform has changed: update this checker";

/// The part of a body that says what is wrong. Any of it may be missing or odd.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    status: Loose<'a>,
    #[serde(borrow, default)]
    message: Loose<'a>,
    #[serde(borrow, default)]
    error_type: Loose<'a>,
    #[serde(borrow, default)]
    challenge: Option<Challenge<'a>>,
    #[serde(borrow, default)]
    checkpoint_url: Loose<'a>,
    #[serde(borrow, default)]
    errors: Vec<GraphError<'a>>,
}

#[derive(Deserialize)]
struct Challenge<'a> {
    #[serde(borrow, default)]
    url: Loose<'a>,
}

#[derive(Deserialize)]
struct GraphError<'a> {
    #[serde(borrow, default)]
    summary: Loose<'a>,
    #[serde(borrow, default)]
    message: Loose<'a>,
}

/// Reads a regular answer with `parse`; every other answer is a fault.
pub(super) fn read<'a, T>(
    exchange: &'a Exchange,
    parse: impl FnOnce(&'a [u8]) -> Result<T, BodyError>,
) -> Result<T, Fault> {
    // The usual case first: a body that parses whole, says "ok" and has its shape needs no table.
    let shape = if exchange.status == StatusCode::OK && exchange.is_json() && !exchange.is_old() {
        match parse(&exchange.body) {
            Ok(answer) => return Ok(answer),
            Err(error) => Some(error),
        }
    } else {
        None
    };
    match (classify(exchange)?, shape) {
        (Meaning::Answer, Some(error)) => {
            let text = format!("{error}; if that stays, {CHANGED}");
            Err(exchange.fault(Class::Malformed, Scope::Endpoint, text))
        }
        (meaning, _) => {
            let text = format!("an answer that does not belong to this request ({meaning:?})");
            Err(exchange.fault(Class::Malformed, Scope::Endpoint, text))
        }
    }
}

/// The table. In order: redirect, status, content type, JSON, the body's own words.
pub(super) fn classify(exchange: &Exchange) -> Result<Meaning, Fault> {
    let status = exchange.status;
    let fail = |class, scope, tell: &'static str| Err(exchange.fault(class, scope, tell));

    if status.is_redirection() {
        return Err(redirect(exchange));
    }
    if let Some(fault) = exchange.of_somebody_else() {
        return Err(fault);
    }
    if exchange.is_old() {
        return Err(exchange.old_answer());
    }
    match status.as_u16() {
        // W1
        429 => {
            let private = exchange.host.eq_ignore_ascii_case(PRIVATE_HOST);
            let window = if private { PRIVATE_WINDOW } else { WINDOW };
            return Err(exchange.limit(Scope::Session, window));
        }
        // W20
        408 | 500..=599 => return Err(exchange.server_error()),
        // W10
        404 if exchange.body.as_ref() == b"Not Found" => {
            let text = "a challenge in the guise of a 404: open the platform with this account and \
                        answer it, then import it anew";
            return fail(Class::ChallengeRequired, Scope::Session, text);
        }
        // W17: only the platform's own page says so.
        404 if exchange.is_page() && exchange.holds(NOBODY) => return Ok(Meaning::NotFound),
        _ => {}
    }
    // W5: a page is one whatever it calls itself.
    if !exchange.is_json() || exchange.is_page() {
        return Err(page(exchange));
    }
    let body = match serde_json::from_slice::<Envelope<'_>>(&exchange.body) {
        Ok(body) => body,
        Err(error) => {
            // W21
            let error = BodyError::from(error);
            let text = format!("{error}; it is asked again, and if that stays, {CHANGED}");
            return Err(exchange.fault(Class::Malformed, Scope::Endpoint, text));
        }
    };
    words(exchange, &body)
}

fn words(exchange: &Exchange, body: &Envelope<'_>) -> Result<Meaning, Fault> {
    let status = exchange.status;
    let fail = |class, scope, text: Cow<'static, str>| Err(exchange.fault(class, scope, text));
    let (message, kind) = (body.message.0.as_ref(), body.error_type.0.as_ref());

    let url = body.challenge.as_ref().map_or(&body.checkpoint_url.0, |challenge| &challenge.url.0);
    if url.contains("/suspended/") {
        // W9
        let text = "the account behind this session is suspended: only its owner can appeal";
        return fail(Class::Permanent, Scope::Session, text.into());
    }
    if contains(message, "not authorized to view user") {
        return Ok(Meaning::Private);
    }
    if status == StatusCode::NOT_FOUND
        && (kind == "user_not_found" || contains(message, "user not found"))
    {
        return Ok(Meaning::NotFound);
    }
    let known =
        |phrase: &&phrases::Phrase| contains(message, phrase.text) || contains(kind, phrase.text);
    if let Some(phrase) = PHRASES.iter().find(known) {
        // W2, without a session from now on.
        if phrase.class == Class::RateLimited && exchange.takes_away(LOGIN) {
            let text = "the platform logged the session out: log in with a browser and import its \
                        cookies again";
            return fail(Class::AuthRequired, Scope::Session, text.into());
        }
        let scope = match phrase.scope {
            Scope::Proxy => exchange.way_out(phrase.class),
            scope => scope,
        };
        let fault = exchange.fault(phrase.class, scope, phrase.tell);
        let told = exchange.retry_after();
        let least = phrase.rest.map(|rest| exchange.received_at + rest);
        // A hint may lengthen the rest, but "a few minutes" never means seconds.
        return Err(match told.max(least) {
            Some(until) => fault.with_until(until),
            None => fault,
        });
    }
    let shown = if crate::client::is_plain(message) { message } else { "…" };
    match status {
        StatusCode::OK if !body.errors.is_empty() => {
            // W19
            let login = |error: &GraphError<'_>| {
                contains(&error.summary.0, "login") || contains(&error.message.0, "login")
            };
            if body.errors.iter().any(login) {
                let text = "the platform wants a login: log in and import the cookies again";
                return fail(Class::AuthRequired, Scope::Session, text.into());
            }
            let text = "the platform refuses the query: this version asks in an old way, update it";
            fail(Class::Permanent, Scope::Ours, text.into())
        }
        // W18
        StatusCode::OK if body.status.0 == "fail" => {
            let text =
                format!("the platform says that it failed ({shown}); it is asked again later");
            fail(Class::Transient, Scope::Endpoint, text.into())
        }
        StatusCode::OK if body.status.0.is_empty() => Err(exchange.foreign_json()),
        StatusCode::OK => Ok(Meaning::Answer),
        StatusCode::UNAUTHORIZED => {
            let text = "the session is not logged in: log in and import its cookies again";
            fail(Class::AuthRequired, Scope::Session, text.into())
        }
        // W22
        _ => {
            let text = format!("an answer that nobody knows ({shown}); if that stays, {CHANGED}");
            fail(Class::Malformed, Scope::Endpoint, text.into())
        }
    }
}

/// W4, W7 and their like: where an answer wants to send us.
fn redirect(exchange: &Exchange) -> Fault {
    let domain = |host: &str| {
        host.eq_ignore_ascii_case("instagram.com")
            || host.to_ascii_lowercase().ends_with(".instagram.com")
    };
    let Some(path) = exchange.redirect_path(domain) else { return exchange.foreign_redirect() };
    let (class, scope, tell) = if path.contains("/suspended") {
        let tell = "the account behind this session is suspended: only its owner can appeal";
        (Class::Permanent, Scope::Session, tell)
    } else if path.contains("/challenge") || path.contains("/checkpoint") {
        let tell = "the platform wants a human: open it with this account, answer the challenge, \
                    then import it anew";
        (Class::ChallengeRequired, Scope::Session, tell)
    } else if path.contains("/consent") || path.contains("/terms") {
        let tell = "the platform wants new terms accepted: open it with this account and decide, \
                    then import it anew";
        (Class::ChallengeRequired, Scope::Session, tell)
    } else if path.contains("/accounts/login") {
        let tell =
            "a redirect to the login page: log in with a browser and import the cookies again";
        (Class::AuthRequired, Scope::Session, tell)
    } else {
        let tell = "a redirect where an answer should be; if that stays, log the session in again";
        (Class::Malformed, Scope::Session, tell)
    };
    exchange.fault(class, scope, tell)
}

/// W5 and W6: a page where JSON should be.
fn page(exchange: &Exchange) -> Fault {
    // Marks of the platform's own pages; a page of anybody else must not cost a session.
    let success = exchange.status.is_success();
    if success && exchange.holds("/challenge/") {
        let tell = "a challenge page instead of an answer: open the platform with this account and \
                    answer it, then import it anew";
        return exchange.fault(Class::ChallengeRequired, Scope::Session, tell);
    }
    if success && (exchange.holds("LoginAndSignupPage") || exchange.holds("/accounts/login/")) {
        let tell = "the login page instead of an answer: log in and import the cookies again";
        return exchange.fault(Class::AuthRequired, Scope::Session, tell);
    }
    exchange.foreign_page()
}

#[cfg(test)]
mod tests;
