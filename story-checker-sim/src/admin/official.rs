//! The tokens of the official APIs, and the truth behind them.

use serde_json::{Value, json};

use super::{Failure, bad, number, text};
use crate::platform::Platform;
use crate::request::Request;
use crate::time::Timestamp;
use crate::x::{XAccountKind, XAccountScript, XMedia, XScriptedPost};

/// All tokens of the Graph API.
pub(super) fn graph_tokens(platform: &Platform, now: Timestamp) -> Value {
    (0..platform.graph_tokens())
        .map(|index| {
            let mut token = json!(platform.graph_token(index));
            token["index"] = index.into();
            token["refused"] = json!(platform.graph_token_row(index, now));
            token
        })
        .collect()
}

/// All tokens of the X API.
pub(super) fn x_tokens(platform: &Platform, now: Timestamp) -> Value {
    (0..platform.x_tokens())
        .map(|index| {
            json!({
                "index": index,
                "bearer_token": platform.x_token(index),
                "refused": platform.x_token_row(index, now),
            })
        })
        .collect()
}

/// Refuses a token with the catalogue row `row`, or accepts it where that is `none`.
pub(super) fn set_token(
    request: &Request<'_>,
    index: &str,
    set: impl FnOnce(usize, Option<&str>, Option<Timestamp>) -> bool,
) -> Result<Value, Failure> {
    let row = text(request, "row")?;
    let row = Some(row.as_str()).filter(|row| *row != "none");
    let from = number(request, "from")?.map(Timestamp::from_unix_millis);
    let number_of_token =
        index.parse().map_err(|_| bad(format!("a token is a number, not {index:?}")))?;
    if !set(number_of_token, row, from) {
        return Err(bad(format!("there is no token {index}, or no catalogue row {row:?}")));
    }
    Ok(json!({ "token": number_of_token, "row": row, "from": from }))
}

/// What the Graph API shows of the account behind a token.
pub(super) fn graph_truth(
    platform: &Platform,
    request: &Request<'_>,
    now: Timestamp,
) -> Result<Value, Failure> {
    let index = text(request, "token")?;
    let at = number(request, "at")?.map_or(now, Timestamp::from_unix_millis);
    let truth = index.parse().ok().and_then(|index| platform.graph_truth(index, at));
    let truth = truth.ok_or_else(|| {
        bad(format!("a token is a number below {}, not {index:?}", platform.graph_tokens()))
    })?;
    Ok(json!({ "token": index, "at": at, "kind": truth.kind, "items": truth.items }))
}

/// What is true about an account on X, or about a query, since a moment.
pub(super) fn x_truth(
    platform: &Platform,
    request: &Request<'_>,
    now: Timestamp,
) -> Result<Value, Failure> {
    let at = number(request, "at")?.map_or(now, Timestamp::from_unix_millis);
    let since = number(request, "since")?
        .map(Timestamp::from_unix_millis)
        .ok_or_else(|| bad("the parameter since is missing".into()))?;
    let truth = match text(request, "query") {
        Ok(query) => platform
            .x_search_truth(&query, since, at)
            .ok_or_else(|| bad(format!("this is no query: {query:?}")))?,
        Err(_) => platform.x_truth(&text(request, "name")?, since, at),
    };
    Ok(json!({ "since": since, "at": at, "kind": truth.kind, "posts": truth.posts }))
}

/// Overrides an account on X, or gives it back.
pub(super) fn set_x_account(
    platform: &Platform,
    request: &Request<'_>,
    name: &str,
    now: Timestamp,
) -> Result<Value, Failure> {
    let kind = text(request, "kind")?;
    let script = match kind.as_str() {
        "active" => {
            let post = XScriptedPost::new(now, "steam #tea").with_media(XMedia::Photo);
            Some(XAccountScript::posting([post]))
        }
        "no_posts" => Some(XAccountScript::new(XAccountKind::Public)),
        "protected" => Some(XAccountScript::new(XAccountKind::Protected)),
        "suspended" => Some(XAccountScript::new(XAccountKind::Suspended)),
        "not_found" => Some(XAccountScript::new(XAccountKind::NotFound)),
        "seeded" => None,
        _ => {
            return Err(bad(format!(
                "kind is active, no_posts, protected, suspended, not_found or seeded, not {kind:?}"
            )));
        }
    };
    let is_valid = match script {
        Some(script) => platform.set_x_account(name, script),
        None => platform.reset_x_account(name),
    };
    if !is_valid {
        return Err(bad(format!("a name on X is 1 to 15 of a-z, 0-9 and underscore: {name:?}")));
    }
    Ok(json!({ "name": name.to_ascii_lowercase(), "kind": kind }))
}
