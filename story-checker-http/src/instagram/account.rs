use story_checker_core::{InvalidTarget, Platform, Target, TargetKind};

const RULE: &str = "1 to 30 of a-z, 0-9, . and _, as a name, @name, or the URL of a profile";
/// First parts of paths that are no names.
const RESERVED: &[&str] =
    &["about", "accounts", "direct", "explore", "p", "reel", "reels", "stories", "tv"];

/// Reads an account as people write it: `name`, `@name`, or the URL of a profile or story.
///
/// # Errors
/// [`InvalidTarget`] if that is no name Instagram would give.
///
/// # Examples
/// ```
/// use story_checker_http::instagram::account;
///
/// let target = account("https://www.instagram.com/Tea_House/?hl=en")?;
/// assert_eq!(target.to_string(), "instagram/account/tea_house");
/// assert_eq!(account("@tea_house")?, target);
/// # Ok::<(), story_checker_core::InvalidTarget>(())
/// ```
pub fn account(text: &str) -> Result<Target, InvalidTarget> {
    let invalid = || InvalidTarget::new("the Instagram account", text, RULE);
    let trimmed = text.trim();
    let name = match path_of_url(trimmed) {
        Some(path) => name_of_path(path).ok_or_else(invalid)?,
        None => trimmed.strip_prefix('@').unwrap_or(trimmed),
    };
    let name = name.to_ascii_lowercase();
    if !is_name(&name) {
        return Err(invalid());
    }
    Target::new(Platform::INSTAGRAM, TargetKind::Account, name)
}

/// Whether the text is a name in the form that this crate asks for.
pub(super) fn is_name(name: &str) -> bool {
    let legal = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_');
    (1..=30).contains(&name.len()) && name.bytes().all(legal)
}

/// The path of an Instagram URL, without query and fragment.
fn path_of_url(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (host, path) = rest.split_once('/')?;
    let known = ["instagram.com", "www.instagram.com", "m.instagram.com"];
    let is_ours = known.iter().any(|known| host.eq_ignore_ascii_case(known));
    let is_web = ["", "http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_ours && is_web).then(|| path.split(['?', '#']).next().unwrap_or_default())
}

fn name_of_path(path: &str) -> Option<&str> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next()? {
        "stories" => parts.next().filter(|name| *name != "highlights"),
        first => Some(first).filter(|first| !RESERVED.contains(first)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_urls_are_read() {
        for text in [
            "tea_house",
            "@tea_house",
            "  Tea_House\r\n",
            "https://www.instagram.com/tea_house/",
            "http://instagram.com/tea_house",
            "instagram.com/tea_house?hl=en",
            "HTTPS://M.Instagram.com//TEA_HOUSE/#x",
            "https://www.instagram.com/stories/tea_house/3500000000000000011/",
            "https://www.instagram.com/tea_house/reels/",
        ] {
            assert_eq!(account(text).unwrap().handle(), "tea_house", "{text}");
        }
        assert_eq!(account("a.b_0").unwrap().handle(), "a.b_0");
    }

    #[test]
    fn everything_else_is_refused_with_the_rule() {
        let long = "a".repeat(31);
        for text in [
            "",
            "@",
            "two words",
            "näme",
            "a/b",
            "-x",
            "https://example.com/tea_house",
            "ftp://instagram.com/tea_house",
            "https://www.instagram.com/",
            "https://www.instagram.com/p/Cabc/",
            "https://www.instagram.com/stories/highlights/1/",
            "https://www.instagram.com/stories/",
            &long,
        ] {
            let error = account(text).unwrap_err().to_string();
            assert!(error.contains("1 to 30"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,60}") {
            if let Ok(target) = account(&text) {
                prop_assert!(is_name(target.handle()));
            }
        }
    }
}
