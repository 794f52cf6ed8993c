//! Shutting down: what runs may finish within the grace, the rest goes back into the queue.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::engine::{Engine, EngineConfig, Event, Overflow, SubmitOptions};
use story_checker_core::queue::{InMemoryJobQueue, JobFilter, JobQueue, JobState};
use story_checker_core::session::InMemorySessionStore;
use story_checker_core::{
    Clock, Evidence, Fault, Platform, Report, SystemClock, Target, Timings, Verdict,
};

/// Takes 50 ms for each account, except for one that takes for ever.
#[derive(Debug)]
struct SlowChecker(CheckerProfile);

impl fmt::Display for SlowChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow checker")
    }
}

#[async_trait]
impl Checker for SlowChecker {
    fn profile(&self) -> &CheckerProfile {
        &self.0
    }

    async fn check(&self, targets: &[Target], _: &CheckContext) -> Vec<Result<Report, Fault>> {
        let target = &targets[0];
        let time = if target.handle() == "slow" { 3_600_000 } else { 50 };
        tokio::time::sleep(Duration::from_millis(time)).await;
        let evidence = Evidence::new("slow/1");
        vec![Ok(Report::new(target.clone(), Verdict::NoStory, evidence, Timings::default()))]
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let queue = Arc::new(InMemoryJobQueue::new(Arc::clone(&clock)));
    let mut config = EngineConfig::default();
    config.max_in_flight = 3.try_into()?;
    let engine = Engine::builder()
        .checker(Arc::new(SlowChecker(CheckerProfile::new(Platform::INSTAGRAM))))
        .queue(Arc::clone(&queue) as Arc<dyn JobQueue>)
        .sessions(Arc::new(InMemorySessionStore::new(clock)))
        .config(config)
        .build()?
        .start()
        .await?;
    let mut events = engine.subscribe(64, Overflow::Wait);
    let names = ["slow", "a", "b", "c", "d", "e"];
    let targets: Result<Vec<Target>, _> =
        names.iter().map(|name| format!("instagram/account/{name}").parse()).collect();
    engine.submit(targets?, SubmitOptions::default()).await?;

    // Somebody presses Ctrl-C as soon as the first answer is there.
    let first = events.next().await;
    let drained = engine.shutdown(Duration::from_millis(500)).await;

    let mut answered = usize::from(first.is_some());
    while let Some(event) = events.next().await {
        answered += usize::from(matches!(event, Event::Reported { .. }));
    }
    let waiting = JobFilter::default().with_state(JobState::Ready);
    let waiting = queue.list(&waiting, None, 10).await?.jobs.len();
    println!("all ended by themselves: {}", drained.in_time);
    println!("answered: {answered}, back in the queue: {waiting}");
    anyhow::ensure!(answered + waiting == names.len(), "an account was lost");
    Ok(())
}
