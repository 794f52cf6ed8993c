//! Waiting for a pass.

use std::sync::Arc;
use std::time::Duration;

use super::key::Need;
use super::limiter::{Gate, NotReady};
use super::pass::Pass;

impl Gate {
    /// Waits until every key is ready and takes one unit of each, if that is within `patience`.
    ///
    /// # Errors
    /// [`NotReady`] at once if the wait would be longer.
    ///
    /// # Cancel safety
    /// Safe: nothing is held while waiting.
    pub async fn pass(
        self: &Arc<Self>,
        needs: Box<[Need]>,
        patience: Duration,
    ) -> Result<Pass, NotReady> {
        self.pass_before(needs, patience, None).await
    }

    /// The same, but never waits beyond `end`. Reads no clock if it need not wait.
    pub(crate) async fn pass_before(
        self: &Arc<Self>,
        mut needs: Box<[Need]>,
        patience: Duration,
        end: Option<tokio::time::Instant>,
    ) -> Result<Pass, NotReady> {
        let mut give_up = None;
        loop {
            let Err(refusal) = self.take(&mut needs) else {
                return Ok(Pass::new(self, needs));
            };
            let now = tokio::time::Instant::now();
            let wait = refusal.ready_at.since(self.now()).max(Duration::from_millis(1));
            let give_up = *give_up.get_or_insert(now + patience);
            if now + wait > end.map_or(give_up, |end| end.min(give_up)) {
                return Err(refusal);
            }
            tokio::time::sleep_until(now + wait).await;
        }
    }
}
