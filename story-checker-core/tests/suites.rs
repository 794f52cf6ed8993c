//! The conformance suites on the adapters in memory, and on what wraps an adapter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::Timestamp;
use story_checker_core::queue::{JobQueue, Retention};
use story_checker_core::session::SessionStore;
use story_checker_core::testing::queue::QueueFixture;
use story_checker_core::testing::sessions::SessionFixture;
use story_checker_core::testing::{self, Faulty, InMemoryFixture};

mod queue_in_memory {
    story_checker_core::job_queue_suite!(super::InMemoryFixture::new());
}

/// Puts something around the queues in memory.
pub(crate) struct Wrapped<W> {
    inner: InMemoryFixture,
    wrap: W,
}

impl<W: Fn(Arc<dyn JobQueue>) -> Arc<dyn JobQueue> + Send + Sync> Wrapped<W> {
    pub(crate) fn new(wrap: W) -> Self {
        Self { inner: InMemoryFixture::new(), wrap }
    }
}

#[async_trait]
impl<W: Fn(Arc<dyn JobQueue>) -> Arc<dyn JobQueue> + Send + Sync> QueueFixture for Wrapped<W> {
    async fn queue(&self, retention: Retention) -> Arc<dyn JobQueue> {
        (self.wrap)(self.inner.queue(retention).await)
    }

    async fn advance(&self, span: Duration) {
        self.inner.advance(span).await;
    }
}

mod queue_in_an_arc {
    use super::{Arc, Wrapped};

    story_checker_core::job_queue_suite!(Wrapped::new(|queue| Arc::new(queue)));
}

mod queue_in_a_box {
    use super::{Arc, JobQueue, Wrapped};

    story_checker_core::job_queue_suite!(Wrapped::new(|queue| {
        let boxed: Box<dyn JobQueue> = Box::new(queue);
        Arc::new(boxed)
    }));
}

mod queue_without_faults {
    use super::{Arc, Faulty, Wrapped};

    story_checker_core::job_queue_suite!(Wrapped::new(|queue| Arc::new(Faulty::new(queue))));
}

mod sessions_in_memory {
    story_checker_core::session_store_suite!(super::InMemoryFixture::new());
}

/// Puts something around the session stores in memory.
pub(crate) struct WrappedSessions<W> {
    inner: InMemoryFixture,
    wrap: W,
}

impl<W: Fn(Arc<dyn SessionStore>) -> Arc<dyn SessionStore> + Send + Sync> WrappedSessions<W> {
    pub(crate) fn new(wrap: W) -> Self {
        Self { inner: InMemoryFixture::new(), wrap }
    }
}

#[async_trait]
impl<W: Fn(Arc<dyn SessionStore>) -> Arc<dyn SessionStore> + Send + Sync> SessionFixture
    for WrappedSessions<W>
{
    async fn sessions(&self) -> Arc<dyn SessionStore> {
        (self.wrap)(self.inner.sessions().await)
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    async fn advance_sessions(&self, span: Duration) {
        self.inner.advance_sessions(span).await;
    }
}

mod sessions_without_faults {
    use super::{Arc, Faulty, SessionStore, WrappedSessions};

    story_checker_core::session_store_suite!(WrappedSessions::new(|sessions| {
        let boxed: Box<dyn SessionStore> = Box::new(sessions);
        Arc::new(Faulty::new(boxed))
    }));
}

mod cache_in_memory {
    story_checker_core::cache_suite!(super::InMemoryFixture::new());
}

mod fixed_list_of_proxies {
    story_checker_core::proxy_source_suite!(super::InMemoryFixture::new());
}

#[test]
fn the_tables_of_the_docs_name_every_case() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ADAPTERS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let tables = text.split_once("## Promise by promise").unwrap().1;
    let rows = tables.lines().filter_map(|line| line.strip_suffix("` |")?.rsplit_once('`'));
    let named: Vec<_> = rows.map(|(_, name)| name).collect();
    let queue = testing::queue::CASES.iter().map(|(name, _)| *name);
    let sessions = testing::sessions::CASES.iter().map(|(name, _)| *name);
    let proxies = testing::proxies::CASES.iter().map(|(name, _)| *name);
    let cache = testing::cache::CASES.iter().map(|(name, _)| *name);
    let cases: Vec<_> = queue.chain(sessions).chain(proxies).chain(cache).collect();
    assert_eq!(named, cases);
}
