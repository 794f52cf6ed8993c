//! What comes out: verdict, evidence, items, timings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::evidence::{Evidence, as_millis};
use crate::fault::{Class, Fault, Scope};
use crate::target::Target;

/// The answer for one target.
///
/// Only [`Verdict::Unknown`] says "we do not know", and it says why. All others are proven: the
/// report's [`Evidence`] tells how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// There is at least one story that has not expired by the server's time.
    Active,
    /// The account exists but is withheld from us, by age for instance.
    Gated,
    /// The account exists, we may see its stories, and there is none.
    NoStory,
    /// There is no such account, as far as the platform tells us.
    NotFound,
    /// The account is private and the session does not follow it.
    Private,
    /// The account is suspended.
    Suspended,
    /// No answer that may be believed.
    Unknown {
        /// Why not.
        cause: Cause,
    },
}

impl Verdict {
    /// The word used in text and JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Gated => "gated",
            Self::NoStory => "no_story",
            Self::NotFound => "not_found",
            Self::Private => "private",
            Self::Suspended => "suspended",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Why there is no answer that may be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// What kind of fault stood in the way last.
    pub class: Class,
    /// Whose fault it was.
    pub scope: Scope,
    /// What happened and what to do about it.
    pub message: String,
    /// The earliest time at which the check could go (again), if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl Cause {
    /// A cause without a time.
    #[must_use]
    pub fn new(class: Class, scope: Scope, message: impl Into<String>) -> Self {
        Self { class, scope, message: message.into(), not_before: None }
    }

    /// Adds the time at which the check could go.
    #[must_use]
    pub fn with_not_before(mut self, not_before: Option<Timestamp>) -> Self {
        self.not_before = not_before;
        self
    }
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.class, fault.scope, fault.message.clone()).with_not_before(fault.until)
    }
}

/// Whether something is a picture or moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaKind {
    /// A still picture.
    Image,
    /// A video.
    Video,
}

/// One file in which an item can be had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MediaVariant {
    /// Picture or video: a video usually has a picture too.
    pub kind: MediaKind,
    /// Where it is. Signed by most platforms, so it expires and must be used unchanged.
    pub url: String,
    /// Pixels; 0 if not told.
    pub width: u32,
    /// Pixels; 0 if not told.
    pub height: u32,
}

impl MediaVariant {
    /// A file by its parts.
    #[must_use]
    pub fn new(kind: MediaKind, url: impl Into<String>, width: u32, height: u32) -> Self {
        Self { kind, url: url.into(), width, height }
    }
}

/// One story, or one post.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Item {
    /// The platform's id of the item.
    pub id: String,
    /// Picture or video.
    pub kind: MediaKind,
    /// When it was posted.
    pub taken_at: Timestamp,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Length of a video.
    #[serde(
        rename = "duration_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "as_optional_millis"
    )]
    pub duration: Option<Duration>,
    /// The files, largest picture first. Empty if the platform withholds the media.
    pub media: Vec<MediaVariant>,
}

impl Item {
    /// An item without end, length or media.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: MediaKind, taken_at: Timestamp) -> Self {
        Self { id: id.into(), kind, taken_at, expires_at: None, duration: None, media: Vec::new() }
    }
}

/// How long a check took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timings {
    /// When the work on the answer began.
    pub started: Timestamp,
    /// When the answer was there.
    pub ended: Timestamp,
    /// The time between the two, by a clock that never jumps.
    #[serde(rename = "took_ms", with = "as_millis")]
    pub took: Duration,
    /// From enqueueing the job to the beginning of its last check; 0 if there was no job.
    #[serde(
        rename = "queued_ms",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_millis"
    )]
    pub queued: Duration,
    /// The part of `queued` in which there was no session, or no way out, for this kind of job; only
    /// told of jobs that were never put off.
    #[serde(
        rename = "pair_wait_ms",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_millis"
    )]
    pub pair_wait: Duration,
    /// The part of `queued` in which limits had no room, told likewise.
    #[serde(
        rename = "limiter_wait_ms",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_millis"
    )]
    pub limiter_wait: Duration,
    /// How long the check, once begun, waited for limits before its requests.
    #[serde(
        rename = "pass_wait_ms",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_millis"
    )]
    pub pass_wait: Duration,
}

impl Timings {
    /// Something that began at `started` and took `took`.
    #[must_use]
    pub fn new(started: Timestamp, took: Duration) -> Self {
        Self { started, ended: started + took, took, ..Self::default() }
    }

    /// Adds what came before the check, and what it waited for: `other` knows.
    #[must_use]
    pub(crate) const fn with_waits(mut self, other: &Self) -> Self {
        self.queued = other.queued;
        self.pair_wait = other.pair_wait;
        self.limiter_wait = other.limiter_wait;
        self.pass_wait = other.pass_wait;
        self
    }
}

/// Everything there is to say about one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// What was asked about.
    pub target: Target,
    /// The answer. In JSON it is the field `verdict`, with `cause` beside it when unknown.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The stories, oldest first.
    pub items: Vec<Item>,
    /// Why the verdict may be believed, or what was seen before it was given up.
    pub evidence: Evidence,
    /// How long it took.
    pub timings: Timings,
}

impl Report {
    /// A report without items.
    #[must_use]
    pub fn new(target: Target, verdict: Verdict, evidence: Evidence, timings: Timings) -> Self {
        Self { target, verdict, items: Vec::new(), evidence, timings }
    }

    /// A report that says why there is no answer.
    #[must_use]
    pub fn unknown(target: Target, cause: Cause, evidence: Evidence, timings: Timings) -> Self {
        Self::new(target, Verdict::Unknown { cause }, evidence, timings)
    }

    /// Adds the items.
    #[must_use]
    pub fn with_items(mut self, items: Vec<Item>) -> Self {
        self.items = items;
        self
    }
}

mod as_optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::evidence::as_millis::{from_f64, to_f64};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(to_f64).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(from)?.map(from_f64).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::RequestRecord;

    fn report() -> Report {
        let mut item = Item::new("17", MediaKind::Video, Timestamp::from_secs(1_795_251_600));
        item.duration = Some(Duration::from_micros(9_500_250));
        item.media.push(MediaVariant::new(
            MediaKind::Video,
            "https://cdn.sim.test/a?oe=1",
            720,
            1280,
        ));
        let mut evidence = Evidence::new("instagram-web/1").with_fact("the reel holds 1 item");
        let at = Timestamp::from_secs(1_795_251_700);
        let record =
            RequestRecord::new("reels_media", 200, at, Duration::from_micros(1_234), 3_000);
        evidence.requests.push(record.with_first_byte(Duration::from_micros(800)));
        Report::new(
            "instagram/account/tea_house".parse().unwrap(),
            Verdict::Active,
            evidence,
            Timings::new(Timestamp::from_secs(1_795_251_700), Duration::from_millis(2)),
        )
        .with_items(vec![item])
    }

    #[test]
    fn reports_round_trip_through_json() {
        let report = report();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["verdict"], "active");
        assert_eq!(json["target"], "instagram/account/tea_house");
        assert_eq!(json["evidence"]["requests"][0]["took_ms"], 1.234);
        assert_eq!(json["evidence"]["requests"][0]["first_byte_ms"], 0.8);
        assert_eq!(json["items"][0]["duration_ms"], 9_500.25);
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }

    #[test]
    fn a_weak_answer_says_so_and_reports_of_older_versions_are_read() {
        let mut report = report();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["evidence"].get("weak"), None);
        let mut old = json;
        old["evidence"]["requests"][0].as_object_mut().unwrap().remove("first_byte_ms");
        let read: Report = serde_json::from_value(old).unwrap();
        assert_eq!(read.evidence.requests[0].first_byte, Duration::ZERO);
        report.evidence.weak = true;
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["evidence"]["weak"], true);
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }

    #[test]
    fn an_unknown_verdict_carries_its_cause_beside_it() {
        let fault = Fault::new(Class::RateLimited, Scope::Session, "the platform asks to wait")
            .with_until(Timestamp::from_secs(1_795_252_000));
        let report = Report::unknown(
            report().target,
            Cause::from(&fault),
            Evidence::default(),
            Timings::default(),
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["verdict"], "unknown");
        assert_eq!(json["cause"]["class"], "rate_limited");
        assert_eq!(json["cause"]["scope"], "session");
        assert_eq!(json["cause"]["not_before"], "2026-11-21T09:06:40.000Z");
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }

    #[test]
    fn damaged_durations_are_refused_not_a_panic() {
        let mut json = serde_json::to_value(report()).unwrap();
        json["timings"]["took_ms"] = serde_json::json!(-1.0);
        assert!(serde_json::from_value::<Report>(json).is_err());
    }
}
