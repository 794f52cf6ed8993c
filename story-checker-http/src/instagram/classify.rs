//! What an answer of the platform means. One table; the ids W1 to W22 name its rows in code, tests
//! and messages to the operator's log.

use std::borrow::Cow;
use std::time::Duration;

use http::{StatusCode, header};
use serde::Deserialize;
use story_checker_core::{Class, Fault, Scope, Timestamp};

use super::parse::BodyError;
use super::wire::Loose;
use crate::client::Exchange;

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

const MINUTE: Duration = Duration::from_secs(60);

/// A phrase of the platform in `message` or `error_type`, and what it means. Upper and lower case are
/// the same. `Scope::Proxy` stands for the way out, proxy or not.
struct Phrase {
    text: &'static str,
    class: Class,
    scope: Scope,
    /// How long nothing is asked, without a word of the platform.
    rest: Option<Duration>,
    tell: &'static str,
}

#[rustfmt::skip]
const PHRASES: &[Phrase] = &[
    // W2. Also sent to whoever is not logged in; the rest is the same.
    Phrase { text: "please wait a few minutes", class: Class::RateLimited, scope: Scope::Session, rest: Some(Duration::from_secs(600)),
        tell: "the platform asks this session to wait a few minutes; if that stays, log it in again" },
    // W3
    Phrase { text: "login_required", class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the session was logged out: log in with a browser and import its cookies again" },
    // W8
    Phrase { text: "checkpoint_required", class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants a human: open it with this account, answer the checkpoint, then release the session" },
    // W9
    Phrase { text: "challenge_required", class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants a human: open it with this account, answer the challenge, then release the session" },
    // W11
    Phrase { text: "feedback_required", class: Class::Blocked, scope: Scope::Session, rest: Some(Duration::from_secs(24 * 3_600)),
        tell: "the platform blocked this account's actions for a while; leave it alone" },
    // W12
    Phrase { text: "consent_required", class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants new terms accepted: open it with this account and decide, then release the session" },
    // W13
    Phrase { text: "useragent mismatch", class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "user agent and app id do not belong together: correct the configuration" },
    // W14
    Phrase { text: "rate_limit_error", class: Class::RateLimited, scope: Scope::Session, rest: Some(Duration::from_secs(660)),
        tell: "the platform's limit for this session is reached" },
    Phrase { text: "sentry_block", class: Class::Blocked, scope: Scope::Proxy, rest: None,
        tell: "the platform blocks this address" },
    Phrase { text: "user_blocked", class: Class::Blocked, scope: Scope::Proxy, rest: None,
        tell: "the platform blocks this address" },
    // W16
    Phrase { text: "doesn't appear to belong to an account", class: Class::Blocked, scope: Scope::Proxy, rest: None,
        tell: "the platform blocks this address" },
];

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
    let shape = if exchange.status == StatusCode::OK && is_json(exchange) {
        match parse(&exchange.body) {
            Ok(answer) => return Ok(answer),
            Err(error) => Some(error),
        }
    } else {
        None
    };
    match (classify(exchange)?, shape) {
        (Meaning::Answer, Some(error)) => {
            let text = format!("{error}; if that stays, the platform has changed");
            Err(fault(exchange, Class::Malformed, Scope::Endpoint, text))
        }
        (meaning, _) => {
            let text = format!("an answer that does not belong to this request ({meaning:?})");
            Err(fault(exchange, Class::Malformed, Scope::Endpoint, text))
        }
    }
}

/// The table. In order: redirect, status, content type, JSON, the body's own words.
pub(super) fn classify(exchange: &Exchange) -> Result<Meaning, Fault> {
    let status = exchange.status;
    let fail = |class, scope, tell: &'static str| Err(fault(exchange, class, scope, tell));

    if status.is_redirection() {
        return Err(redirect(exchange));
    }
    match status.as_u16() {
        // W1
        429 => return Err(rest(exchange, Scope::Session, 11 * MINUTE)),
        // W20
        408 | 500..=599 => {
            let text = "the platform has an error of its own";
            let fault = fault(exchange, Class::Transient, Scope::Endpoint, text);
            return Err(match retry_after(exchange) {
                Some(until) => fault.with_until(until),
                None => fault,
            });
        }
        407 => {
            let text = "the proxy does not accept our credentials: check its user and password";
            return fail(Class::Blocked, Scope::Proxy, text);
        }
        403 if exchange.headers.contains_key("cf-mitigated") => {
            let text = "a wall stands before the platform for this address; it is not climbed";
            return fail(Class::Blocked, way_out(exchange, Class::Blocked), text);
        }
        // W10
        404 if exchange.body.as_ref() == b"Not Found" => {
            let text = "a challenge in the guise of a 404: open the platform with this account and \
                        answer it, then release the session";
            return fail(Class::ChallengeRequired, Scope::Session, text);
        }
        _ => {}
    }
    if !is_json(exchange) {
        return Err(page(exchange));
    }
    let body = match serde_json::from_slice::<Envelope<'_>>(&exchange.body) {
        Ok(body) => body,
        Err(error) => {
            // W21
            let text = format!("{}, although it should be", BodyError::from(error));
            return Err(fault(exchange, Class::Malformed, Scope::Endpoint, text));
        }
    };
    words(exchange, &body)
}

fn words(exchange: &Exchange, body: &Envelope<'_>) -> Result<Meaning, Fault> {
    let status = exchange.status;
    let fail = |class, scope, text: Cow<'static, str>| Err(fault(exchange, class, scope, text));
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
    let known = |phrase: &&Phrase| contains(message, phrase.text) || contains(kind, phrase.text);
    if let Some(phrase) = PHRASES.iter().find(known) {
        let scope = match phrase.scope {
            Scope::Proxy => way_out(exchange, phrase.class),
            scope => scope,
        };
        let fault = fault(exchange, phrase.class, scope, phrase.tell);
        let told = retry_after(exchange);
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
            let text = format!("the platform says that it failed ({shown})");
            fail(Class::Transient, Scope::Endpoint, text.into())
        }
        StatusCode::OK => Ok(Meaning::Answer),
        StatusCode::UNAUTHORIZED => {
            let text = "the session is not logged in: log in and import its cookies again";
            fail(Class::AuthRequired, Scope::Session, text.into())
        }
        // W22
        _ => {
            let text =
                format!("an answer that nobody knows ({shown}); the platform may have changed");
            fail(Class::Malformed, Scope::Endpoint, text.into())
        }
    }
}

/// W4, W7 and their like: where an answer wants to send us.
fn redirect(exchange: &Exchange) -> Fault {
    let location = exchange.headers.get(header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let after_scheme = location.split_once("://").map(|(_, rest)| rest);
    let (host, path) = match after_scheme.or_else(|| location.strip_prefix("//")) {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", location),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let ours = host.is_empty()
        || host.eq_ignore_ascii_case(&exchange.host)
        || host.eq_ignore_ascii_case("instagram.com")
        || host.to_ascii_lowercase().ends_with(".instagram.com");

    let (class, scope, tell) = if !ours {
        let tell = "a redirect to a foreign site: this connection leads to somebody's own page";
        (Class::Malformed, way_out(exchange, Class::Malformed), tell)
    } else if path.contains("/suspended") {
        let tell = "the account behind this session is suspended: only its owner can appeal";
        (Class::Permanent, Scope::Session, tell)
    } else if path.contains("/challenge") || path.contains("/checkpoint") {
        let tell = "the platform wants a human: open it with this account, answer the challenge, \
                    then release the session";
        (Class::ChallengeRequired, Scope::Session, tell)
    } else if path.contains("/consent") || path.contains("/terms") {
        let tell = "the platform wants new terms accepted: open it with this account and decide, \
                    then release the session";
        (Class::ChallengeRequired, Scope::Session, tell)
    } else if path.contains("/accounts/login") {
        let tell =
            "a redirect to the login page: log in with a browser and import the cookies again";
        (Class::AuthRequired, Scope::Session, tell)
    } else {
        let tell = "a redirect where an answer should be; if that stays, log the session in again";
        (Class::Malformed, Scope::Session, tell)
    };
    fault(exchange, class, scope, tell)
}

/// W5 and W6: a page where JSON should be.
fn page(exchange: &Exchange) -> Fault {
    // Marks of the platform's own pages; a page of anybody else must not cost a session.
    let holds =
        |mark: &str| exchange.body.windows(mark.len()).any(|window| window == mark.as_bytes());
    let success = exchange.status.is_success();
    if success && holds("/challenge/") {
        let tell = "a challenge page instead of an answer: open the platform with this account and \
                    answer it, then release the session";
        return fault(exchange, Class::ChallengeRequired, Scope::Session, tell);
    }
    if success && (holds("LoginAndSignupPage") || holds("/accounts/login/")) {
        let tell = "the login page instead of an answer: log in and import the cookies again";
        return fault(exchange, Class::AuthRequired, Scope::Session, tell);
    }
    let tell = "a page instead of JSON: this connection may lead to somebody's own page";
    fault(exchange, Class::Malformed, way_out(exchange, Class::Malformed), tell)
}

/// Who pays for what is not the platform's own answer.
fn way_out(exchange: &Exchange, class: Class) -> Scope {
    match class {
        _ if exchange.proxied => Scope::Proxy,
        // Our own address is banned: nothing else will get through either.
        Class::Blocked => Scope::App,
        _ => Scope::Endpoint,
    }
}

fn rest(exchange: &Exchange, scope: Scope, default: Duration) -> Fault {
    let until = retry_after(exchange).unwrap_or(exchange.received_at + default);
    let text = "the platform's limit is reached; nothing is asked until the time it named";
    fault(exchange, Class::RateLimited, scope, text).with_until(until)
}

fn fault(
    exchange: &Exchange,
    class: Class,
    scope: Scope,
    tell: impl Into<Cow<'static, str>>,
) -> Fault {
    let text = format!("{} answered {}: {}", exchange.route, exchange.status.as_u16(), tell.into());
    Fault::new(class, scope, text)
}

/// The time until which the platform asks to wait: never capped, and a date counts from the
/// answer's own date, so that no clock has to be right.
fn retry_after(exchange: &Exchange) -> Option<Timestamp> {
    let text = exchange.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = Timestamp::from(httpdate::parse_http_date(text).ok()?);
            until.since(exchange.server_time().unwrap_or(exchange.received_at))
        }
    };
    Some(exchange.received_at + wait)
}

fn is_json(exchange: &Exchange) -> bool {
    let kind = exchange.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/json")
        || kind.len() > 5 && kind[kind.len() - 5..].eq_ignore_ascii_case(b"+json")
}

fn contains(text: &str, phrase: &str) -> bool {
    !text.is_empty()
        && text
            .as_bytes()
            .windows(phrase.len())
            .any(|window| window.eq_ignore_ascii_case(phrase.as_bytes()))
}

#[cfg(test)]
mod tests;
