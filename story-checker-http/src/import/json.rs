//! JSON: reading it, its fields, and the cookies that it may hold.

use serde_json::{Map, Value};
use story_checker_core::Timestamp;
use story_checker_core::session::Credentials;

use super::cookie::{Parts, is_ours};
use super::error::ImportError;
use super::found::{Found, web, web_of_pairs};
use crate::client::put_cookie;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

pub(super) fn read(text: &str) -> Result<Value, ImportError> {
    serde_json::from_str(text).map_err(|error| {
        let what = if error.is_eof() {
            "the JSON ends too early: copy or export it again"
        } else {
            "it is not valid JSON: export it again"
        };
        ImportError::line(error.line(), format!("column {}: {what}", error.column()))
    })
}

pub(super) fn object(value: &Value) -> Result<&Object, ImportError> {
    value.as_object().ok_or_else(|| ImportError::file("it must be a JSON object"))
}

/// The text under a key; none if there is nothing.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Result<Option<&'a str>, ImportError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ImportError::file(format!("{key} must be text"))),
    }
}

/// The text or whole number under a key.
pub(super) fn id(object: &Object, key: &str) -> Result<Option<String>, ImportError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match plain(value) {
            Some(text) => Ok(Some(text)),
            None => Err(ImportError::file(format!("{key} must be text or a whole number"))),
        },
    }
}

/// The time under a key: seconds since 1970, or RFC 3339. Nothing, 0 and -1 are none.
pub(super) fn time(object: &Object, key: &str) -> Result<Option<Timestamp>, ImportError> {
    let seconds = match object.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) => return Ok(Some(time)),
            Err(_) => text.parse().ok(),
        },
        Some(_) => None,
    };
    let seconds: f64 = seconds.ok_or_else(|| {
        let what = format!("{key} must be seconds since 1970, or a date like 2026-11-20T09:15:00Z");
        ImportError::file(what)
    })?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    Ok((seconds > 0.0).then_some(Timestamp::from_secs(seconds as u64)))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// The values of an object that has each cookie under its name.
pub(super) fn pairs<'a>(object: &'a Object) -> Result<Vec<(&'a str, String)>, ImportError> {
    let what = "the value of each cookie must be text or a whole number, but one is not";
    let pair = |(name, value): (&'a String, &Value)| Some((name.as_str(), plain(value)?));
    object.iter().map(|entry| pair(entry).ok_or_else(|| ImportError::file(what))).collect()
}

/// `{"sessionid": "...", "csrftoken": "..."}`
pub(super) fn read_cookie_object(value: &Value) -> Result<Found, ImportError> {
    let pairs = pairs(object(value)?)?;
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    web_of_pairs(pairs).map(Found::one)
}

/// `[{"name": "sessionid", "value": "...", "domain": "...", ...}]`, alone or under `cookies`.
pub(super) fn read_cookie_list(value: &Value) -> Result<Found, ImportError> {
    let list = value.get("cookies").unwrap_or(value).as_array();
    let list = list.ok_or_else(|| ImportError::file("it must be a JSON list of cookies"))?;
    let mut cookies = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let read = || {
            let object = object(entry)?;
            let domain = text(object, "domain")?;
            if domain.is_some_and(|domain| !is_ours(domain)) {
                return Ok(None);
            }
            let missing = |key: &str| ImportError::file(format!("{key} is missing"));
            let mut parts = Parts::new(
                text(object, "name")?.ok_or_else(|| missing("name"))?,
                text(object, "value")?.ok_or_else(|| missing("value"))?,
            );
            parts.domain = domain;
            parts.path = text(object, "path")?.unwrap_or(parts.path);
            let mut cookie = parts
                .cookie()
                .map_err(|wrong| ImportError::file(format!("{} {}", wrong.part, wrong.rule)))?;
            for key in ["expirationDate", "expires", "expiry"] {
                cookie.expires_at = cookie.expires_at.or(time(object, key)?);
            }
            Ok(Some(cookie))
        };
        let cookie = read().map_err(|error: ImportError| error.in_entry(index + 1))?;
        cookie.into_iter().for_each(|cookie| put_cookie(&mut cookies, cookie));
    }
    web(Credentials::from_cookies(cookies)).map(Found::one)
}
