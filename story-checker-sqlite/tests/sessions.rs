//! Sessions and the machine's clocks, and what the operator says of proxies.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::SessionId;
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState, StaticProxySource};
use story_checker_core::seal::Keyring;
use story_checker_core::session::{
    Credentials, SessionKind, SessionLeaseRequest, SessionRecord, SessionStore,
};
use story_checker_core::testing::queue::QueueFixture;

use crate::fixture::Fixture;

#[tokio::test]
async fn the_wall_clock_neither_frees_nor_freezes_a_session() {
    for forward in [true, false] {
        let fixture = Fixture::new();
        let line = Keyring::generate().unwrap();
        let keys = Arc::new(Keyring::parse(line.expose()).unwrap());
        let sessions = fixture.open(1).await.sessions(keys);
        let kind = SessionKind::new("instagram");
        let record =
            SessionRecord::new(SessionId::new("one"), kind.clone(), Credentials::default());
        sessions.put(vec![record]).await.unwrap();
        let request = SessionLeaseRequest::new(kind, "w".into(), Duration::from_secs(60), 1);
        let leased = async || sessions.lease(&request).await.unwrap().sessions.len();
        assert_eq!(leased().await, 1);
        fixture.jump_wall_clock(forward).await;
        assert_eq!(leased().await, 0, "its lease holds");
        fixture.advance(Duration::from_secs(61)).await;
        assert_eq!(leased().await, 1, "its lease is over");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_word_on_a_proxy_is_heard_by_every_process() {
    let fixture = Fixture::new();
    let proxies = || {
        let all = ["a:1", "b:1"].map(|text| Proxy::new(text.parse().unwrap()));
        Arc::new(StaticProxySource::new(all))
    };
    let worker = fixture.open(1).await.proxies(proxies());
    let operator = fixture.open(1).await.proxies(proxies());
    assert!(worker.load().await.unwrap().is_empty());
    let until = story_checker_core::Timestamp::from_secs(4_000_000_000);
    let rest = ProxyState::Cooling { until, reason: "reset".into() };
    worker.save(&[("http://b:1".into(), rest)]).await.unwrap();
    for state in [ProxyState::Disabled { reason: "sold".into() }, ProxyState::Active] {
        let changed = worker.changed();
        tokio::pin!(changed);
        let early = tokio::time::timeout(Duration::from_secs(10), &mut changed).await;
        assert!(early.is_err(), "nobody has said anything yet");
        operator.save(&[("http://a:1".into(), state.clone())]).await.unwrap();
        changed.await.unwrap();
        let known = worker.load().await.unwrap();
        assert_eq!(known[0], ("http://a:1".into(), state));
    }
}
