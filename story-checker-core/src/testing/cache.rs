//! The promises of [`Cache`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::cache::{Cache, CacheEntry};

/// Makes caches for the suite.
#[async_trait]
pub trait CacheFixture: Send + Sync {
    /// A new, empty cache that shares nothing with those made before.
    async fn cache(&self) -> Arc<dyn Cache>;

    /// Lets this much time pass by the clock of its caches. It need not take any time.
    async fn advance_cache(&self, span: Duration);
}

/// A case: panics if the cache breaks the promise.
pub type CacheCase = for<'a> fn(&'a dyn CacheFixture) -> LocalBoxFuture<'a, ()>;

/// All cases by name.
pub const CASES: &[(&str, CacheCase)] = crate::cache_suite!(@each conformance_list ());

/// The case with this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn case(name: &str) -> CacheCase {
    crate::testing::find(CASES, name)
}

/// Expands to one `#[test]` per promise of [`Cache`].
///
/// The expression makes a [`CacheFixture`] for one test; it
/// may `.await`.
#[macro_export]
macro_rules! cache_suite {
    (@each $apply:ident $args:tt) => {
        $crate::$apply! { $args cache
            values_come_back_in_order
            an_entry_holds_for_its_time
            a_newer_entry_replaces_an_older
            removed_keys_are_unknown
            hits_and_misses_are_counted
        }
    };
    ($fixture:expr) => {
        $crate::cache_suite! { @each conformance_tests ($fixture) }
    };
}

const MINUTE: Duration = Duration::from_secs(60);

async fn get<const N: usize>(cache: &dyn Cache, keys: [&str; N]) -> Vec<Option<Bytes>> {
    cache.get(&keys.map(str::to_owned)).await.unwrap()
}

/// Values are any bytes and come back one per key, in order; an unknown key has none.
pub async fn values_come_back_in_order(fixture: &dyn CacheFixture) {
    let cache = fixture.cache().await;
    assert_eq!(get(&cache, ["a"]).await, [None]);
    assert!(get(&cache, []).await.is_empty());
    let odd: Vec<u8> = (0..=255).collect();
    let big = vec![7; 65_536];
    let entries = vec![
        CacheEntry::new("a", ""),
        CacheEntry::new("web/profile/ünïcode \0", odd.clone()),
        CacheEntry::new("big", big.clone()),
    ];
    cache.put(entries).await.unwrap();
    let found = get(&cache, ["big", "none", "a", "web/profile/ünïcode \0", "a"]).await;
    let some = |bytes: &[u8]| Some(Bytes::copy_from_slice(bytes));
    assert!(found == [some(&big), None, some(b""), some(&odd), some(b"")]);
}

/// An entry with a time is unknown after it, and one without holds.
pub async fn an_entry_holds_for_its_time(fixture: &dyn CacheFixture) {
    let cache = fixture.cache().await;
    let short = CacheEntry::new("short", "1").with_ttl(MINUTE * 2);
    cache.put(vec![short, CacheEntry::new("long", "2")]).await.unwrap();
    fixture.advance_cache(MINUTE).await;
    assert_eq!(get(&cache, ["short", "long"]).await, [Some("1".into()), Some("2".into())]);
    fixture.advance_cache(MINUTE).await;
    assert_eq!(get(&cache, ["short", "long"]).await, [None, Some("2".into())]);
}

/// A newer entry of a key replaces the older one, with its time.
pub async fn a_newer_entry_replaces_an_older(fixture: &dyn CacheFixture) {
    let cache = fixture.cache().await;
    let entry = |value: &'static str| CacheEntry::new("a", value);
    cache.put(vec![entry("1").with_ttl(MINUTE)]).await.unwrap();
    cache.put(vec![entry("2").with_ttl(MINUTE), entry("3")]).await.unwrap();
    fixture.advance_cache(MINUTE * 2).await;
    assert_eq!(get(&cache, ["a"]).await, [Some("3".into())]);
    cache.put(vec![entry("4").with_ttl(MINUTE)]).await.unwrap();
    fixture.advance_cache(MINUTE).await;
    assert_eq!(get(&cache, ["a"]).await, [None]);
}

/// A removed key is unknown; removing an unknown one does no harm.
pub async fn removed_keys_are_unknown(fixture: &dyn CacheFixture) {
    let cache = fixture.cache().await;
    cache.put(vec![CacheEntry::new("a", "1"), CacheEntry::new("b", "2")]).await.unwrap();
    cache.remove(&["a".to_owned(), "none".to_owned()]).await.unwrap();
    assert_eq!(get(&cache, ["a", "b"]).await, [None, Some("2".into())]);
    cache.remove(&[]).await.unwrap();
}

/// Each key that is asked for counts as a hit or a miss.
pub async fn hits_and_misses_are_counted(fixture: &dyn CacheFixture) {
    let cache = fixture.cache().await;
    let before = cache.stats().await.unwrap();
    cache.put(vec![CacheEntry::new("a", "1"), CacheEntry::new("b", "2")]).await.unwrap();
    get(&cache, ["a", "none", "b"]).await;
    get(&cache, ["a", "none"]).await;
    let stats = cache.stats().await.unwrap();
    assert_eq!((stats.hits - before.hits, stats.misses - before.misses), (3, 2));
    assert_eq!(stats.entries, 2);
}
