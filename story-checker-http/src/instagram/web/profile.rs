//! What is known about a name, and how it is remembered.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use story_checker_core::cache::CacheEntry;
use story_checker_core::{SessionId, Timestamp};

use super::config::WebConfig;
use super::parse::ProfileAnswer;
use super::story::LIFE;

/// What an answer said about a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    /// The account's id; none if there is no account of this name, or it is withheld.
    id: Option<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    followed: bool,
    /// The newest story's time in seconds.
    #[serde(default)]
    latest: Option<u64>,
    /// When it was seen, in milliseconds.
    at: u64,
    /// Which session saw it. Others may see another picture, but for a public profile.
    session: SessionId,
}

/// What a profile means for the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// Nobody of this name.
    Missing,
    /// Private, and the session does not follow.
    Private,
    /// Its stories can be seen, under this id.
    Visible(&'a str),
}

impl Profile {
    /// What an answer says.
    pub(super) fn of(answer: ProfileAnswer<'_>, session: &SessionId, at: Timestamp) -> Self {
        let (session, at) = (session.clone(), at.as_millis());
        match answer {
            ProfileAnswer::Missing => {
                Self { id: None, private: false, followed: false, latest: None, at, session }
            }
            ProfileAnswer::User { id, private, followed, latest_reel_media, .. } => Self {
                id: Some(id.into_owned()),
                private,
                followed,
                latest: latest_reel_media,
                at,
                session,
            },
        }
    }

    /// An account that the platform says we may not view, without showing it.
    pub(super) fn withheld(session: &SessionId, at: Timestamp) -> Self {
        Self { private: true, ..Self::of(ProfileAnswer::Missing, session, at) }
    }

    pub(super) fn standing(&self) -> Standing<'_> {
        match &self.id {
            _ if self.private && !self.followed => Standing::Private,
            None => Standing::Missing,
            Some(id) => Standing::Visible(id),
        }
    }

    pub(super) fn seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// The id in digits, if there is an account.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether the profile says that there is a story at `now`.
    pub(super) fn claims_story(&self, now: Timestamp) -> bool {
        self.latest.is_some_and(|at| Timestamp::from_secs(at) + LIFE > now)
    }

    /// How its visibility reads in evidence.
    pub(super) fn visibility(&self) -> &'static str {
        if self.private { "private and followed" } else { "public" }
    }

    pub(super) fn key(handle: &str) -> String {
        format!("instagram-web/profile/{handle}")
    }

    /// Reads what was remembered, if it is good for this session now. The age is checked here too: a
    /// cache need not be exact, and a "not found" must not outlive its time by any means.
    pub(super) fn recall(
        stored: &Bytes,
        session: &SessionId,
        now: Timestamp,
        config: &WebConfig,
    ) -> Option<Self> {
        let profile: Self = serde_json::from_slice(stored).ok()?;
        let fresh = now.since(profile.seen_at()) < profile.ttl(config);
        let public = profile.id.is_some() && !profile.private;
        (fresh && (public || profile.session == *session)).then_some(profile)
    }

    pub(super) fn to_entry(&self, handle: &str, config: &WebConfig) -> Option<CacheEntry> {
        let value = serde_json::to_vec(self).ok()?;
        Some(CacheEntry::new(Self::key(handle), value).with_ttl(self.ttl(config)))
    }

    fn ttl(&self, config: &WebConfig) -> Duration {
        if self.id.is_some() { config.profile_ttl } else { config.missing_ttl }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn user(private: bool, followed: bool) -> Profile {
        let answer = ProfileAnswer::User {
            id: "42".into(),
            username: "a".into(),
            private,
            followed,
            latest_reel_media: Some(NOW.as_secs() - 100),
        };
        Profile::of(answer, &"one".into(), NOW)
    }

    #[test]
    fn private_and_missing_are_only_for_the_session_that_saw_them() {
        let config = WebConfig::default();
        let missing = Profile::of(ProfileAnswer::Missing, &"one".into(), NOW);
        for (profile, standing, shared) in [
            (user(false, false), Standing::Visible("42"), true),
            (user(true, true), Standing::Visible("42"), false),
            (user(true, false), Standing::Private, false),
            (missing, Standing::Missing, false),
        ] {
            assert_eq!(profile.standing(), standing);
            let entry = profile.to_entry("a", &config).unwrap();
            assert_eq!(entry.key, "instagram-web/profile/a");
            let recall =
                |session: &str, now| Profile::recall(&entry.value, &session.into(), now, &config);
            assert_eq!(recall("one", NOW), Some(profile.clone()));
            assert_eq!(recall("two", NOW).is_some(), shared, "{standing:?}");
            assert!(recall("one", NOW + entry.ttl.unwrap()).is_none());
        }
        assert!(Profile::recall(&"rubbish".into(), &"one".into(), NOW, &config).is_none());
    }

    #[test]
    fn a_profile_claims_a_story_for_a_day() {
        let profile = user(false, false);
        assert!(profile.claims_story(NOW));
        assert!(!profile.claims_story(NOW + LIFE));
    }
}
