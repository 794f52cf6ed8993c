//! What is known about a name, and how it is remembered.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use story_checker_core::cache::CacheEntry;
use story_checker_core::{SessionId, Timestamp};

use super::config::WebConfig;
use super::parse::{ProfileAnswer, is_id};
use super::story::LIFE;

/// What an answer said about a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    /// The account's id; none if there is no account of this name, or it is withheld.
    id: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    private: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    followed: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    gated: bool,
    /// The newest story's time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest: Option<u64>,
    /// The id under which the name was known before it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former_id: Option<String>,
    /// Whether a second way of asking knew nobody of this name either.
    #[serde(default, skip_serializing_if = "is_false")]
    confirmed: bool,
    /// When it was seen, in milliseconds.
    at: u64,
    /// Which session saw it. Others may see another picture, but for a public profile.
    session: SessionId,
}

/// What a profile means for the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// It exists, and is withheld from the session.
    Gated,
    /// Nobody of this name.
    Missing,
    /// Private, and the session does not follow.
    Private,
    /// Its stories can be seen, under this id.
    Visible(&'a str),
}

/// What is remembered about a name, as far as it is good for a session now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recalled {
    pub(super) profile: Option<Profile>,
    /// The last id that the name is known to have had. Accounts keep theirs.
    pub(super) former_id: Option<String>,
}

impl Profile {
    /// What an answer says.
    pub(super) fn of(answer: ProfileAnswer<'_>, session: &SessionId, at: Timestamp) -> Self {
        let nobody = Self {
            id: None,
            private: false,
            followed: false,
            gated: false,
            latest: None,
            former_id: None,
            confirmed: false,
            at: at.as_millis(),
            session: session.clone(),
        };
        match answer {
            ProfileAnswer::Missing => nobody,
            ProfileAnswer::User { id, private, followed, gated, latest_reel_media, .. } => Self {
                id: Some(id.into_owned()),
                private,
                followed,
                gated,
                latest: latest_reel_media,
                ..nobody
            },
        }
    }

    /// An account that the platform says we may not view, without showing it.
    pub(super) fn withheld(session: &SessionId, at: Timestamp) -> Self {
        Self { private: true, ..Self::of(ProfileAnswer::Missing, session, at) }
    }

    /// An account that is not found by its name, and by its id is shown as gated.
    pub(super) fn gated(id: String, session: &SessionId, at: Timestamp) -> Self {
        Self { id: Some(id), gated: true, ..Self::of(ProfileAnswer::Missing, session, at) }
    }

    /// Keeps the id that the name had before, if it has none now.
    pub(super) fn with_former_id(mut self, former_id: Option<&str>) -> Self {
        if self.id.is_none() {
            self.former_id = former_id.map(str::to_owned);
        }
        self
    }

    /// The same, confirmed by a second way of asking.
    pub(super) fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(super) fn standing(&self) -> Standing<'_> {
        match &self.id {
            _ if self.private && !self.followed => Standing::Private,
            _ if self.gated => Standing::Gated,
            None => Standing::Missing,
            Some(id) => Standing::Visible(id),
        }
    }

    /// Whether it is the same for every session.
    pub(super) fn is_for_all(&self) -> bool {
        self.id.is_some() && !self.private && !self.gated
    }

    pub(super) fn seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// The id in digits, if there is an account.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The id that the name has or had.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.id.as_deref().or(self.former_id.as_deref())
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
    /// cache need not be exact, an entry is kept longer than its profile is believed, and a "not
    /// found" must not outlive its time by any means.
    pub(super) fn recall(
        stored: &Bytes,
        session: &SessionId,
        now: Timestamp,
        config: &WebConfig,
    ) -> Recalled {
        let Ok(profile) = serde_json::from_slice::<Self>(stored) else {
            return Recalled::default();
        };
        let believed = if profile.id.is_some() { config.profile_ttl } else { config.missing_ttl };
        let fresh = now.since(profile.seen_at()) < believed;
        if fresh && (profile.is_for_all() || profile.session == *session) {
            return Recalled { profile: Some(profile), former_id: None };
        }
        let former_id = profile.last_id().filter(|id| is_id(id)).map(str::to_owned);
        Recalled { profile: None, former_id }
    }

    pub(super) fn to_entry(&self, handle: &str, config: &WebConfig) -> Option<CacheEntry> {
        let value = serde_json::to_vec(self).ok()?;
        let ttl = match self.last_id() {
            Some(_) => config.profile_ttl.max(config.id_ttl),
            None => config.missing_ttl,
        };
        Some(CacheEntry::new(Self::key(handle), value).with_ttl(ttl))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    fn user(private: bool, followed: bool, gated: bool) -> Profile {
        let answer = ProfileAnswer::User {
            id: "42".into(),
            username: "a".into(),
            private,
            followed,
            gated,
            latest_reel_media: Some(NOW.as_secs() - 100),
        };
        Profile::of(answer, &"one".into(), NOW)
    }

    #[test]
    fn only_a_public_profile_is_good_for_other_sessions() {
        let config = WebConfig::default();
        let missing = Profile::of(ProfileAnswer::Missing, &"one".into(), NOW);
        let was_here = missing.clone().with_former_id(Some("42"));
        for (profile, standing, shared) in [
            (user(false, false, false), Standing::Visible("42"), true),
            (user(true, true, false), Standing::Visible("42"), false),
            (user(true, false, false), Standing::Private, false),
            (user(false, false, true), Standing::Gated, false),
            (missing, Standing::Missing, false),
            (was_here.clone(), Standing::Missing, false),
            (was_here.confirmed(), Standing::Missing, false),
        ] {
            assert_eq!(profile.standing(), standing);
            let entry = profile.to_entry("a", &config).unwrap();
            assert_eq!(entry.key, "instagram-web/profile/a");
            let recall = |session: &str, after: Duration| {
                Profile::recall(&entry.value, &session.into(), NOW + after, &config)
            };
            let known = Recalled { profile: Some(profile.clone()), former_id: None };
            assert_eq!(recall("one", Duration::ZERO), known);
            assert_eq!(recall("two", Duration::ZERO).profile.is_some(), shared, "{standing:?}");
            // Of an old profile only the id is left.
            let missing = standing == Standing::Missing;
            let believed = if missing { config.missing_ttl } else { config.profile_ttl };
            let old = recall("one", believed);
            assert_eq!((old.profile, old.former_id.as_deref()), (None, profile.last_id()));
            let kept = if profile.last_id().is_some() { config.id_ttl } else { believed };
            assert_eq!(entry.ttl, Some(kept));
        }
        let recall =
            |text: &'static str| Profile::recall(&text.into(), &"one".into(), NOW, &config);
        assert_eq!(recall("rubbish"), Recalled::default());
        let odd_id = r#"{"id":"../x","at":0,"session":"one"}"#;
        assert_eq!(recall(odd_id), Recalled::default());
    }

    #[test]
    fn a_profile_claims_a_story_for_a_day() {
        let profile = user(false, false, false);
        assert!(profile.claims_story(NOW));
        assert!(!profile.claims_story(NOW + LIFE));
    }
}
