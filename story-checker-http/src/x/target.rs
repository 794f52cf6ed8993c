//! Targets as people write them.

use story_checker_core::{InvalidTarget, Platform, Target, TargetKind};
use url::Url;

/// The longest query, in characters, for those who did not agree on more with the platform.
const MAX_QUERY: usize = 512;
const ACCOUNT: &str =
    "1 to 15 of a-z, 0-9 and _, as a name, @name, or the URL of a profile or post";
const HASHTAG: &str =
    "letters, digits and _, not only digits, as tag, #tag, or the URL of a hashtag";
const QUERY: &str = "1 to 512 characters, as a query or the URL of a search";
/// First parts of paths that are no names.
const RESERVED: &[&str] = &[
    "compose",
    "explore",
    "hashtag",
    "home",
    "i",
    "intent",
    "login",
    "messages",
    "notifications",
    "privacy",
    "search",
    "settings",
    "share",
    "signup",
    "tos",
];

/// Reads an account as people write it: `name`, `@name`, or the URL of a profile or post.
///
/// # Errors
/// [`InvalidTarget`] if that is no name X would give.
///
/// # Examples
/// ```
/// use story_checker_http::x::account;
///
/// let target = account("https://x.com/Tea_House/status/1990000000000000007")?;
/// assert_eq!(target.to_string(), "x/account/tea_house");
/// assert_eq!(account("@tea_house")?, target);
/// # Ok::<(), story_checker_core::InvalidTarget>(())
/// ```
pub fn account(text: &str) -> Result<Target, InvalidTarget> {
    let invalid = || InvalidTarget::new("the X account", text, ACCOUNT);
    let trimmed = text.trim();
    let url = url_of_x(trimmed);
    let written = match &url {
        Some(url) => {
            first_parts(url).0.filter(|first| !RESERVED.contains(first)).ok_or_else(invalid)?
        }
        None => trimmed,
    };
    let name = written.strip_prefix('@').unwrap_or(written).to_ascii_lowercase();
    if !is_name(&name) {
        return Err(invalid());
    }
    Target::new(Platform::X, TargetKind::Account, name)
}

/// Reads a hashtag as people write it: `tag`, `#tag`, or the URL of a hashtag.
///
/// # Errors
/// [`InvalidTarget`] if that is no hashtag.
///
/// # Examples
/// ```
/// use story_checker_http::x::hashtag;
///
/// assert_eq!(hashtag("#Tea")?.to_string(), "x/hashtag/tea");
/// # Ok::<(), story_checker_core::InvalidTarget>(())
/// ```
pub fn hashtag(text: &str) -> Result<Target, InvalidTarget> {
    let invalid = || InvalidTarget::new("the X hashtag", text, HASHTAG);
    let trimmed = text.trim();
    let tag = match url_of_x(trimmed) {
        Some(url) => {
            let (Some("hashtag"), Some(tag)) = first_parts(&url) else { return Err(invalid()) };
            decoded(tag)
        }
        None => trimmed.strip_prefix(['#', '＃']).unwrap_or(trimmed).to_owned(),
    };
    let tag = tag.to_lowercase();
    if !is_tag(&tag) {
        return Err(invalid());
    }
    Target::new(Platform::X, TargetKind::Hashtag, tag)
}

/// Reads a query in X's own search language, or the URL of a search.
///
/// What counts are the posts with media that it finds, so `has:media` in a query saves reading the
/// others.
///
/// # Errors
/// [`InvalidTarget`] if it is empty, has control characters, or more than 512 characters.
///
/// # Examples
/// ```
/// use story_checker_http::x::query;
///
/// let target = query("https://x.com/search?q=from%3Atea_house%20has%3Amedia&f=live")?;
/// assert_eq!(target.to_string(), "x/query/from:tea_house has:media");
/// # Ok::<(), story_checker_core::InvalidTarget>(())
/// ```
pub fn query(text: &str) -> Result<Target, InvalidTarget> {
    let invalid = || InvalidTarget::new("the X query", text, QUERY);
    let trimmed = text.trim();
    let query = match url_of_x(trimmed).filter(|url| first_parts(url).0 == Some("search")) {
        Some(url) => {
            let asked = url.query_pairs().find(|(name, _)| name == "q");
            asked.ok_or_else(invalid)?.1.trim().to_owned()
        }
        None => trimmed.to_owned(),
    };
    if query.is_empty() || !fits(&query) {
        return Err(invalid());
    }
    Target::new(Platform::X, TargetKind::Query, query)
}

/// Whether the text is a name in the form that this crate asks for.
pub(super) fn is_name(name: &str) -> bool {
    let legal = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=15).contains(&name.len()) && name.bytes().all(legal)
}

/// What is searched for a hashtag; none if that is no hashtag, or too long to be searched for.
pub(super) fn query_of_tag(tag: &str) -> Option<String> {
    let query = format!("#{tag} has:media -is:retweet");
    (is_tag(tag) && fits(&query)).then_some(query)
}

/// Whether a query is short enough to be asked.
pub(super) fn fits(query: &str) -> bool {
    query.chars().count() <= MAX_QUERY
}

/// Lenient about scripts, strict about what would be another query.
fn is_tag(tag: &str) -> bool {
    let legal = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || c == '_'
        } else {
            !c.is_whitespace() && !c.is_control()
        }
    };
    tag.chars().all(legal) && tag.chars().any(|c| !c.is_ascii_digit() && c != '_')
}

/// The text as the URL of a page of X, if it is one.
fn url_of_x(text: &str) -> Option<Url> {
    let url = match text.split_once("://") {
        Some(_) => Url::parse(text).ok()?,
        None if text.contains('/') => Url::parse(&format!("https://{text}")).ok()?,
        None => return None,
    };
    let host = url.host_str()?;
    let host =
        ["www.", "mobile.", "m."].iter().find_map(|sub| host.strip_prefix(sub)).unwrap_or(host);
    let known = matches!(host, "x.com" | "twitter.com");
    (known && matches!(url.scheme(), "http" | "https")).then_some(url)
}

fn first_parts(url: &Url) -> (Option<&str>, Option<&str>) {
    let mut parts = url.path().split('/').filter(|part| !part.is_empty());
    (parts.next(), parts.next())
}

/// A part of a path as text. A `+` is a plus there.
fn decoded(part: &str) -> String {
    let escaped = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let mut pairs = url::form_urlencoded::parse(escaped.as_bytes());
    pairs.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accounts_are_read() {
        for text in [
            "tea_house",
            "@tea_house",
            "  Tea_House\r\n",
            "https://x.com/tea_house",
            "http://www.twitter.com/Tea_House/",
            "x.com/tea_house?lang=de",
            "HTTPS://Mobile.Twitter.com//TEA_HOUSE/media#x",
            "https://x.com/@tea_house",
            "https://x.com/tea_house/status/1990000000000000007/photo/1",
        ] {
            assert_eq!(account(text).unwrap().handle(), "tea_house", "{text}");
        }
        // Only as the first part of a path it is no name.
        assert_eq!(account("@home").unwrap().handle(), "home");
    }

    #[test]
    fn hashtags_are_read() {
        for (text, tag) in [
            ("tea", "tea"),
            (" #Tea_2 ", "tea_2"),
            ("＃お茶", "お茶"),
            ("https://x.com/hashtag/Tea?src=hashtag_click", "tea"),
            ("twitter.com/hashtag/%E3%81%8A%E8%8C%B6", "お茶"),
        ] {
            assert_eq!(hashtag(text).unwrap().handle(), tag, "{text}");
        }
    }

    #[test]
    fn queries_are_read() {
        for (text, asked) in [
            (" (#tea OR from:a) has:media ", "(#tea OR from:a) has:media"),
            ("x.com/search?q=%23tea+has%3Amedia&f=live", "#tea has:media"),
            ("url:example.com/a", "url:example.com/a"),
        ] {
            assert_eq!(query(text).unwrap().handle(), asked, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_rule() {
        let long = "a".repeat(513);
        for text in [
            "",
            "@",
            "two words",
            "näme",
            "a.b",
            "https://example.com/tea_house",
            "ftp://x.com/a",
            "https://x.com/",
            "https://x.com/i/lists/1",
            "https://x.com/hashtag/tea",
            "x.com.evil/a",
            "sixteen_letters_",
        ] {
            let error = account(text).unwrap_err().to_string();
            assert!(error.contains("1 to 15"), "{text}: {error}");
        }
        for text in ["", "#", "#1234", "a b", "#a-b", "#a has:media", "https://x.com/tea", "##tea"]
        {
            let error = hashtag(text).unwrap_err().to_string();
            assert!(error.contains("not only digits"), "{text}: {error}");
        }
        for text in ["", "  ", "https://x.com/search?q=", "https://x.com/search", &long] {
            let error = query(text).unwrap_err().to_string();
            assert!(error.contains("1 to 512"), "{text}: {error}");
        }
        assert!(query("a\nb").is_err());
    }

    #[test]
    fn a_hashtag_that_is_too_long_has_no_query() {
        assert_eq!(query_of_tag("tea").unwrap(), "#tea has:media -is:retweet");
        assert!(query_of_tag(&"a".repeat(500)).is_none());
        assert!(query_of_tag("a b").is_none());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,60}", path in "(x|twitter)\\.com/[a-z#%+/?=0-9]{0,20}") {
            for text in [&text, &path] {
                if let Ok(target) = account(text) {
                    prop_assert!(is_name(target.handle()));
                }
                if let Ok(target) = hashtag(text) {
                    prop_assert!(query_of_tag(target.handle()).is_some());
                }
                if let Ok(target) = query(text) {
                    prop_assert!(fits(target.handle()));
                }
            }
        }
    }
}
