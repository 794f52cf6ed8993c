//! cookies.txt: 7 fields per line, separated by tabs.

use story_checker_core::session::{Cookie, Credentials};

use super::cookie::{Parts, Wrong, is_ours};
use super::error::ImportError;
use super::found::{Found, web};
use crate::client::put_cookie;

const FIELDS: [&str; 7] =
    ["domain", "include subdomains", "path", "secure", "expires", "name", "value"];

pub(super) fn read(text: &str) -> Result<Found, ImportError> {
    let mut cookies = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // This prefix is a flag, although it looks like a comment.
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        if line.trim().is_empty() || line.starts_with(['#', '$']) {
            continue;
        }
        if let Some(cookie) = read_line(line, index + 1)? {
            put_cookie(&mut cookies, cookie);
        }
    }
    web(Credentials::from_cookies(cookies)).map(Found::one)
}

/// None: a cookie of another site, which is none of our business.
fn read_line(line: &str, number: usize) -> Result<Option<Cookie>, ImportError> {
    let fields: Vec<&str> = line.split('\t').collect();
    let Ok([domain, subdomains, path, secure, expires, name, value]) =
        <[&str; 7]>::try_from(fields.as_slice())
    else {
        let count = fields.len();
        let what = format!("it has {count} of the 7 fields, which must be separated by tabs");
        return Err(ImportError::line(number, what));
    };
    if !is_ours(domain) {
        return Ok(None);
    }
    let wrong = |Wrong { part, rule }: Wrong| {
        let field = FIELDS.iter().position(|field| *field == part).unwrap_or_default() + 1;
        ImportError::line(number, format!("field {field} ({part}) {rule}"))
    };
    for (part, flag) in [(FIELDS[1], subdomains), (FIELDS[3], secure)] {
        if !flag.eq_ignore_ascii_case("true") && !flag.eq_ignore_ascii_case("false") {
            return Err(wrong(Wrong { part, rule: "must be TRUE or FALSE" }));
        }
    }
    let expires = expires
        .trim()
        .parse()
        .map_err(|_| wrong(Wrong { part: "expires", rule: "must be seconds since 1970, or 0" }))?;
    let parts = Parts { domain: Some(domain), path, expires, name, value };
    parts.cookie().map(Some).map_err(wrong)
}
