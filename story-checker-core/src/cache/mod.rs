//! The port that remembers: name → id, profiles, recent answers.

mod memory;

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::memory::InMemoryCache;
use crate::error::Result;

/// One thing to remember.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheEntry {
    /// The key: `owner/kind/name`, such as `instagram-web/profile/tea_house`.
    pub key: String,
    /// The value; the owner of the key knows its format.
    pub value: Bytes,
    /// For how long it holds; none means for ever.
    pub ttl: Option<Duration>,
}

impl CacheEntry {
    /// An entry that holds for ever.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), ttl: None }
    }

    /// Lets the entry hold for `ttl` only.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// How well a cache serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Keys that were asked for and known.
    pub hits: u64,
    /// Keys that were asked for and not known.
    pub misses: u64,
    /// Entries held now, expired ones perhaps included.
    pub entries: u64,
}

/// Remembers values by key, for a while or for ever.
///
/// A cache may forget anything at any time; nothing that must not be lost belongs into it.
#[async_trait]
pub trait Cache: Debug + Display + Send + Sync + 'static {
    /// Looks up each key, in order; an expired entry is unknown.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the cache cannot be reached.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>>;

    /// Remembers the entries, replacing older ones of the same keys.
    ///
    /// # Errors
    /// As [`Cache::get`].
    ///
    /// # Cancel safety
    /// Any part of the entries may have been stored.
    async fn put(&self, entries: Vec<CacheEntry>) -> Result<()>;

    /// Forgets the keys.
    ///
    /// # Errors
    /// As [`Cache::get`].
    ///
    /// # Cancel safety
    /// Any part of the keys may have been forgotten.
    async fn remove(&self, keys: &[String]) -> Result<()>;

    /// Counts since the start of this process.
    ///
    /// # Errors
    /// As [`Cache::get`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn stats(&self) -> Result<CacheStats>;
}

const _: Option<&dyn Cache> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: Cache + ?Sized> Cache for $pointer {
            async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
                (**self).get(keys).await
            }

            async fn put(&self, entries: Vec<CacheEntry>) -> Result<()> {
                (**self).put(entries).await
            }

            async fn remove(&self, keys: &[String]) -> Result<()> {
                (**self).remove(keys).await
            }

            async fn stats(&self) -> Result<CacheStats> {
                (**self).stats().await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);
