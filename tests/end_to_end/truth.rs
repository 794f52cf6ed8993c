//! Every verdict equals the truth.

use story_checker_core::gate::Limits;
use story_checker_sim::{Population, SimConfig};

use super::world::{World, assert_clean, judge};

const ACCOUNTS: u32 = 5_000;

/// 5,000 accounts of all kinds, 20 sessions, over TLS through CONNECT and SOCKS5 proxies.
async fn every_verdict_equals_the_truth(seed: u64) {
    let mut world =
        World::on_sockets(SimConfig::new(seed).with_sessions(20), Limits::default()).await;
    let reports = world.check(ACCOUNTS, |event| panic!("{event:?}")).await;
    let counts = judge(&world.platform, &reports);
    let stats = world.engine.stats();
    let audit = world.end().await;
    println!("seed {seed}: {ACCOUNTS} accounts, all right: {counts:?}, {} requests", audit.total);
    assert_clean(&audit);
    assert_eq!((stats.retried, stats.deferred, stats.panics, stats.stale), (0, 0, 0, 0));
    // All kinds are there, so that the comparison means something.
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        ["active", "no_story", "not_found", "private"]
    );
}

#[tokio::test]
async fn seed_1() {
    every_verdict_equals_the_truth(1).await;
}

#[tokio::test]
async fn seed_2() {
    every_verdict_equals_the_truth(2).await;
}

#[tokio::test]
async fn seed_3() {
    every_verdict_equals_the_truth(3).await;
}

#[tokio::test]
async fn seed_4() {
    every_verdict_equals_the_truth(4).await;
}

#[tokio::test]
async fn seed_5() {
    every_verdict_equals_the_truth(5).await;
}

#[tokio::test]
async fn known_ids_cost_a_fiftieth_of_a_request_each() {
    // Public accounts: what a session may see of a private one is looked up by each session.
    let public = Population::default().with_mix(0, 0, 0);
    let config = SimConfig::new(6).with_sessions(4).with_population(public);
    let mut world = World::on_sockets(config, Limits::default()).await;
    world.check(500, |event| panic!("{event:?}")).await;
    let before = world.platform.audit().total;
    let reports = world.check(500, |event| panic!("{event:?}")).await;
    judge(&world.platform, &reports);
    let audit = world.end().await;
    assert_clean(&audit);
    let requests = audit.total - before;
    println!("{requests} requests for 500 known accounts");
    assert!(requests <= 15, "{requests} requests for 500 known accounts");
}
