//! Settings as they may be shown: a secret may stand where none belongs.

use story_checker_core::proxy::ProxyUrl;

/// What is shown instead.
const REDACTED: &str = "[redacted]";

/// A path, URL or other text without passwords and tokens.
///
/// Paths are harmless, but people put a proxy's URL where its list belongs, or a login where the
/// file with it belongs.
pub(crate) fn shown(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or(text);
    // A sessionid begins with the user's number: `4200000001%3A…`.
    let digits = last.bytes().take_while(u8::is_ascii_digit).count();
    let is_login = digits >= 4 && last.len() > 30 && last[digits..].starts_with(['%', ':']);
    let is_token = last.len() > 60
        && last.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte));
    if is_login || is_token {
        return text.replace(last, REDACTED);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (address, query) = rest.split_at(end);
        let host = match address.rsplit_once('@') {
            Some((_, host)) => format!("{REDACTED}@{host}"),
            None => address.to_owned(),
        };
        let query = if query.is_empty() { "" } else { "?[redacted]" };
        return format!("{scheme}://{host}{query}");
    }
    // The sellers' form, `host:port:user:password`, and `user:password@host:port`.
    match text.parse::<ProxyUrl>() {
        Ok(url) if url.credentials().is_some() => url.to_string(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        for (text, want) in [
            ("http://user:PLANTED@proxy.test:8080", "http://[redacted]@proxy.test:8080"),
            ("socks5h://u:PLAN@TED@a.test:1/", "socks5h://[redacted]@a.test:1/"),
            ("proxy.test:8080:user:PLANTED", "http://proxy.test:8080"),
            ("https://a.test/x?access_token=PLANTED#y", "https://a.test/x?[redacted]"),
            ("4200000001%3APLANTEDPLANTEDPLANTED%3A28", "[redacted]"),
            ("s/4200000001:PLANTEDPLANTEDPLANTED:28", "s/[redacted]"),
            (&format!("EAAB{}", "PLANTED0".repeat(10)), "[redacted]"),
        ] {
            assert_eq!(shown(text), want);
        }
    }

    #[test]
    fn paths_and_plain_urls_stay() {
        for text in [
            "cookies/main.txt",
            "proxies.txt",
            "C:\\sessions\\main.txt",
            "https://www.instagram.com",
            "http://127.0.0.1:8080/ig/",
            "warn,story_checker_http=debug",
            "2026-11-24-sessions-of-the-team-in-lisbon",
        ] {
            assert_eq!(shown(text), text);
        }
    }
}
