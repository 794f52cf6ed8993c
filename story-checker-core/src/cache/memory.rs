use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Cache, CacheEntry, CacheStats};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;

/// A cache in this process's memory. When it is full, expired entries go first, then the oldest.
#[derive(Debug)]
pub struct InMemoryCache {
    clock: Arc<dyn Clock>,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<String, Entry>,
    stores: u64,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    expires_at: Timestamp,
    stored: u64,
}

impl InMemoryCache {
    /// The default number of entries: 100,000.
    pub const DEFAULT_CAPACITY: usize = 100_000;

    /// An empty cache with the default capacity.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, Self::DEFAULT_CAPACITY)
    }

    /// An empty cache for at most `capacity` entries (at least 1).
    #[must_use]
    pub fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self { clock, capacity: capacity.max(1), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for InMemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cache in memory")
    }
}

impl State {
    /// Makes room for one more by dropping what is expired, or else the older half: rare enough to
    /// cost little per entry.
    fn make_room(&mut self, now: Timestamp, capacity: usize) {
        self.entries.retain(|_, entry| entry.expires_at > now);
        if self.entries.len() >= capacity {
            let mut ages: Vec<u64> = self.entries.values().map(|entry| entry.stored).collect();
            let middle = ages.len() / 2;
            let (_, &mut median, _) = ages.select_nth_unstable(middle);
            self.entries.retain(|_, entry| entry.stored > median);
        }
    }
}

#[async_trait]
impl Cache for InMemoryCache {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        let now = self.clock.now();
        let mut state = self.lock();
        let found: Vec<_> = keys
            .iter()
            .map(|key| {
                let entry = state.entries.get(key).filter(|entry| entry.expires_at > now);
                entry.map(|entry| entry.value.clone())
            })
            .collect();
        let hits = found.iter().flatten().count() as u64;
        state.hits += hits;
        state.misses += keys.len() as u64 - hits;
        Ok(found)
    }

    async fn put(&self, entries: Vec<CacheEntry>) -> Result<()> {
        let now = self.clock.now();
        let mut state = self.lock();
        for CacheEntry { key, value, ttl } in entries {
            if state.entries.len() >= self.capacity && !state.entries.contains_key(&key) {
                state.make_room(now, self.capacity);
            }
            state.stores += 1;
            let expires_at = ttl.map_or(Timestamp::MAX, |ttl| now + ttl);
            let stored = state.stores;
            state.entries.insert(key, Entry { value, expires_at, stored });
        }
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<()> {
        let mut state = self.lock();
        for key in keys {
            state.entries.remove(key);
        }
        Ok(())
    }

    async fn stats(&self) -> Result<CacheStats> {
        let state = self.lock();
        let entries = state.entries.len() as u64;
        Ok(CacheStats { hits: state.hits, misses: state.misses, entries })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::VirtualClock;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn entries_hold_until_their_time_is_over() {
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::from_secs(1)));
        let cache: Arc<dyn Cache> = Arc::new(InMemoryCache::new(clock));
        let short = CacheEntry::new("a", "1").with_ttl(Duration::from_secs(60));
        cache.put(vec![short, CacheEntry::new("b", "2")]).await.unwrap();
        assert_eq!(
            cache.get(&keys(&["b", "a", "c"])).await.unwrap(),
            [Some("2".into()), Some("1".into()), None]
        );

        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(cache.get(&keys(&["a", "b"])).await.unwrap(), [None, Some("2".into())]);

        cache.remove(&keys(&["b", "unknown"])).await.unwrap();
        assert_eq!(cache.get(&keys(&["b"])).await.unwrap(), [None]);
        let stats = cache.stats().await.unwrap();
        assert_eq!((stats.hits, stats.misses), (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_cache_forgets_the_oldest_and_stays_within_its_size() {
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::from_secs(1)));
        let cache = Box::new(InMemoryCache::with_capacity(clock, 100));
        for number in 0..1_000 {
            cache.put(vec![CacheEntry::new(number.to_string(), "x")]).await.unwrap();
            assert!(cache.stats().await.unwrap().entries <= 100);
        }
        let found = cache.get(&keys(&["999", "0"])).await.unwrap();
        assert_eq!(found, [Some("x".into()), None]);
    }
}
