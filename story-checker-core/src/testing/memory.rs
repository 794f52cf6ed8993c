use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::clock::ManualClock;
use super::queue::QueueFixture;
use crate::clock::Clock;
use crate::queue::{InMemoryJobQueue, JobQueue, Retention};

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
