//! A platform of your own: implement `Checker`, and the engine does the rest.
//!
//! The platform here is a shop whose "stories" are today's offers. It answers from a table, where a
//! real checker would send requests.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::InMemorySessionStore;
use story_checker_core::{
    Class, Clock, Evidence, Fault, Item, MediaKind, Platform, Report, Scope, SystemClock, Target,
    Timings, Verdict,
};

#[derive(Debug)]
struct ShopChecker {
    profile: CheckerProfile,
}

impl ShopChecker {
    fn new() -> anyhow::Result<Self> {
        let mut profile = CheckerProfile::new(Platform::new("shop")?);
        // The shop answers for up to ten accounts in one request.
        profile.max_batch = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
        profile.endpoints = vec!["offers"];
        Ok(Self { profile })
    }
}

impl fmt::Display for ShopChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shop checker")
    }
}

#[async_trait]
impl Checker for ShopChecker {
    fn profile(&self) -> &CheckerProfile {
        &self.profile
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        // Every request takes a pass, so that limits hold whoever sends.
        let mut pass = match cx.pass("offers").await {
            Ok(pass) => pass,
            Err(fault) => return targets.iter().map(|_| Err(fault.clone())).collect(),
        };
        pass.mark_sent();
        let started = cx.now();
        let answers = targets.iter().map(|target| {
            let evidence = Evidence::new("shop/1").with_fact("the offers of today were complete");
            let report = |verdict| {
                Report::new(
                    target.clone(),
                    verdict,
                    evidence,
                    Timings::new(started, Duration::ZERO),
                )
            };
            match target.handle() {
                "tea_house" => {
                    let offer = Item::new("offer-1", MediaKind::Image, started);
                    Ok(report(Verdict::Active).with_items(vec![offer]))
                }
                "flaky" => Err(Fault::new(Class::Permanent, Scope::Target, "the shop has closed")),
                _ => Ok(report(Verdict::NoStory)),
            }
        });
        let answers = answers.collect();
        pass.settle(None, Duration::ZERO);
        answers
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let engine = Engine::builder()
        .checker(Arc::new(ShopChecker::new()?))
        .queue(Arc::new(InMemoryJobQueue::new(Arc::clone(&clock))))
        .sessions(Arc::new(InMemorySessionStore::new(clock)))
        .build()?
        .start()
        .await?;
    let mut events = engine.subscribe(64, Overflow::Wait);
    let targets = ["shop/account/tea_house", "shop/account/book_nook", "shop/account/flaky"];
    let targets: Result<Vec<Target>, _> = targets.into_iter().map(str::parse).collect();
    let submitted = engine.submit(targets?, SubmitOptions::default()).await?;
    let mut left = submitted.accepted;
    while left > 0
        && let Some(event) = events.next().await
    {
        if let Event::Reported { report, .. } = event {
            println!("{:<12} {}", report.target.handle(), report.verdict.as_str());
            left -= 1;
        }
    }
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
