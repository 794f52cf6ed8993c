//! The cache on Redis.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use redis::Value;
use story_checker_core::Result;
use story_checker_core::cache::{Cache, CacheEntry, CacheStats};

use crate::codec;
use crate::reply::{self, corrupt};
use crate::script::{CACHE_COUNT, CACHE_LOOK, CACHE_PUT, CACHE_REMOVE};
use crate::shared::Shared;

/// How many entries one script handles.
const STEP: usize = 128;

/// A cache that all processes share. Beyond its capacity the oldest entries go.
///
/// Made by [`RedisStore::cache`](crate::RedisStore::cache); clones count hits together.
#[derive(Clone, Debug)]
pub struct RedisCache {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl RedisCache {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, counts: Arc::default() }
    }
}

impl fmt::Display for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cache in {}", self.shared.link.address())
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(STEP) {
            let mut call = CACHE_LOOK.on(&self.shared.tag);
            for key in some {
                call.arg(key);
            }
            let Value::Array(values) = call.send(&self.shared.link).await? else {
                return Err(corrupt(CACHE_LOOK.operation, "the script's answer is no list"));
            };
            found.extend(values.into_iter().map(|value| match value {
                Value::BulkString(bytes) => Some(bytes.into()),
                _ => None,
            }));
        }
        let hits = found.iter().flatten().count() as u64;
        self.counts.hits.fetch_add(hits, Ordering::Relaxed);
        self.counts.misses.fetch_add(keys.len() as u64 - hits, Ordering::Relaxed);
        Ok(found)
    }

    async fn put(&self, entries: Vec<CacheEntry>) -> Result<()> {
        for some in entries.chunks(STEP) {
            let mut call = CACHE_PUT.on(&self.shared.tag);
            call.arg(self.shared.cache_capacity);
            for entry in some {
                call.arg(&entry.key).arg(&entry.value[..]);
                match entry.ttl {
                    // Nothing holds for no time at all in Redis.
                    Some(ttl) => call.arg(codec::span(ttl).max(1)),
                    None => call.arg(""),
                };
            }
            call.send(&self.shared.link).await?;
        }
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<()> {
        for some in keys.chunks(STEP) {
            let mut call = CACHE_REMOVE.on(&self.shared.tag);
            for key in some {
                call.arg(key);
            }
            call.send(&self.shared.link).await?;
        }
        Ok(())
    }

    async fn stats(&self) -> Result<CacheStats> {
        let call = CACHE_COUNT.on(&self.shared.tag);
        let entries = reply::number(CACHE_COUNT.operation, call.send(&self.shared.link).await?)?;
        let mut stats = CacheStats::default();
        stats.hits = self.counts.hits.load(Ordering::Relaxed);
        stats.misses = self.counts.misses.load(Ordering::Relaxed);
        stats.entries = u64::try_from(entries).unwrap_or(0);
        Ok(stats)
    }
}
