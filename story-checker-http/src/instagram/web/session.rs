use std::fmt;

use story_checker_core::session::{Cookie, Credentials, SessionRecord};
use story_checker_core::{SessionId, Timestamp};

use super::api::SESSION_KIND;
use crate::client::{is_cookie_value, put_cookie};

const DOMAIN: &str = "instagram.com";
const FIELDS: [&str; 7] =
    ["domain", "include subdomains", "path", "secure", "expires", "name", "value"];

/// Cookies that make no session. Never quotes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSession {
    line: Option<usize>,
    what: String,
}

impl InvalidSession {
    fn new(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }

    fn at(line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into() }
    }

    /// The line of the file that is wrong, from 1; none if the whole file is.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for InvalidSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} of the cookies: {}", self.what),
            None => write!(f, "the cookies: {}", self.what),
        }
    }
}

impl std::error::Error for InvalidSession {}

/// Makes a session of a cookies.txt (Netscape format), as browser extensions and download tools
/// write it: 7 fields per line, separated by tabs. Cookies of other sites are left out.
///
/// # Errors
/// [`InvalidSession`] that names line and field if a line cannot be understood, or says that the
/// file holds no `sessionid` cookie of `instagram.com`.
pub fn web_session(id: SessionId, cookies_txt: &str) -> Result<SessionRecord, InvalidSession> {
    let text = cookies_txt.strip_prefix('\u{feff}').unwrap_or(cookies_txt);
    let mut cookies = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        // This prefix is a flag, although it looks like a comment.
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        if line.trim().is_empty() || line.starts_with(['#', '$']) {
            continue;
        }
        if let Some(cookie) = read_line(line, index + 1)? {
            put_cookie(&mut cookies, cookie);
        }
    }
    web_session_from_cookies(id, cookies)
}

fn read_line(line: &str, number: usize) -> Result<Option<Cookie>, InvalidSession> {
    let fields: Vec<&str> = line.split('\t').collect();
    let Ok([domain, subdomains, path, secure, expires, name, value]) =
        <[&str; 7]>::try_from(fields.as_slice())
    else {
        let count = fields.len();
        let text = format!("it has {count} of the 7 fields, which must be separated by tabs");
        return Err(InvalidSession::at(number, text));
    };
    let wrong = |field: usize, rule: &str| {
        InvalidSession::at(number, format!("field {} ({}) {rule}", field + 1, FIELDS[field]))
    };
    for (field, flag) in [(1, subdomains), (3, secure)] {
        if !flag.eq_ignore_ascii_case("true") && !flag.eq_ignore_ascii_case("false") {
            return Err(wrong(field, "must be TRUE or FALSE"));
        }
    }
    if !path.starts_with('/') || !is_cookie_value(path) {
        return Err(wrong(2, "must start with /"));
    }
    // Some tools write fractions, and -1 for the end of the browser's session.
    let expires: f64 =
        expires.trim().parse().map_err(|_| wrong(4, "must be seconds since 1970, or 0"))?;
    if name.is_empty() || !is_cookie_name(name) {
        return Err(wrong(5, "must be a cookie name"));
    }
    if !is_cookie_value(value) {
        return Err(wrong(6, "holds characters that a cookie cannot have"));
    }
    let domain = domain.trim().trim_start_matches('.').to_ascii_lowercase();
    if domain != DOMAIN && !domain.ends_with(".instagram.com") {
        return Ok(None);
    }
    let mut cookie = Cookie::new(name, value);
    cookie.domain = Some(domain);
    path.clone_into(&mut cookie.path);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let expires_at = (expires > 0.0).then_some(Timestamp::from_secs(expires as u64));
    cookie.expires_at = expires_at;
    Ok(Some(cookie))
}

fn is_cookie_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte))
}

/// Makes a session of cookies, however they were read.
///
/// # Errors
/// [`InvalidSession`] if there is no `sessionid` cookie for Instagram, or it is empty.
pub fn web_session_from_cookies(
    id: SessionId,
    cookies: Vec<Cookie>,
) -> Result<SessionRecord, InvalidSession> {
    let missing = || {
        InvalidSession::new(
            "there is no sessionid cookie of instagram.com: log in with a browser, then export them",
        )
    };
    let login = cookies.iter().find(|cookie| cookie.name == "sessionid").ok_or_else(missing)?;
    if login.value.expose().trim_matches('"').is_empty() {
        return Err(InvalidSession::new("the sessionid is empty: log in again, then export them"));
    }
    let expires_at = login.expires_at;
    let mut credentials = Credentials::from_cookies(cookies);
    credentials.expires_at = expires_at;
    Ok(SessionRecord::new(id, SESSION_KIND, credentials))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOGIN: &str =
        "#HttpOnly_.instagram.com\tTRUE\t/\tTRUE\t1826787600\tsessionid\t4200000001%3Ax%3A1";

    #[test]
    fn a_file_as_tools_write_it_is_read() {
        let text = format!(
            "\u{feff}# Netscape HTTP Cookie File\r\n\r\n$ comment\r\n{LOGIN}\r\n\
             .instagram.com\tTRUE\t/\tTRUE\t0\tcsrftoken\tc\r\n\
             www.instagram.com\tfalse\t/\ttrue\t-1\tmid\t\r\n\
             .instagram.com\tTRUE\t/\tTRUE\t1826787600.25\trur\t\"A\\054B\"\r\n\
             .example.com\tTRUE\t/\tTRUE\t0\tforeign\tx"
        );
        let record = web_session("main".into(), &text).unwrap();
        assert_eq!(record.kind, SESSION_KIND);
        assert_eq!(record.credentials.expires_at, Some(Timestamp::from_secs(1_826_787_600)));
        let cookies: Vec<_> = record
            .credentials
            .cookies
            .iter()
            .map(|cookie| {
                (cookie.name.as_str(), cookie.value.expose(), cookie.domain.as_deref().unwrap())
            })
            .collect();
        assert_eq!(
            cookies,
            [
                ("sessionid", "4200000001%3Ax%3A1", "instagram.com"),
                ("csrftoken", "c", "instagram.com"),
                ("mid", "", "www.instagram.com"),
                ("rur", "\"A\\054B\"", "instagram.com"),
            ]
        );
        assert_eq!(record.credentials.cookies[1].expires_at, None);
    }

    #[test]
    fn a_later_line_replaces_an_earlier_one() {
        let text = format!("{LOGIN}\n.instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tnew");
        let record = web_session("main".into(), &text).unwrap();
        assert_eq!(record.credentials.cookies.len(), 1);
        assert_eq!(record.credentials.cookies[0].value.expose(), "new");
    }

    #[test]
    fn every_mistake_names_its_place_and_quotes_nothing() {
        for (line, place) in [
            ("PLANTED", "line 2 of the cookies: it has 1 of the 7 fields"),
            (".instagram.com TRUE / TRUE 0 sessionid PLANTED", "it has 1 of the 7 fields"),
            (".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED\tx", "it has 8 of the 7"),
            (".instagram.com\tPLANTED\t/\tTRUE\t0\tsessionid\tx", "field 2 (include subdomains)"),
            (".instagram.com\tTRUE\tPLANTED\tTRUE\t0\tsessionid\tx", "field 3 (path)"),
            (".instagram.com\tTRUE\t/\tPLANTED\t0\tsessionid\tx", "field 4 (secure)"),
            (".instagram.com\tTRUE\t/\tTRUE\tPLANTED\tsessionid\tx", "field 5 (expires)"),
            (".instagram.com\tTRUE\t/\tTRUE\t0\tPLANTED=\tx", "field 6 (name)"),
            (".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED\u{1}", "field 7 (value)"),
            (".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED; x", "field 7 (value)"),
        ] {
            let error = web_session("main".into(), &format!("# x\n{line}")).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(place) && !text.contains("PLANTED"), "{text}");
            assert_eq!(error.line(), Some(2));
        }
        for text in [
            "",
            "# only a comment",
            ".example.com\tTRUE\t/\tTRUE\t0\tsessionid\tx",
            ".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\t",
            ".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\t\"\"",
        ] {
            let error = web_session("main".into(), text).unwrap_err();
            assert!(error.to_string().contains("log in") && error.line().is_none(), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = web_session("main".into(), &String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn damaged_files_never_panic(at in 0..LOGIN.len(), byte in 0_u8..128) {
            let mut bytes = LOGIN.as_bytes().to_vec();
            bytes[at] = byte;
            let text = String::from_utf8(bytes).unwrap();
            if let Ok(record) = web_session("main".into(), &text) {
                prop_assert!(record.credentials.cookie("sessionid").is_some());
            }
        }
    }
}
