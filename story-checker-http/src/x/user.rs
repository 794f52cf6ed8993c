//! What is known about a name, and how it is remembered.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use story_checker_core::Timestamp;
use story_checker_core::cache::CacheEntry;

use super::config::XConfig;
use super::parse::{FoundUser, is_id};

/// An account, as an answer showed it. The same for every token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    /// The id, in digits.
    pub(super) id: String,
    /// Whether only followers see the posts; none if the answer did not tell.
    pub(super) protected: Option<bool>,
    /// When it was seen, in milliseconds.
    at: u64,
}

impl User {
    pub(super) fn of(found: &FoundUser<'_>, at: Timestamp) -> Self {
        let id = found.id.as_str().to_owned();
        Self { id, protected: found.protected.map(|flag| flag.0), at: at.as_millis() }
    }

    pub(super) fn seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    pub(super) fn key(name: &str) -> String {
        format!("x-api/user/{name}")
    }

    /// Reads what was remembered, if it is still good. The age is checked here too: a cache need not
    /// be exact.
    pub(super) fn recall(stored: &Bytes, now: Timestamp, config: &XConfig) -> Option<Self> {
        let user: Self = serde_json::from_slice(stored).ok()?;
        let fresh = now.since(user.seen_at()) < config.user_ttl;
        (fresh && is_id(&user.id)).then_some(user)
    }

    pub(super) fn to_entry(&self, name: &str, config: &XConfig) -> Option<CacheEntry> {
        let value = serde_json::to_vec(self).ok()?;
        Some(CacheEntry::new(Self::key(name), value).with_ttl(config.user_ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_remembered_for_its_time() {
        let now = Timestamp::from_secs(1_795_251_600);
        let config = XConfig::default();
        let found = serde_json::from_str(r#"{"id":7,"username":"a","protected":true}"#).unwrap();
        let user = User::of(&found, now);
        let entry = user.to_entry("a", &config).unwrap();
        assert_eq!((entry.key.as_str(), entry.ttl), ("x-api/user/a", Some(config.user_ttl)));
        assert_eq!(User::recall(&entry.value, now, &config), Some(user));
        assert_eq!(User::recall(&entry.value, now + config.user_ttl, &config), None);
        assert_eq!(User::recall(&"rubbish".into(), now, &config), None);
        let odd = r#"{"id":"../7","protected":false,"at":1795251600000}"#;
        assert_eq!(User::recall(&odd.into(), now, &config), None);
    }
}
