//! The admin API below `/_sim/`: the truth, the audit and the switches, for tests in other processes.

mod official;

use std::borrow::Cow;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::accounts::{AccountKind, AccountScript, ScriptedStory};
use crate::audit::RequestFilter;
use crate::catalogue;
use crate::platform::Platform;
use crate::request::Request;
use crate::scenario::parse_rules;
use crate::time::Timestamp;
use crate::traffic::SessionState;

/// How many requests are listed when nobody says.
const DEFAULT_REQUESTS: usize = 100;

type Failure = (StatusCode, String);

/// Answers a request for a path below `/_sim/`.
pub(crate) fn handle(
    platform: &Platform,
    request: &Request<'_>,
    path: &str,
    now: Timestamp,
) -> (StatusCode, String) {
    let (status, body) = match dispatch(platform, request, path, now) {
        Ok(body) => (StatusCode::OK, body),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    (status, body.to_string())
}

fn dispatch(
    platform: &Platform,
    request: &Request<'_>,
    path: &str,
    now: Timestamp,
) -> Result<Value, Failure> {
    let (head, tail) = path.split_once('/').unwrap_or((path, ""));
    if head == "rules" {
        return rules(platform, request, path, tail);
    }
    let expected = match (head, tail) {
        ("audit" | "catalogue" | "health" | "requests" | "sessions" | "truth", "") => Method::GET,
        ("graph_tokens" | "graph_truth" | "x_tokens" | "x_truth", "") => Method::GET,
        ("graph_tokens" | "x_tokens" | "x_accounts", _) => Method::POST,
        ("reset-audit", "") => Method::POST,
        ("accounts" | "sessions", _) => Method::POST,
        _ => return Err((StatusCode::NOT_FOUND, format!("no such admin path: /_sim/{path}"))),
    };
    if *request.method() != expected {
        let message = format!("/_sim/{path} is for {expected}, not {}", request.method());
        return Err((StatusCode::METHOD_NOT_ALLOWED, message));
    }
    match (head, tail) {
        ("audit", _) => Ok(json!(platform.audit())),
        ("catalogue", _) => Ok(catalogue::rows().map(|row| json!(row)).collect()),
        ("health", _) => Ok(json!({ "status": "ok", "now": now })),
        ("requests", _) => {
            let limit = number(request, "limit")?;
            let limit =
                limit.map_or(DEFAULT_REQUESTS, |n| usize::try_from(n).unwrap_or(usize::MAX));
            Ok(json!(platform.requests(&RequestFilter::new(), limit)))
        }
        ("truth", _) => truth(platform, request, now),
        ("reset-audit", _) => {
            platform.reset_audit();
            Ok(json!({ "status": "ok" }))
        }
        ("graph_tokens", "") => Ok(official::graph_tokens(platform, now)),
        ("graph_tokens", index) => official::set_token(request, index, |index, row, from| {
            platform.set_graph_token(index, row, from)
        }),
        ("graph_truth", _) => official::graph_truth(platform, request, now),
        ("x_tokens", "") => Ok(official::x_tokens(platform, now)),
        ("x_tokens", index) => official::set_token(request, index, |index, row, from| {
            platform.set_x_token(index, row, from)
        }),
        ("x_accounts", name) => official::set_x_account(platform, request, name, now),
        ("x_truth", _) => official::x_truth(platform, request, now),
        ("sessions", "") => Ok(sessions(platform, now)),
        ("sessions", index) => set_session(platform, request, index),
        (_, name) => set_account(platform, request, name, now),
    }
}

/// The rules: all with GET, one more or a list more with POST, none with DELETE.
fn rules(
    platform: &Platform,
    request: &Request<'_>,
    path: &str,
    number: &str,
) -> Result<Value, Failure> {
    let known = |number: &str| number.parse().is_ok_and(|number| platform.remove_rule(number));
    match (request.method(), number) {
        (&Method::GET, "") => Ok(json!(platform.rules_status())),
        (&Method::POST, "") => {
            let rules = parse_rules(request.body()).map_err(|error| bad(error.to_string()))?;
            // All or none.
            let mut numbers = Vec::new();
            for rule in rules {
                match platform.add_rule(rule) {
                    Ok(number) => numbers.push(number),
                    Err(error) => {
                        numbers.into_iter().for_each(|number| _ = platform.remove_rule(number));
                        return Err(bad(error.to_string()));
                    }
                }
            }
            Ok(json!({ "rules": numbers }))
        }
        (&Method::DELETE, "") => {
            platform.clear_rules();
            Ok(json!({ "status": "ok" }))
        }
        (&Method::DELETE, number) if known(number) => Ok(json!({ "status": "ok" })),
        (&Method::DELETE, number) => {
            Err((StatusCode::NOT_FOUND, format!("there is no rule {number}")))
        }
        (method, _) => {
            let message = format!("/_sim/{path} is for GET, POST or DELETE, not {method}");
            Err((StatusCode::METHOD_NOT_ALLOWED, message))
        }
    }
}

fn truth(platform: &Platform, request: &Request<'_>, now: Timestamp) -> Result<Value, Failure> {
    let name = text(request, "name")?;
    let at = number(request, "at")?.map_or(now, Timestamp::from_unix_millis);
    let (id, truth) = platform.truth_with_id(name.as_bytes(), at);
    Ok(json!({ "name": name, "id": id, "at": at, "kind": truth.kind, "items": truth.items }))
}

fn sessions(platform: &Platform, now: Timestamp) -> Value {
    (0..platform.sessions())
        .map(|index| {
            let cookies: serde_json::Map<_, _> = platform
                .session_credentials(index)
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect();
            json!({
                "index": index,
                "username": platform.session_username(index),
                "state": platform.session_state(index, now),
                "cookies": cookies,
            })
        })
        .collect()
}

fn set_session(platform: &Platform, request: &Request<'_>, index: &str) -> Result<Value, Failure> {
    let number_of_session = index.parse().map_err(|_| {
        bad(format!("a session is a number below {}, not {index:?}", platform.sessions()))
    })?;
    let state = text(request, "state")?;
    let state = SessionState::parse(state.as_bytes()).ok_or_else(|| {
        bad(format!(
            "state is logged_in, logged_out, challenged, blocked or suspended, not {state:?}"
        ))
    })?;
    let from = number(request, "from")?.map(Timestamp::from_unix_millis);
    if !platform.set_session_state(number_of_session, state, from) {
        return Err(bad(format!("there is no session {index}: there are {}", platform.sessions())));
    }
    Ok(json!({ "session": number_of_session, "state": state, "from": from }))
}

fn set_account(
    platform: &Platform,
    request: &Request<'_>,
    name: &str,
    now: Timestamp,
) -> Result<Value, Failure> {
    let kind = text(request, "kind")?;
    let script = match &*kind {
        "active" => {
            let lives = match number(request, "for_ms")? {
                Some(millis) => Duration::from_millis(millis),
                None => platform.config().population.story_lifetime,
            };
            let expires = now.saturating_add(lives);
            Some(AccountScript::active([ScriptedStory::image(now, expires)]))
        }
        "no_story" => Some(AccountScript::no_story()),
        "gated" => Some(AccountScript::new(AccountKind::Gated)),
        "private" => Some(AccountScript::new(AccountKind::Private)),
        "not_found" => Some(AccountScript::new(AccountKind::NotFound)),
        "seeded" => None,
        _ => {
            return Err(bad(format!(
                "kind is active, no_story, private, gated, not_found or seeded, not {kind:?}"
            )));
        }
    };
    if !platform.script(name.as_bytes(), script) {
        return Err(bad(format!("a name is 1 to 30 of a-z, 0-9, dot and underscore: {name:?}")));
    }
    Ok(json!({ "name": name.to_ascii_lowercase(), "kind": kind }))
}

fn bad(message: String) -> Failure {
    (StatusCode::BAD_REQUEST, message)
}

/// The text of a parameter that must be there.
fn text<'a>(request: &Request<'a>, name: &'a str) -> Result<String, Failure> {
    request
        .params(name)
        .next()
        .map(|value| String::from_utf8_lossy(&value).into_owned())
        .ok_or_else(|| bad(format!("the parameter {name} is missing")))
}

/// The number in a parameter that may be left out.
fn number<'a>(request: &Request<'a>, name: &'a str) -> Result<Option<u64>, Failure> {
    let Some(value) = request.params(name).next() else { return Ok(None) };
    let value: Cow<'_, str> = String::from_utf8_lossy(&value);
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(bad(format!("{name} is a whole number, not {value:?}"))),
    }
}
