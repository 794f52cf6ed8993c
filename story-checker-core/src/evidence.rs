//! Why a verdict may be believed, or what was seen before it was given up.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ProxyId, SessionId};

/// One request that was made for a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The checker's name for the route, such as `reels_media`. Never a URL.
    pub route: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// When the request was sent.
    pub at: Timestamp,
    /// From sending to the end of the answer's head; 0 if it was not measured.
    #[serde(rename = "first_byte_ms", default, with = "as_millis")]
    pub first_byte: Duration,
    /// How long a new connection took to make, proxy and handshakes included, as a part of
    /// `first_byte`; 0 if one was there.
    #[serde(
        rename = "connect_ms",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_millis"
    )]
    pub connect: Duration,
    /// How long it took to understand the answer.
    #[serde(
        rename = "parse_ms",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_millis"
    )]
    pub parse: Duration,
    /// From sending to the last byte of the answer.
    #[serde(rename = "took_ms", with = "as_millis")]
    pub took: Duration,
    /// Bytes of the answer's body, after decoding.
    pub bytes: u64,
}

impl RequestRecord {
    /// A record of a finished request.
    #[must_use]
    pub fn new(
        route: impl Into<Cow<'static, str>>,
        status: u16,
        at: Timestamp,
        took: Duration,
        bytes: u64,
    ) -> Self {
        let (first_byte, connect, parse) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        Self { route: route.into(), status, at, first_byte, connect, parse, took, bytes }
    }

    /// Adds the time that a new connection took.
    #[must_use]
    pub const fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Adds the time that it took to understand the answer.
    #[must_use]
    pub const fn with_parse(mut self, parse: Duration) -> Self {
        self.parse = parse;
        self
    }

    /// Adds the time to the end of the answer's head.
    #[must_use]
    pub fn with_first_byte(mut self, first_byte: Duration) -> Self {
        self.first_byte = first_byte;
        self
    }
}

/// Why a verdict may be believed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// Who answered: the checker and the version of its parser, such as `instagram-web/1`.
    pub source: Cow<'static, str>,
    /// The platform's own id of the target, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The session that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The proxy that was used; none means a direct connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyId>,
    /// The server's time at the deciding answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<Timestamp>,
    /// The requests, in order. One that answered for many targets appears in each of their reports.
    pub requests: Vec<RequestRecord>,
    /// What was seen, one plain sentence each.
    pub facts: Vec<Cow<'static, str>>,
    /// The answer holds as far as its source shows, and the source does not show everything: the
    /// Graph API never returns live and re-shared stories, so its empty list is a weak "no story".
    #[serde(default, skip_serializing_if = "is_false")]
    pub weak: bool,
    /// A summary of the first answer of a new kind that could not be understood: bounded, and
    /// without anything secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specimen: Option<String>,
}

impl Evidence {
    /// Evidence by `source`, empty so far.
    #[must_use]
    pub fn new(source: impl Into<Cow<'static, str>>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_fact(mut self, fact: impl Into<Cow<'static, str>>) -> Self {
        self.facts.push(fact.into());
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Durations as milliseconds, with microseconds behind the point.
pub(crate) mod as_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn to_f64(duration: Duration) -> f64 {
        (duration.as_secs_f64() * 1e6).round() / 1e3
    }

    pub(crate) fn from_f64<E: serde::de::Error>(millis: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(millis / 1e3).map_err(E::custom)
    }

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(to_f64(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from_f64(f64::deserialize(from)?)
    }
}
