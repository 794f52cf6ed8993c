//! What a file is, by its content.

use std::fmt;

use serde_json::Value;

use super::error::ImportError;
use super::{json, lines, pickle};

/// The longest file that is read: sessions are small, and a longer one is a mistake.
pub const MAX_FILE: usize = 1024 * 1024;

/// A form in which people have their sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A list of cookies as JSON, as browser extensions write it, or the storage state of
    /// Playwright.
    CookieList,
    /// One JSON object with the value of each cookie under its name.
    CookieObject,
    /// cookies.txt, the Netscape format of browser extensions and download tools.
    CookiesTxt,
    /// The settings.json of instagrapi.
    InstagrapiSettings,
    /// The session file of instaloader: a Python pickle.
    InstaloaderSession,
    /// One session per line: a bare sessionid, a `Cookie` header, `graph:name:id:token` or
    /// `x:token`.
    Lines,
    /// Tokens of official APIs as JSON.
    Tokens,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CookiesTxt,
        Self::CookieList,
        Self::CookieObject,
        Self::InstagrapiSettings,
        Self::InstaloaderSession,
        Self::Lines,
        Self::Tokens,
    ];

    /// Recognises the format of a file by its content.
    ///
    /// # Errors
    /// [`ImportError`] if it is none of them; the text lists them.
    pub fn of(file: &[u8]) -> Result<Self, ImportError> {
        if pickle::is_pickle(file) {
            return Ok(Self::InstaloaderSession);
        }
        let text = text(file)?;
        if text.trim().is_empty() {
            return Err(ImportError::file(format!("it is empty; {}", Expected)));
        }
        let found = if text.trim_start().starts_with(['{', '[']) {
            Self::of_json(&json::read(text)?)
        } else {
            Self::of_lines(text)
        };
        found.ok_or_else(|| ImportError::file(format!("its content is none we know; {Expected}")))
    }

    fn of_json(value: &Value) -> Option<Self> {
        let has = |keys: &[&str]| keys.iter().any(|key| value.get(key).is_some());
        match value {
            Value::Array(list) => match list.first() {
                Some(first) if Self::of_json(first) == Some(Self::Tokens) => Some(Self::Tokens),
                _ => Some(Self::CookieList),
            },
            _ if has(&["authorization_data", "device_settings", "uuids"]) => {
                Some(Self::InstagrapiSettings)
            }
            _ => match value.get("cookies") {
                Some(Value::Array(_)) => Some(Self::CookieList),
                Some(_) => Some(Self::InstagrapiSettings),
                None if has(&["access_token", "bearer_token", "x_bearer_token"]) => {
                    Some(Self::Tokens)
                }
                None => has(&["sessionid"]).then_some(Self::CookieObject),
            },
        }
    }

    fn of_lines(text: &str) -> Option<Self> {
        // The tabs of a cookies.txt are easily lost: its reader says so.
        let is_cookie = |line: &str| line.contains('\t') || line.contains("instagram.com");
        let named = ["# Netscape HTTP Cookie File", "# HTTP Cookie File"];
        if text.lines().any(|line| named.iter().any(|name| line.starts_with(name))) {
            return Some(Self::CookiesTxt);
        }
        if lines::content(text).next().is_some_and(|(_, line)| lines::is_session(line)) {
            return Some(Self::Lines);
        }
        text.lines().any(is_cookie).then_some(Self::CookiesTxt)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CookieList => "JSON list of cookies",
            Self::CookieObject => "JSON cookies",
            Self::CookiesTxt => "cookies.txt",
            Self::InstagrapiSettings => "instagrapi settings",
            Self::InstaloaderSession => "instaloader session",
            Self::Lines => "list of sessions",
            Self::Tokens => "JSON tokens",
        })
    }
}

struct Expected;

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected is a cookies.txt (Netscape format, with tabs), cookies as JSON (by name, a \
             browser extension's list, or a storage state), settings of instagrapi, a session file \
             of instaloader, a sessionid per line, or JSON with access_token (Instagram Graph API) \
             or bearer_token (X API)",
        )
    }
}

/// The file as text, without a byte order mark.
pub(super) fn text(file: &[u8]) -> Result<&str, ImportError> {
    if is_utf16(file) {
        return Err(ImportError::file("it is UTF-16 text: save it as UTF-8"));
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let line_at = |at: usize| file[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
    if let Some(at) = file.iter().position(|&byte| byte == 0) {
        let what = "it holds a zero byte: the file is damaged, export it again";
        return Err(ImportError::line(line_at(at), what));
    }
    std::str::from_utf8(file).map_err(|error| {
        let what = "it is not UTF-8 text: save it as UTF-8, or export it again";
        ImportError::line(line_at(error.valid_up_to()), what)
    })
}

/// By its mark, or by a zero in every other byte.
fn is_utf16(file: &[u8]) -> bool {
    let zeros = |first: usize| file.iter().skip(first).step_by(2).take(16).all(|&byte| byte == 0);
    file.starts_with(b"\xff\xfe")
        || file.starts_with(b"\xfe\xff")
        || file.len() > 3 && (zeros(0) != zeros(1))
}
