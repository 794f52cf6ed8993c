//! What limits are counted for.

use std::fmt;
use std::sync::Arc;

use super::quota::Quota;

/// What kind of thing a limit is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyClass {
    /// The registered application, or all use of one platform.
    App,
    /// One route of a platform.
    Endpoint,
    /// One proxy.
    Proxy,
    /// One session.
    Session,
}

/// What one limit is counted for: a class and a name. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    class: KeyClass,
    name: Arc<str>,
}

impl Key {
    /// The key of this class and name.
    #[must_use]
    pub fn new(class: KeyClass, name: impl Into<Arc<str>>) -> Self {
        Self { class, name: name.into() }
    }

    /// What kind of thing it is.
    #[must_use]
    pub fn class(&self) -> KeyClass {
        self.class
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            KeyClass::App => "app",
            KeyClass::Endpoint => "endpoint",
            KeyClass::Proxy => "proxy",
            KeyClass::Session => "session",
        };
        write!(f, "{class} {}", self.name)
    }
}

/// A key with the quota that holds for it; without one only blocks count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Need {
    /// What is counted.
    pub key: Key,
    /// How much of it there is.
    pub quota: Option<Quota>,
    /// The epoch of its breaker in which the request was let through.
    pub(super) epoch: u32,
}

impl Need {
    /// One unit of `key`, under `quota`.
    #[must_use]
    pub const fn new(key: Key, quota: Option<Quota>) -> Self {
        Self { key, quota, epoch: 0 }
    }
}
