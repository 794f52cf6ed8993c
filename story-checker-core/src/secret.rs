//! Secrets that cannot be printed by accident.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: a cookie value, a token, a proxy password.
///
/// It has no `Display` and no `Serialize`, its `Debug` prints `[redacted]`, and its memory is
/// overwritten when it is dropped. [`Secret::expose`] is the only way to the text, so that every
/// place that reads one can be found by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Never log it, never put it into an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_text() {
        let secret = Secret::new("PLANTED-cookie");
        let wrapped = Some(vec![("sessionid", secret.clone())]);
        assert!(!format!("{wrapped:?}{wrapped:#?}").contains("PLANTED"));
        assert_eq!(secret.expose(), "PLANTED-cookie");
    }
}
