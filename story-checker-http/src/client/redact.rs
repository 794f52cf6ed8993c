//! What may be seen of a request and its answer in a log.

use std::fmt::{self, Write};

use http::HeaderMap;

/// Headers whose values say nothing about who asks.
const PLAIN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "cache-control",
    "cf-mitigated",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "server",
    "transfer-encoding",
    "user-agent",
    "vary",
    "x-ig-app-id",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "x-requested-with",
];

/// JSON fields whose texts tell what is wrong, and no more.
const PLAIN_FIELDS: &[&str] = &["error_type", "message", "status", "summary"];

/// How much of a body's shape is shown in the log of every answer.
pub(super) const SHOWN: usize = 600;

/// Headers with the values of all but a few hidden.
pub(super) struct Headers<'a>(pub(super) &'a HeaderMap);

impl fmt::Display for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, value) in self.0 {
            let plain = PLAIN_HEADERS.contains(&name.as_str()) && !value.is_sensitive();
            let value = value.to_str().ok().filter(|_| plain).unwrap_or("[redacted]");
            write!(f, "{separator}{name}: {value}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// The shape of a JSON body with its texts hidden, as far as the given length; of any other only its
/// length, and its title if it is a page with a plain one.
pub(super) struct Body<'a>(pub(super) &'a [u8], pub(super) usize);

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.len();
        let is_json = self.0.first().is_some_and(|&byte| matches!(byte, b'{' | b'['));
        let Some(text) = std::str::from_utf8(self.0).ok().filter(|_| is_json) else {
            return match title(self.0) {
                Some(title) => write!(f, "{length} bytes, a page with the title \"{title}\""),
                None => write!(f, "{length} bytes, not shown"),
            };
        };
        let mut shape = String::with_capacity(self.1);
        let mut rest = text;
        let mut field = "";
        while let Some(next) = rest.chars().next().filter(|_| shape.len() < self.1) {
            if next != '"' {
                rest = &rest[next.len_utf8()..];
                // Numbers are hidden as well (ids and tokens are numbers too), and with them
                // whatever stands outside of texts in a broken body.
                if "{}[]:,".contains(next) {
                    shape.push(next);
                } else if !next.is_whitespace() && !shape.ends_with('0') {
                    shape.push('0');
                }
                continue;
            }
            let (content, after) = split_string(&rest[1..]);
            rest = after;
            if after.trim_start().starts_with(':') {
                field = content;
                write!(shape, "\"{}\"", if is_name(content) { content } else { "…" })?;
            } else if PLAIN_FIELDS.contains(&field) && is_plain(content) {
                write!(shape, "\"{content}\"")?;
            } else {
                shape.push_str("\"…\"");
            }
        }
        write!(f, "{length} bytes: {shape}{}", if rest.is_empty() { "" } else { " …" })
    }
}

/// The title of a page, if it is plain.
fn title(page: &[u8]) -> Option<&str> {
    let page = page.get(..page.len().min(4_096))?;
    let at = |mark: &[u8], from: usize| {
        let found = page[from..].windows(mark.len()).position(|part| part == mark)?;
        Some(from + found)
    };
    let start = at(b"<title>", 0)? + "<title>".len();
    let title = std::str::from_utf8(&page[start..at(b"</title>", start)?]).ok()?.trim();
    (!title.is_empty() && is_plain(title)).then_some(title)
}

/// Splits after the closing quote of a JSON string.
fn split_string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return (&text[..at], &text[at + 1..]),
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    (text, "")
}

/// Whether a JSON key is a name the platform's programmers gave, and not data.
fn is_name(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Whether a text is a word or sentence of the platform itself: tokens have digits and signs.
pub(crate) fn is_plain(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'_' | b'.' | b',');
    text.len() <= 80 && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_hidden_unless_listed() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", "sessionid=PLANTED".parse().unwrap());
        headers.insert("set-cookie", "rur=PLANTED".parse().unwrap());
        headers.insert("x-unknown", "PLANTED".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let text = Headers(&headers).to_string();
        assert!(!text.contains("PLANTED"));
        assert!(text.contains("content-type: application/json; ") || text.ends_with("json"));
        assert!(text.contains("cookie: [redacted]"));
    }

    #[test]
    fn bodies_show_their_shape_and_the_platforms_own_words() {
        let body = br#"{"message":"checkpoint_required","id":"PLANTED","n": 4200, "PLANTED-1":{"url":"x\"PLANTED"},"status":"fail"}"#;
        assert_eq!(
            Body(body, SHOWN).to_string(),
            r#"108 bytes: {"message":"checkpoint_required","id":"…","n":0,"…":{"url":"…"},"status":"fail"}"#
        );
        assert_eq!(Body(b"{PLANTED: 1PLANTED}", SHOWN).to_string(), "19 bytes: {0:0}");
        assert_eq!(Body(b"<html>PLANTED", SHOWN).to_string(), "13 bytes, not shown");
        let page = b"<html><title>Page not found</title>PLANTED";
        let text = Body(page, SHOWN).to_string();
        assert_eq!(text, "42 bytes, a page with the title \"Page not found\"");
        assert!(Body(b"<title>PLANTED-1</title>", SHOWN).to_string().ends_with("not shown"));
        assert_eq!(
            Body(b"{\"status\":\"a1-b\"}", SHOWN).to_string(),
            "17 bytes: {\"status\":\"…\"}"
        );
        assert!(Body(&[b'[', 0xff], SHOWN).to_string().ends_with("not shown"));
    }

    proptest! {
        #[test]
        fn any_body_has_a_short_summary(body in "[\\{\\[<][\"\\\\a-zé:,{}0-9 ]{0,900}") {
            prop_assert!(Body(body.as_bytes(), SHOWN).to_string().len() < SHOWN + 200);
        }
    }
}
