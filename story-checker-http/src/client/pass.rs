//! Passes for the requests of a check.

use std::time::Duration;

use story_checker_core::checker::CheckContext;
use story_checker_core::gate::Pass;
use story_checker_core::{Class, Fault};

/// With less time than this before the deadline no request is begun.
const LEAST_TIME: Duration = Duration::from_millis(500);

/// A pass for a first step: if the gate has none soon, nothing is lost by stopping here.
pub(crate) async fn pass(cx: &CheckContext, route: &'static str) -> Result<Pass, Fault> {
    if cx.remaining() < LEAST_TIME {
        let text = "the check's deadline is too near for another request";
        // Not before it has passed: who came back at once would be told the same again and again.
        return Err(Fault::not_ready(text, cx.now() + cx.remaining()));
    }
    cx.pass(route).await
}

/// A pass for a later step. What was asked before would have to be asked again, and where passes
/// come one by one that would never end: so it waits as long as the deadline allows.
pub(crate) async fn pass_by_waiting(cx: &CheckContext, route: &'static str) -> Result<Pass, Fault> {
    loop {
        let refusal = match pass(cx, route).await {
            Err(refusal) => refusal,
            pass => return pass,
        };
        let wait = match refusal.until {
            Some(until) if refusal.class == Class::RateLimited => until.since(cx.now()),
            _ => return Err(refusal),
        };
        let wait = wait.max(Duration::from_millis(1));
        if wait + LEAST_TIME > cx.remaining() {
            return Err(refusal);
        }
        let sleep = tokio::time::sleep(wait);
        // Cancelled: the next call for a pass says so.
        let _ = cx.cancellation().run_until_cancelled(sleep).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use story_checker_core::cache::InMemoryCache;
    use story_checker_core::checker::CheckerProfile;
    use story_checker_core::gate::Gate;
    use story_checker_core::{Clock, Platform, Timestamp, VirtualClock};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn too_little_time_is_no_reason_to_come_back_at_once() {
        let now = Timestamp::from_secs(1_795_251_600);
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(now));
        let gate = Arc::new(Gate::new(Arc::clone(&clock)));
        let cache = Arc::new(InMemoryCache::new(Arc::clone(&clock)));
        let left = LEAST_TIME / 2;
        let cx = CheckContext::new(&CheckerProfile::new(Platform::INSTAGRAM), gate, cache, clock)
            .with_deadline(Instant::now() + left);
        for refusal in [pass(&cx, "reels").await, pass_by_waiting(&cx, "reels").await] {
            assert_eq!(refusal.unwrap_err().until, Some(now + left));
        }
    }
}
