//! Tokens of official APIs as JSON: one object, or a list of them.

use std::time::Duration;

use serde_json::Value;

use super::error::ImportError;
use super::found::{Found, graph, graph_token, x};
use super::json::{Object, id, object, text, time};
use crate::instagram::{GraphToken, InvalidGraphToken};

const NO_END: &str = "expires_in counts from a moment that the file does not name, so the end of \
                      the token is not known: add issued_at or expires_at";

pub(super) fn read(value: &Value) -> Result<Found, ImportError> {
    let mut found = Found::default();
    let Some(list) = value.as_array() else {
        read_object(value, &mut found, 1)?;
        return Ok(found);
    };
    for (index, entry) in list.iter().enumerate() {
        let number = index + 1;
        read_object(entry, &mut found, number).map_err(|error| error.in_entry(number))?;
    }
    Ok(found)
}

fn read_object(value: &Value, found: &mut Found, number: usize) -> Result<(), ImportError> {
    let object = object(value)?;
    for key in ["bearer_token", "x_bearer_token"] {
        if let Some(token) = text(object, key)? {
            found.add(x(token)?, "entry", number);
            return Ok(());
        }
    }
    let Some(token) = text(object, "access_token")? else {
        let what = "there is neither access_token (Instagram Graph API) nor bearer_token (X API)";
        return Err(ImportError::file(what));
    };
    let mut token = read_graph(object, token)?;
    token.issued_at = time(object, "issued_at")?;
    token.expires_at = time(object, "expires_at")?;
    let lifetime = object.get("expires_in").filter(|value| !value.is_null());
    if let (Some(lifetime), None) = (lifetime, token.expires_at) {
        let Some(lifetime) = lifetime.as_u64() else {
            return Err(ImportError::file("expires_in must be a number of seconds"));
        };
        token.expires_at = token.issued_at.map(|at| at + Duration::from_secs(lifetime));
        if token.expires_at.is_none() {
            found.warnings.push(NO_END.to_owned());
        }
    }
    found.add(graph(token)?, "entry", number);
    Ok(())
}

fn read_graph(object: &Object, token: &str) -> Result<GraphToken, ImportError> {
    let Some(username) = text(object, "username")? else {
        let what = "username is missing: the token speaks for one account only, so write its name";
        return Err(ImportError::file(what));
    };
    let user_id = match id(object, "ig_user_id")? {
        Some(id) => Some(id),
        None => id(object, "user_id")?,
    };
    let Some(user_id) = user_id else {
        let what = "ig_user_id is missing: write the number of the account, as the API tells it";
        return Err(ImportError::file(what));
    };
    let mut token = graph_token(username, &user_id, token);
    if let Some(login) = text(object, "login")? {
        token.login = login
            .parse()
            .map_err(|error: InvalidGraphToken| ImportError::file(error.to_string()))?;
    }
    Ok(token)
}
