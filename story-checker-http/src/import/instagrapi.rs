//! The settings.json of instagrapi (domain: what it holds, from its `auth.py`).
//!
//! The identity of the device in it (its uuids, model and locale) is left alone: a browser's API
//! does not ask for one, and nothing here pretends to be a phone.

use serde_json::Value;
use story_checker_core::Secret;
use story_checker_core::session::Credentials;

use super::error::ImportError;
use super::found::{Found, cookies, web};
use super::json::{Object, id, object, pairs, text};

const WARNING: &str = "this is a session of the app, with the app's user agent: the website may \
                       refuse it or log it out; a session exported from a browser is safer";

pub(super) fn read(value: &Value) -> Result<Found, ImportError> {
    let settings = object(value)?;
    let none = Object::new();
    let part = |key: &str| match settings.get(key) {
        None | Some(Value::Null) => Ok(&none),
        Some(part) => {
            part.as_object().ok_or_else(|| ImportError::file(format!("{key} must be an object")))
        }
    };
    let authorization = part("authorization_data")?;
    // The later ones win: `cookies` is what the platform set last.
    let mut all = Vec::new();
    for (name, value) in [
        ("sessionid", id(authorization, "sessionid")?),
        ("ds_user_id", id(authorization, "ds_user_id")?),
        ("mid", id(settings, "mid")?),
        ("rur", text(settings, "ig_u_rur")?.map(as_rur)),
    ] {
        all.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    }
    all.extend(pairs(part("cookies")?)?);
    let all = all.iter().map(|(name, value)| (*name, value.as_str()));
    let mut credentials = Credentials::from_cookies(cookies(all)?);
    if let Some(claim) = header(settings, "ig_www_claim")? {
        credentials.tokens.insert("www_claim".to_owned(), Secret::new(claim));
    }
    credentials.user_agent = header(settings, "user_agent")?.map(str::to_owned);
    Ok(Found { sessions: vec![web(credentials)?], warnings: vec![WARNING.to_owned()] })
}

/// Text that goes into a header; empty is none.
fn header<'a>(settings: &'a Object, key: &str) -> Result<Option<&'a str>, ImportError> {
    let value = text(settings, key)?.filter(|value| !value.is_empty());
    match value {
        Some(value) if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Err(ImportError::file(format!("{key} holds characters that a request cannot carry")))
        }
        value => Ok(value),
    }
}

/// The header's value as the cookie has it: quoted, and with commas as octal numbers.
fn as_rur(header: &str) -> String {
    if header.contains(',') {
        format!("\"{}\"", header.replace(',', "\\054"))
    } else {
        header.to_owned()
    }
}
