use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::cache::CacheFixture;
use super::clock::ManualClock;
use super::proxies::ProxyFixture;
use super::queue::QueueFixture;
use super::sessions::SessionFixture;
use crate::cache::{Cache, InMemoryCache};
use crate::clock::{Clock, Timestamp};
use crate::proxy::{Proxy, ProxySource, StaticProxySource};
use crate::queue::{InMemoryJobQueue, JobQueue, Retention};
use crate::session::{InMemorySessionStore, SessionStore};

/// The adapters in memory, on a clock that stands still.
#[derive(Debug, Default)]
pub struct InMemoryFixture {
    clock: Arc<ManualClock>,
}

impl InMemoryFixture {
    /// A fixture with a clock of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The clock of its stores.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ManualClock>::clone(&self.clock)
    }
}

#[async_trait]
impl QueueFixture for InMemoryFixture {
    async fn queue(&self, retention: Retention) -> Arc<dyn JobQueue> {
        Arc::new(InMemoryJobQueue::with_retention(self.clock(), retention))
    }

    async fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[async_trait]
impl SessionFixture for InMemoryFixture {
    async fn sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(InMemorySessionStore::new(self.clock()))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance_sessions(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[async_trait]
impl CacheFixture for InMemoryFixture {
    async fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(InMemoryCache::new(self.clock()))
    }

    async fn advance_cache(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[async_trait]
impl ProxyFixture for InMemoryFixture {
    async fn proxies(&self, proxies: Vec<Proxy>) -> Arc<dyn ProxySource> {
        Arc::new(StaticProxySource::new(proxies))
    }
}
