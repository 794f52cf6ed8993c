//! The conformance suites on the adapters in memory, and on what wraps an adapter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::queue::{JobQueue, Retention};
use story_checker_core::testing::queue::QueueFixture;
use story_checker_core::testing::{Faulty, InMemoryFixture};

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
