//! Targets as people write them.

use story_checker_core::{InvalidTarget, Platform, Target, TargetKind};
use story_checker_http::{instagram, x};

use crate::settings::BarePlatform;

const INSTAGRAM_HOSTS: &[&str] = &["instagram.com", "www.instagram.com", "m.instagram.com"];
const X_HOSTS: &[&str] =
    &["x.com", "www.x.com", "mobile.x.com", "twitter.com", "www.twitter.com", "mobile.twitter.com"];
const KINDS: [TargetKind; 3] = [TargetKind::Account, TargetKind::Hashtag, TargetKind::Query];

/// Reads a target: a name, a URL, `x:name`, `x:#tag`, or the full form `platform/kind/handle`.
///
/// # Errors
/// [`InvalidTarget`] if it is none, with the rule that it breaks.
pub(crate) fn read(text: &str, bare: BarePlatform) -> Result<Target, InvalidTarget> {
    let text = text.trim();
    if is_full_form(text) || is_misspelt(text) {
        return normal(&text.parse()?);
    }
    let (platform, rest) = match prefix(text) {
        Some((platform, rest)) => (platform, rest),
        None if is_url(text, X_HOSTS) => (BarePlatform::X, text),
        None if is_url(text, INSTAGRAM_HOSTS) => (BarePlatform::Instagram, text),
        None => (bare, text),
    };
    match platform {
        BarePlatform::Instagram => instagram::account(rest),
        BarePlatform::X if rest.starts_with('#') || rest.contains("/hashtag/") => x::hashtag(rest),
        BarePlatform::X if rest.contains("/search?") => x::query(rest),
        BarePlatform::X => x::account(rest),
    }
}

/// The shortest text that [`read`] understands as this target, whatever the platform of bare names:
/// but accounts of Instagram, which most lists are made of, stand without theirs.
pub(crate) fn short(target: &Target) -> String {
    let handle = target.handle();
    match (target.platform(), target.kind()) {
        (platform, TargetKind::Account) if *platform == Platform::INSTAGRAM => handle.to_owned(),
        (platform, TargetKind::Account) if *platform == Platform::X => format!("x:{handle}"),
        (platform, TargetKind::Hashtag) if *platform == Platform::X => format!("x:#{handle}"),
        _ => target.to_string(),
    }
}

/// Whether an argument can only be a target, and no file.
pub(super) fn is_surely_target(text: &str) -> bool {
    text.starts_with('@')
        || text.contains("://")
        || is_full_form(text)
        || prefix(text).is_some()
        || is_url(text, X_HOSTS)
        || is_url(text, INSTAGRAM_HOSTS)
}

/// `platform/kind/…`.
fn is_full_form(text: &str) -> bool {
    let mut parts = text.splitn(3, '/');
    let platform = parts.next().is_some_and(|name| Platform::new(name.to_owned()).is_ok());
    let kind = parts.next().is_some_and(|word| KINDS.iter().any(|kind| kind.as_str() == word));
    platform && kind && parts.next().is_some()
}

/// Almost `platform/kind/…`: a known platform, and a word that is no kind.
pub(super) fn is_misspelt(text: &str) -> bool {
    let mut parts = text.splitn(3, '/');
    let platform = parts.next().is_some_and(|name| ["instagram", "x"].contains(&name));
    let word =
        parts.next().is_some_and(|word| !word.is_empty() && word.chars().all(char::is_alphabetic));
    platform && word && parts.next().is_some()
}

/// `x:…` and `instagram:…`.
fn prefix(text: &str) -> Option<(BarePlatform, &str)> {
    let (platform, rest) = text.split_once(':')?;
    match platform {
        "instagram" => Some((BarePlatform::Instagram, rest)),
        "x" => Some((BarePlatform::X, rest)),
        _ => None,
    }
}

/// Whether the text is a URL of one of these hosts, with or without a scheme.
fn is_url(text: &str, hosts: &[&str]) -> bool {
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let host = rest.split_once('/').map(|(host, _)| host);
    host.is_some_and(|host| hosts.iter().any(|known| host.eq_ignore_ascii_case(known)))
}

/// The form in which a platform's checker wants its targets.
fn normal(target: &Target) -> Result<Target, InvalidTarget> {
    match (target.platform().as_str(), target.kind()) {
        ("instagram", TargetKind::Account) => instagram::account(target.handle()),
        ("x", TargetKind::Account) => x::account(target.handle()),
        ("x", TargetKind::Hashtag) => x::hashtag(target.handle()),
        ("x", TargetKind::Query) => x::query(target.handle()),
        _ => Ok(target.clone()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, want) in [
            ("Tea_House", "instagram/account/tea_house"),
            ("@tea_house", "instagram/account/tea_house"),
            ("instagram:tea_house", "instagram/account/tea_house"),
            ("instagram/account/@Tea_House", "instagram/account/tea_house"),
            ("https://www.instagram.com/tea_house/?hl=en", "instagram/account/tea_house"),
            ("instagram.com/tea_house", "instagram/account/tea_house"),
            ("x:Tea_House", "x/account/tea_house"),
            ("x:@tea_house", "x/account/tea_house"),
            ("x:#Tea", "x/hashtag/tea"),
            ("x/account/tea_house", "x/account/tea_house"),
            ("x/hashtag/tea", "x/hashtag/tea"),
            ("x/query/from:a (#tea OR #b) has:media/x", "x/query/from:a (#tea OR #b) has:media/x"),
            ("https://x.com/Tea_House", "x/account/tea_house"),
            ("twitter.com/tea_house/status/1990000000000000007", "x/account/tea_house"),
            ("https://mobile.twitter.com/tea_house?s=20", "x/account/tea_house"),
            ("https://x.com/hashtag/tea", "x/hashtag/tea"),
            ("https://x.com/search?q=%23tea%20has%3Amedia", "x/query/#tea has:media"),
            ("my-shop/account/ü", "my-shop/account/ü"),
        ] {
            assert_eq!(read(text, BarePlatform::Instagram).unwrap().to_string(), want, "{text}");
        }
        for (text, want) in [
            ("tea_house", "x/account/tea_house"),
            ("#tea", "x/hashtag/tea"),
            ("instagram:tea.house", "instagram/account/tea.house"),
            ("https://www.instagram.com/tea_house", "instagram/account/tea_house"),
        ] {
            assert_eq!(read(text, BarePlatform::X).unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_rule() {
        for (text, want) in [
            ("two words", "the Instagram account is \"two words\""),
            ("#tea", "the Instagram account is \"#tea\""),
            ("x:two words", "the X account is \"two words\""),
            ("x:a_name_of_sixteen", "the X account is"),
            ("x/account/", "the handle is"),
            ("x:#two words", "the X hashtag is"),
            ("x.com/i/flow", "the X account is"),
            ("x/acount/foo", "the kind of the target is \"acount\""),
            ("instagram/account/a b", "the Instagram account is \"a b\""),
        ] {
            let error = read(text, BarePlatform::Instagram).unwrap_err().to_string();
            assert!(error.starts_with(want) && error.contains("but must be"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_the_short_form_says_the_same(text in "(x[:/]|instagram/|)(#|@|account/|query/|hashtag/|)\\PC{0,40}") {
            for bare in [BarePlatform::Instagram, BarePlatform::X] {
                if let Ok(target) = read(&text, bare) {
                    let again = read(&short(&target), BarePlatform::Instagram);
                    prop_assert_eq!(again, Ok(target));
                }
            }
        }
    }
}
