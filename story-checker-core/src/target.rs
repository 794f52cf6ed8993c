//! What is asked about.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A platform by its name, such as `instagram` or `x`; a team's own platform has a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform(Cow<'static, str>);

impl Platform {
    /// Instagram.
    pub const INSTAGRAM: Self = Self(Cow::Borrowed("instagram"));
    /// X, formerly Twitter.
    pub const X: Self = Self(Cow::Borrowed("x"));

    /// A platform by name: 1 to 32 of `a-z`, `0-9` and `-`.
    ///
    /// # Errors
    /// [`InvalidTarget`] if the name is anything else.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, InvalidTarget> {
        let name = name.into();
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&name.len()) && name.bytes().all(legal) {
            Ok(Self(name))
        } else {
            Err(InvalidTarget::new("the platform's name", &name, "1 to 32 of a-z, 0-9 and -"))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of thing a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetKind {
    /// An account, by its name.
    Account,
    /// A hashtag, without the `#`.
    Hashtag,
    /// A search query in the platform's own language.
    Query,
}

impl TargetKind {
    /// The word used in text and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Hashtag => "hashtag",
            Self::Query => "query",
        }
    }
}

/// What is asked about: platform, kind and handle.
///
/// Its text form is `platform/kind/handle` (`instagram/account/tea_house`); it is also the form of
/// a job's payload. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    platform: Platform,
    kind: TargetKind,
    handle: Arc<str>,
}

impl Target {
    /// The longest handle, in bytes.
    pub const MAX_HANDLE: usize = 512;

    /// A target by its parts. Platforms have stricter rules for a handle; here it only must not be
    /// empty, longer than [`Target::MAX_HANDLE`] bytes, or contain control characters.
    ///
    /// # Errors
    /// [`InvalidTarget`] if the handle breaks these rules.
    pub fn new(
        platform: Platform,
        kind: TargetKind,
        handle: impl Into<Arc<str>>,
    ) -> Result<Self, InvalidTarget> {
        let handle = handle.into();
        if handle.is_empty()
            || handle.len() > Self::MAX_HANDLE
            || handle.chars().any(char::is_control)
        {
            let rule = "1 to 512 bytes without control characters";
            return Err(InvalidTarget::new("the handle", &handle, rule));
        }
        Ok(Self { platform, kind, handle })
    }

    /// The platform.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        self.kind
    }

    /// The account's name, the hashtag, or the query.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.handle
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.platform, self.kind.as_str(), self.handle)
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || InvalidTarget::new("the target", text, "platform/kind/handle");
        let mut parts = text.splitn(3, '/');
        let (Some(platform), Some(kind), Some(handle)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let platform = match platform {
            "instagram" => Platform::INSTAGRAM,
            "x" => Platform::X,
            other => Platform::new(other.to_owned())?,
        };
        let kind = match kind {
            "account" => TargetKind::Account,
            "hashtag" => TargetKind::Hashtag,
            "query" => TargetKind::Query,
            other => {
                let kinds = "account, hashtag or query";
                return Err(InvalidTarget::new("the kind of the target", other, kinds));
            }
        };
        Self::new(platform, kind, handle)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A target, platform or handle that breaks the rules. Quotes at most 60 characters of the input.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} is {got:?}, but must be {rule}")]
pub struct InvalidTarget {
    what: &'static str,
    got: String,
    rule: &'static str,
}

impl InvalidTarget {
    /// `what` was `got`, but must be `rule`.
    #[must_use]
    pub fn new(what: &'static str, got: &str, rule: &'static str) -> Self {
        let mut shown: String = got.chars().take(60).collect();
        if shown.len() < got.len() {
            shown.push('…');
        }
        Self { what, got: shown, rule }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_form_round_trips_and_queries_may_contain_slashes() {
        for text in [
            "instagram/account/tea_house",
            "x/hashtag/tea",
            "x/query/from:a has:media/b",
            "my-shop/account/ü",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
            let json = serde_json::to_string(&target).unwrap();
            assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), target);
        }
    }

    #[test]
    fn bad_text_is_refused_with_the_reason() {
        for text in [
            "",
            "instagram",
            "instagram/account",
            "instagram/story/x",
            "Insta/account/x",
            "x/account/",
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains("but must be"), "{error}");
        }
        let long = format!("x/account/{}", "a".repeat(600));
        assert!(long.parse::<Target>().unwrap_err().to_string().len() < 200);
        assert!(Target::new(Platform::X, TargetKind::Account, "a\nb").is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string(), text);
            }
        }
    }
}
