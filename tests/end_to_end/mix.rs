//! Faults of all kinds, mixed: every answer that the engine gives is true all the same.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::gate::Limits;
use story_checker_core::proxy::Proxy;
use story_checker_core::{Report, Timestamp, Verdict, VirtualClock};
use story_checker_sim::{
    Latency, Platform, Rule, SimClock, SimConfig, SimTransport, Timestamp as SimTime,
};

use super::world::{World, assert_clean, judge};

#[tokio::test(start_paused = true)]
async fn what_is_told_among_faults_is_true() {
    const START: u64 = 1_795_251_600;
    let config = SimConfig::new(5)
        .with_sessions(60)
        .with_expect_proxy(true)
        .with_latency(Latency::between(Duration::from_millis(20), Duration::from_millis(400)));
    let platform = Arc::new(Platform::new(config).unwrap());
    platform.add_rule(Rule::mix(10.0)).unwrap();
    let clock = SimClock::starting_at(SimTime::from_unix_secs(START));
    let transport = Arc::new(SimTransport::new(Arc::clone(&platform), clock));
    let proxies: Vec<_> =
        (0..12).map(|number| Proxy::new(format!("p{number}:1").parse().unwrap())).collect();
    let ours = Arc::new(VirtualClock::starting_at(Timestamp::from_secs(START)));
    let url = "https://www.instagram.com".to_owned();
    let mut world = World::start(platform, transport, url, proxies, ours, Limits::default()).await;
    let mut told = 0;
    for _ in 0..4 {
        let reports = world.check(200, |_| {}).await;
        let known = |report: &Arc<Report>| !matches!(report.verdict, Verdict::Unknown { .. });
        let reports: Vec<_> = reports.into_iter().filter(known).collect();
        told += reports.len();
        judge(&world.platform, &reports);
        tokio::time::sleep(Duration::from_secs(1_800)).await;
    }
    let audit = world.end().await;
    println!("{told} of 800 told, {} requests, faults: {:?}", audit.total, audit.faults);
    assert!(told > 780, "{told} of 800: after most faults another try succeeds");
    assert!(audit.faults.len() > 50, "faults of all kinds");
    assert_clean(&audit);
}
