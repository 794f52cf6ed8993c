//! A day in seconds: the same engine, only clock and wire are simulated.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::gate::Limits;
use story_checker_core::proxy::Proxy;
use story_checker_core::{Timestamp, VirtualClock};
use story_checker_sim::{
    Latency, Platform, SimClock, SimConfig, SimTransport, Timestamp as SimTime,
};

use super::world::{World, assert_clean, judge};

#[tokio::test(start_paused = true)]
async fn a_day_of_checks_every_half_hour_equals_the_truth() {
    const START: u64 = 1_795_251_600;
    let config = SimConfig::new(21)
        .with_sessions(6)
        .with_expect_proxy(true)
        .with_latency(Latency::between(Duration::from_millis(20), Duration::from_millis(400)));
    let platform = Arc::new(Platform::new(config).unwrap());
    let clock = SimClock::starting_at(SimTime::from_unix_secs(START));
    let transport = Arc::new(SimTransport::new(Arc::clone(&platform), clock));
    let proxies = ["a:1", "b:1", "c:1"].map(|text| Proxy::new(text.parse().unwrap())).to_vec();
    let ours = Arc::new(VirtualClock::starting_at(Timestamp::from_secs(START)));
    let url = "https://www.instagram.com".to_owned();
    let mut world = World::start(platform, transport, url, proxies, ours, Limits::default()).await;
    let begun = tokio::time::Instant::now();
    let (mut active, mut rounds) = (Vec::new(), 0);
    while begun.elapsed() < Duration::from_secs(86_400) {
        let next = begun + Duration::from_secs(1_800) * (rounds + 1);
        let reports = world.check(300, |event| panic!("{event:?}")).await;
        active.push(judge(&world.platform, &reports).get("active").copied().unwrap_or_default());
        rounds += 1;
        tokio::time::sleep_until(next).await;
    }
    let audit = world.end().await;
    println!("48 rounds of 300 accounts: {} requests, active per round {active:?}", audit.total);
    assert_clean(&audit);
    assert_eq!(rounds, 48);
    assert!(active.iter().any(|count| *count != active[0]), "stories come and go");
}
