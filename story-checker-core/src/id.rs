//! Identifiers: newtypes, so that one cannot stand for another.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

uuid_id! {
    /// Names a batch: jobs submitted together.
    BatchId,
    /// Names a job. A UUID of version 7, so ids sort by the time of their making.
    JobId,
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text of the id.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )+};
}

text_id! {
    /// Names a proxy. Contains no credentials: it is printed in logs and evidence.
    ProxyId,
    /// Names a session. A label, never a cookie value: it is printed in logs and evidence.
    SessionId,
    /// Names one running worker process.
    WorkerId,
}

impl ProxyId {
    /// The text, shared: of many proxies each has its name once.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// A number that grows at every grant of a lease, per job and per session, and is never reused: who
/// holds an old one can change nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(u64);

impl Fence {
    /// The fence with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The fence of the next grant.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes ids of version 7 from the clock and a counter that starts at a random seed; a fixed seed
/// gives the same ids again, which simulation needs.
#[derive(Debug)]
pub(crate) struct IdSource(AtomicU64);

impl IdSource {
    /// A source with a seed of its own, or a random one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| {
            let (high, low) = Uuid::now_v7().as_u64_pair();
            mix(high ^ low)
        });
        Self(AtomicU64::new(seed))
    }

    fn next(&self, now: Timestamp) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        // The count leads the random part, so ids of one millisecond still sort by making.
        let high = ((count & 0xffff) as u16).to_be_bytes();
        let low = mix(count).to_be_bytes();
        let random = [
            high[0] & 0x0f,
            high[1],
            low[0],
            low[1],
            low[2],
            low[3],
            low[4],
            low[5],
            low[6],
            low[7],
        ];
        uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid()
    }

    pub(crate) fn job(&self, now: Timestamp) -> JobId {
        JobId(self.next(now))
    }

    pub(crate) fn batch(&self, now: Timestamp) -> BatchId {
        BatchId(self.next(now))
    }
}

/// Hashes ids of jobs by their own random bits: they are made by us, so nobody can choose them.
pub(crate) type IdHash = BuildHasherDefault<IdHasher>;

/// The hasher of [`IdHash`]: the last eight bytes of an id.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk() {
            self.0 ^= u64::from_ne_bytes(*tail);
        }
    }

    /// The length of the id says nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// SplitMix64's finalizer (Steele, Lea, Flood 2014): a good 64-bit hash of a number.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_a_seed_repeats_them() {
        let now = Timestamp::from_secs(1_795_251_600);
        let ids = IdSource::new(None);
        let many: HashSet<_> = (0..100_000).map(|_| ids.job(now)).collect();
        assert_eq!(many.len(), 100_000);

        let again = |seed| {
            let ids = IdSource::new(Some(seed));
            (ids.job(now), ids.batch(now))
        };
        assert_eq!(again(7), again(7));
        assert_ne!(again(7), again(8));
    }

    #[test]
    fn ids_sort_by_the_time_of_their_making_and_survive_text_and_bytes() {
        let ids = IdSource::new(Some(1));
        let early = ids.job(Timestamp::from_secs(1));
        let late = ids.job(Timestamp::from_secs(2));
        assert!(early < late);
        assert_eq!(early.to_string().parse::<JobId>().unwrap(), early);
        assert_eq!(JobId::from_bytes(*early.as_bytes()), early);
        assert!("not an id".parse::<JobId>().is_err());
    }
}
