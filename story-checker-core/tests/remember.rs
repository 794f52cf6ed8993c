//! What the gate remembers across restarts of the engine.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::checker::{Checker, CheckerProfile};
use story_checker_core::engine::{EngineHandle, Overflow, SubmitOptions, Subscription};
use story_checker_core::gate::{ColdStart, Quota};
use story_checker_core::{Class, Clock, Fault, Platform, Scope};

use crate::support::{Acting, SECOND, START, World, kind, reports, targets};

fn taking(limit: Option<Quota>, fault: Option<Fault>) -> Arc<dyn Checker> {
    let mut profile = CheckerProfile::new(Platform::INSTAGRAM);
    profile.session = Some(kind());
    profile.endpoints = vec!["stories"];
    profile.limits.session = limit.map(Into::into);
    Acting::new(profile, move |targets, cx| {
        let fault = fault.clone();
        async move {
            match cx.pass("stories").await {
                Ok(pass) => {
                    pass.settle(fault.as_ref(), SECOND);
                    targets.iter().map(|it| fault.clone().map_or_else(|| answer(it), Err)).collect()
                }
                Err(refusal) => targets.iter().map(|_| Err(refusal.clone())).collect(),
            }
        }
    })
}

fn answer(target: &story_checker_core::Target) -> Result<story_checker_core::Report, Fault> {
    match crate::support::active(target) {
        crate::support::Step::Now(answer) => answer,
        _ => Err(Fault::cancelled("no answer")),
    }
}

async fn start(
    world: &World,
    cache: &Arc<dyn Cache>,
    checker: Arc<dyn Checker>,
) -> (EngineHandle, Subscription) {
    let builder = world.builder_of(checker).cache(Arc::clone(cache));
    let engine = builder.build().unwrap().start().await.unwrap();
    let events = engine.subscribe(1_000, Overflow::Wait);
    (engine, events)
}

async fn world() -> (World, Arc<dyn Cache>) {
    let world =
        World::new(crate::support::Scripted::new(1, |it, _, _| crate::support::active(it)), 1)
            .await;
    let cache = Arc::new(InMemoryCache::new(world.clock.clone()));
    (world, cache)
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_spend_a_limit_twice() {
    for clean in [true, false] {
        let (world, cache) = world().await;
        let quota = Quota::with_burst(5, SECOND * 600, 5).unwrap();
        let (engine, mut events) = start(&world, &cache, taking(Some(quota), None)).await;
        engine.submit(targets(5), SubmitOptions::default()).await.unwrap();
        reports(&mut events, 5, |_| {}).await;
        if clean {
            engine.shutdown(SECOND).await;
        } else {
            // What was stored is from before the last of them at best.
            tokio::time::sleep(SECOND).await;
        }
        drop(engine);
        tokio::time::sleep(SECOND * 40).await;
        let before = world.clock.now();
        let (engine, mut events) = start(&world, &cache, taking(Some(quota), None)).await;
        engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
        reports(&mut events, 1, |_| {}).await;
        assert!(before.since(START) < SECOND * 60);
        assert!(world.clock.now().since(START) >= SECOND * 600, "clean: {clean}");
        engine.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_no_hint() {
    let (world, cache) = world().await;
    let until = START + Duration::from_secs(7_200);
    let fault = Fault::new(Class::RateLimited, Scope::Endpoint, "429").with_until(until);
    let (engine, _events) = start(&world, &cache, taking(None, Some(fault))).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    // Dropped, not shut down: the hint was stored at once.
    drop(engine);
    tokio::time::sleep(SECOND).await;
    let (engine, mut events) = start(&world, &cache, taking(None, None)).await;
    engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
    reports(&mut events, 1, |_| {}).await;
    assert!(world.clock.now() >= until, "{}", world.clock.now());
    engine.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_memory_a_cold_start_may_wait_for_a_window() {
    for (assumed, wait) in [(ColdStart::Fresh, 0), (ColdStart::Spent, 600)] {
        let (mut world, cache) = world().await;
        world.config.cold_start = assumed;
        let quota = Quota::with_burst(5, SECOND * 600, 5).unwrap();
        let (engine, mut events) = start(&world, &cache, taking(Some(quota), None)).await;
        engine.submit(targets(1), SubmitOptions::default()).await.unwrap();
        reports(&mut events, 1, |_| {}).await;
        let waited = world.clock.now().since(START).as_secs();
        assert!((wait..=wait + 2).contains(&waited), "{assumed:?}: {waited}");
        engine.shutdown(SECOND).await;
    }
}
