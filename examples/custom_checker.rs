//! A platform of your own: implement `Checker`, and the engine does the rest. What it asks of you:
//! `docs/CHECKERS.md`. Here a street of shops has offers of today for "stories", and answers from a
//! match, where a real checker would send a request.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::InMemorySessionStore;
use story_checker_core::{
    Class, Evidence, Fault, Item, MediaKind, Platform, Report, Scope, SystemClock, Target, Timings,
    Verdict,
};

/// All that the street's errors mean: what kind of fault, and whose. Who pays, and what happens to
/// the job, follows from the charges table of core.
const ERRORS: &[(u16, Class, Scope, &str)] = &[
    (401, Class::Permanent, Scope::App, "the street does not know us: register at its office"),
    (410, Class::Permanent, Scope::Target, "the shop has closed: take it off the list"),
    (429, Class::RateLimited, Scope::App, "we have asked too often"),
    (503, Class::Transient, Scope::Endpoint, "the street is flooded for the moment"),
];

#[derive(Debug)]
struct ShopChecker(CheckerProfile);

impl ShopChecker {
    async fn ask(&self, target: &Target, cx: &CheckContext) -> Result<Report, Fault> {
        // Every request takes a pass, so that limits hold whoever sends.
        let mut pass = cx.pass("offers").await?;
        pass.mark_sent();
        let (status, offers): (u16, &[&str]) = match target.handle() {
            "tea_house" => (200, &["oolong", "a pot"]),
            "old_mill" => (410, &[]),
            "nobody" => (404, &[]),
            _ => (200, &[]),
        };
        let answer = match (status, offers) {
            (404, _) => Ok((Verdict::NotFound, "the street has no such shop")),
            (200, []) => Ok((Verdict::NoStory, "the list of offers is complete and empty")),
            (200, _) => Ok((Verdict::Active, "the list holds offers of today")),
            _ => Err(match ERRORS.iter().find(|(error, ..)| *error == status) {
                Some(&(_, class, scope, tell)) => Fault::new(class, scope, tell),
                // What nobody knows is never an answer.
                None => Fault::new(Class::Malformed, Scope::Endpoint, "an unknown answer"),
            }),
        };
        pass.settle(answer.as_ref().err(), Duration::from_secs(60));
        let (verdict, fact) = answer?;
        let item = |offer: &&str| Item::new(*offer, MediaKind::Image, cx.now());
        let evidence = Evidence::new("shop/1").with_fact(fact);
        let timings = Timings::new(cx.now(), Duration::ZERO);
        Ok(Report::new(target.clone(), verdict, evidence, timings)
            .with_items(offers.iter().map(item).collect()))
    }
}

impl fmt::Display for ShopChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shop/1")
    }
}

#[async_trait]
impl Checker for ShopChecker {
    fn profile(&self) -> &CheckerProfile {
        &self.0
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        // There is one: the profile allows no more in a call.
        vec![self.ask(&targets[0], cx).await]
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut profile = CheckerProfile::new(Platform::new("shop")?);
    profile.endpoints = vec!["offers"];
    let clock = Arc::new(SystemClock::new());
    let engine = Engine::builder()
        .checker(Arc::new(ShopChecker(profile)))
        .queue(Arc::new(InMemoryJobQueue::new(Arc::clone(&clock) as _)))
        .sessions(Arc::new(InMemorySessionStore::new(clock)));
    let engine = engine.build()?.start().await?;
    let mut events = engine.subscribe(64, Overflow::Wait);
    for name in ["tea_house", "book_nook", "nobody", "old_mill"] {
        let target = format!("shop/account/{name}").parse()?;
        engine.submit([target], SubmitOptions::default()).await?;
        let Some(Event::Reported { report, .. }) = events.next().await else { continue };
        println!("{name:<10} {:?}", report.verdict);
    }
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
