//! What an answer of the platform means. One table; its ids name the rows in code and tests.

use http::StatusCode;
use serde_json::Value;
use story_checker_core::{Class, Fault, Scope};

use super::api::SEARCH;
use super::limit::rest;
use super::problem::Problem;
use crate::body::BodyError;
use crate::client::Exchange;

/// What an answer says about an account that is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is nobody of this name or id.
    Missing,
    /// It is not for us.
    Private,
    /// It is suspended.
    Suspended,
}

/// A regular answer, or what the platform says instead about the account that was asked about.
#[derive(Debug)]
pub(super) enum Read<T> {
    Answer(T),
    Standing(Standing),
}

/// By what a row is known.
enum Sign {
    Code(u64),
    Phrase(&'static str),
    Title(&'static str),
    /// The last part of the type.
    Type(&'static str),
}

/// What a row means.
enum Means {
    Fault(Class, Scope, &'static str),
    /// The limit of a window.
    Limit,
    /// An error of the platform's own.
    Server,
    /// Something about the account that was asked about.
    Standing(Standing),
}

struct Row {
    #[cfg_attr(not(test), expect(dead_code, reason = "it names the row for readers and tests"))]
    id: &'static str,
    /// The statuses it comes with; any if empty.
    statuses: &'static [u16],
    /// One of these is there; if empty the status is enough.
    signs: &'static [Sign],
    means: Means,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { id: "X429-cap", statuses: &[429], signs: &[Sign::Type("usage-capped"), Sign::Title("UsageCapExceeded")],
        means: Means::Fault(Class::Permanent, Scope::App,
            "the app's posts for this period are used up: wait for the next one, or raise the cap in the developer portal") },
    Row { id: "X429-window", statuses: &[429], signs: &[], means: Means::Limit },
    Row { id: "X429-window", statuses: &[], signs: &[Sign::Code(88)], means: Means::Limit },
    Row { id: "X402", statuses: &[402], signs: &[],
        means: Means::Fault(Class::Permanent, Scope::App,
            "the app has no credits left: buy some in the developer portal") },
    Row { id: "X401-32", statuses: &[], signs: &[Sign::Code(32), Sign::Code(89)],
        means: Means::Fault(Class::AuthRequired, Scope::Session,
            "the platform does not accept the token: make a new one in the developer portal and import it") },
    Row { id: "X401", statuses: &[401], signs: &[],
        means: Means::Fault(Class::AuthRequired, Scope::Session,
            "the platform does not accept the token: make a new one in the developer portal and import it") },
    Row { id: "X403-unsupported-auth", statuses: &[], signs: &[Sign::Type("unsupported-authentication")],
        means: Means::Fault(Class::Permanent, Scope::Ours,
            "this kind of token cannot be used here: import the bearer token of an app") },
    Row { id: "X403-not-enrolled", statuses: &[], signs: &[Sign::Type("client-forbidden")],
        means: Means::Fault(Class::Permanent, Scope::App,
            "the app may not use the API: enrol it in a project of the developer portal") },
    Row { id: "X403-user-suspended", statuses: &[], signs: &[Sign::Type("user-suspended"), Sign::Code(64)],
        means: Means::Fault(Class::Permanent, Scope::Session,
            "the account behind this token is suspended: only its owner can appeal") },
    Row { id: "X403-326", statuses: &[], signs: &[Sign::Code(326)],
        means: Means::Fault(Class::ChallengeRequired, Scope::Session,
            "the account behind this token is locked: its owner has to log in to X and unlock it, then import it anew") },
    Row { id: "X130", statuses: &[], signs: &[Sign::Code(130)], means: Means::Server },
    Row { id: "X131", statuses: &[], signs: &[Sign::Code(131)], means: Means::Server },
    Row { id: "X500", statuses: &[], signs: &[Sign::Type("internal-error")], means: Means::Server },
    Row { id: "X500", statuses: &[500], signs: &[], means: Means::Server },
    Row { id: "X502", statuses: &[502], signs: &[], means: Means::Server },
    Row { id: "X503", statuses: &[503], signs: &[], means: Means::Server },
    Row { id: "X504", statuses: &[504], signs: &[], means: Means::Server },
    Row { id: "X400", statuses: &[400], signs: &[],
        means: Means::Fault(Class::Permanent, Scope::Ours,
            "the platform does not understand the request: correct the configuration, or update this version") },
    Row { id: "X-suspended", statuses: &[200, 403, 404], signs: &[Sign::Phrase("has been suspended"), Sign::Code(63)],
        means: Means::Standing(Standing::Suspended) },
    Row { id: "X404", statuses: &[200, 404], signs: &[Sign::Type("resource-not-found"), Sign::Code(50)],
        means: Means::Standing(Standing::Missing) },
    Row { id: "X-unavailable", statuses: &[200, 403, 404], signs: &[Sign::Type("resource-unavailable")],
        means: Means::Standing(Standing::Missing) },
    Row { id: "X-not-authorized", statuses: &[200, 403, 404], signs: &[Sign::Type("not-authorized-for-resource")],
        means: Means::Standing(Standing::Private) },
    Row { id: "X-hydration", statuses: &[], signs: &[Sign::Type("field-hydration-failure")],
        means: Means::Fault(Class::Transient, Scope::Endpoint,
            "the platform could not fill in its answer") },
    Row { id: "X-field", statuses: &[], signs: &[Sign::Type("not-authorized-for-field"), Sign::Type("field-unauthorized")],
        means: Means::Fault(Class::Malformed, Scope::Endpoint,
            "the platform keeps a field back and everything else with it; if that stays, the platform has changed") },
];

/// Reads a regular answer with `parse`. What is none says something about the account that was
/// `asked` about, by name or id, if it was a single one; or it is a fault.
pub(super) fn read<'a, T>(
    exchange: &'a Exchange,
    asked: Option<&str>,
    parse: impl FnOnce(&'a [u8]) -> Result<T, BodyError>,
) -> Result<Read<T>, Fault> {
    let shape = if exchange.status == StatusCode::OK && exchange.is_json() && !exchange.is_old() {
        match parse(&exchange.body) {
            Ok(answer) => return Ok(Read::Answer(answer)),
            Err(error) => Some(error),
        }
    } else {
        None
    };
    classify(exchange, asked, shape).map(Read::Standing)
}

/// Each answer of the platform has one of these fields.
const MARKS: &[&str] = &["data", "detail", "errors", "meta", "title", "type"];

/// What an answer without data means. In order: redirect, whose answer it is, content type, JSON, the
/// body's own words.
fn classify(
    exchange: &Exchange,
    asked: Option<&str>,
    shape: Option<BodyError>,
) -> Result<Standing, Fault> {
    if exchange.status.is_redirection() {
        return Err(match exchange.redirect_path(|_| false) {
            Some(_) => malformed(exchange, "a redirect where an answer should be"),
            None => exchange.foreign_redirect(),
        });
    }
    if let Some(fault) = exchange.of_somebody_else() {
        return Err(fault);
    }
    if exchange.is_old() {
        return Err(exchange.old_answer());
    }
    if !exchange.is_json() {
        // A text or page of anybody may cost neither token nor app.
        return Err(match exchange.status.as_u16() {
            429 => limit(exchange),
            408 | 500..=599 => exchange.server_error(),
            _ => exchange.foreign_page(),
        });
    }
    let body = match serde_json::from_slice::<Value>(&exchange.body) {
        Ok(body) => body,
        Err(error) => {
            let text = format!("{}, although it should be", BodyError::from(error));
            return Err(exchange.fault(Class::Malformed, Scope::Endpoint, text));
        }
    };
    if exchange.status == StatusCode::OK && Exchange::is_foreign(&body, MARKS) {
        return Err(exchange.foreign_json());
    }
    let problems = Problem::all(body);
    match shape.filter(|_| problems.is_empty()) {
        Some(error) => Err(malformed(exchange, &error.to_string())),
        None => judge(exchange, asked, &problems.iter().collect::<Vec<_>>()),
    }
}

/// What problems mean that came in this answer. The first row of the table that fits counts.
pub(super) fn judge(
    exchange: &Exchange,
    asked: Option<&str>,
    problems: &[&Problem],
) -> Result<Standing, Fault> {
    let status = exchange.status.as_u16();
    let Some(row) = ROWS.iter().find(|row| row.fits(status, problems)) else {
        return Err(match status {
            408 | 500..=599 => exchange.server_error(),
            _ => {
                let text = "a problem that nobody knows; the platform may have changed";
                exchange.fault(Class::Malformed, Scope::Endpoint, text)
            }
        });
    };
    match row.means {
        Means::Standing(standing) => {
            let is_asked =
                |subject: &str| asked.is_some_and(|asked| subject.eq_ignore_ascii_case(asked));
            let mut subjects = problems.iter().filter_map(|problem| problem.subject());
            if asked.is_some() && subjects.all(|subject| is_asked(&subject)) {
                Ok(standing)
            } else {
                Err(malformed(exchange, "an answer about an account that was not asked about"))
            }
        }
        Means::Limit => Err(limit(exchange)),
        Means::Server => Err(exchange.server_error()),
        // A query is its author's; everything else in a request is ours.
        Means::Fault(Class::Permanent, Scope::Ours, _)
            if exchange.route == SEARCH && exchange.holds("\"query\"") =>
        {
            let text = "the platform does not accept the query: correct it";
            Err(exchange.fault(Class::Permanent, Scope::Target, text))
        }
        Means::Fault(class, scope, tell) => Err(exchange.fault(class, scope, tell)),
    }
}

impl Row {
    fn fits(&self, status: u16, problems: &[&Problem]) -> bool {
        let has = |sign: &Sign| problems.iter().any(|problem| sign.is_on(problem));
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.signs.is_empty() || self.signs.iter().any(has))
    }
}

impl Sign {
    fn is_on(&self, problem: &Problem) -> bool {
        match *self {
            Self::Code(code) => problem.code() == Some(code),
            Self::Phrase(phrase) => problem.says(phrase),
            Self::Title(title) => problem.title() == title,
            Self::Type(kind) => problem.kind() == kind,
        }
    }
}

fn limit(exchange: &Exchange) -> Fault {
    let text =
        "the token's limit for this endpoint is reached; nothing is asked until it begins anew";
    exchange.fault(Class::RateLimited, Scope::Session, text).with_until(rest(exchange))
}

/// The answer cannot be believed as it is.
pub(super) fn malformed(exchange: &Exchange, what: &str) -> Fault {
    let text = format!("{what}; if that stays, the platform has changed");
    exchange.fault(Class::Malformed, Scope::Endpoint, text)
}

#[cfg(test)]
mod tests;
