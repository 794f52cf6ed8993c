//! The cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use story_checker_core::Result;
use story_checker_core::cache::{Cache, CacheEntry, CacheStats};

use crate::reader::Reader;
use crate::time::HostClock;
use crate::tx::{Tx, millis, read_now};
use crate::writer::Writer;

/// Rows that one call drops at most, to make room.
const EVICT: i64 = 1_024;

/// What checks remember, in a file: see [`SqliteStore::cache`](crate::SqliteStore::cache). When it
/// is full, what was written first goes first.
#[derive(Clone, Debug)]
pub struct SqliteCache {
    name: Arc<str>,
    writer: Writer,
    reader: Reader,
    clock: Arc<dyn HostClock>,
    most: i64,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl SqliteCache {
    pub(crate) fn new(
        name: Arc<str>,
        writer: Writer,
        reader: Reader,
        clock: Arc<dyn HostClock>,
        most: usize,
    ) -> Self {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Self { name, writer, reader, clock, most, counts: Arc::default() }
    }
}

impl fmt::Display for SqliteCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cache in {}", self.name)
    }
}

#[async_trait]
impl Cache for SqliteCache {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, clock) = (keys.to_vec(), Arc::clone(&self.clock));
        let read = move |sql: &Connection| {
            let now = millis(read_now(sql, &*clock)?);
            let text = "SELECT value FROM cache WHERE key = ?1 AND (until IS NULL OR until > ?2)";
            let mut find = sql.prepare_cached(text)?;
            let one = |key: &String| {
                let value = find.query_row(params![key, now], |row| row.get::<_, Vec<u8>>(0));
                Ok(value.optional()?.map(Bytes::from))
            };
            keys.iter().map(one).collect()
        };
        let values: Vec<Option<Bytes>> = self.reader.ask("read the cache", read).await?;
        let hits = values.iter().flatten().count() as u64;
        self.counts.hits.fetch_add(hits, Ordering::Relaxed);
        self.counts.misses.fetch_add(values.len() as u64 - hits, Ordering::Relaxed);
        Ok(values)
    }

    async fn put(&self, entries: Vec<CacheEntry>) -> Result<()> {
        let most = self.most;
        let put = move |tx: &mut Tx<'_>| {
            let now = tx.now();
            let text = "INSERT OR REPLACE INTO cache (key, value, until) VALUES (?1, ?2, ?3)";
            let mut put = tx.statement(text)?;
            for CacheEntry { key, value, ttl, .. } in &entries {
                let until = ttl.map(|ttl: Duration| millis(now + ttl));
                put.execute(params![key, &value[..], until])?;
            }
            // Numbers have holes where entries were replaced: a cache may forget.
            let text = "DELETE FROM cache WHERE id IN (
                            SELECT id FROM cache WHERE id <= (SELECT max(id) FROM cache) - ?1
                            ORDER BY id LIMIT ?2)";
            tx.statement(text)?.execute([most, EVICT])?;
            Ok(())
        };
        self.writer.call("write the cache", put).await
    }

    async fn remove(&self, keys: &[String]) -> Result<()> {
        let keys = keys.to_vec();
        let remove = move |tx: &mut Tx<'_>| {
            let mut remove = tx.statement("DELETE FROM cache WHERE key = ?1")?;
            for key in &keys {
                remove.execute([key])?;
            }
            Ok(())
        };
        self.writer.call("forget in the cache", remove).await
    }

    async fn stats(&self) -> Result<CacheStats> {
        let read = |sql: &Connection| {
            let mut count = sql.prepare_cached("SELECT count(*) FROM cache")?;
            Ok(count.query_row([], |row| row.get::<_, i64>(0))?)
        };
        let entries = self.reader.ask("count the cache", read).await?;
        let mut stats = CacheStats::default();
        stats.hits = self.counts.hits.load(Ordering::Relaxed);
        stats.misses = self.counts.misses.load(Ordering::Relaxed);
        stats.entries = entries.cast_unsigned();
        Ok(stats)
    }
}
