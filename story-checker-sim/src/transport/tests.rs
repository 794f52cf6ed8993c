use std::time::Duration;

use http::header::{COOKIE, HeaderMap, HeaderValue};
use story_checker_core::proxy::Proxy;
use story_checker_http::{Collected, Url};

use super::*;
use crate::config::{Latency, SimConfig};
use crate::scenario::{Effect, Rule};
use crate::time::Timestamp;

const VIEWER: &str =
    "https://www.instagram.com/graphql/query/?query_hash=d6f4427fbe92d846298cf93df0b937d3";
const BODY: &str = r#"{"data":{"user":{"id":"7000000000","username":"viewer_0"}},"status":"ok"}"#;
const TIMEOUT: Duration = Duration::from_secs(30);

fn transport(config: SimConfig) -> SimTransport {
    let platform = Arc::new(Platform::new(config).unwrap());
    SimTransport::new(platform, SimClock::starting_at(Timestamp::from_unix_secs(1_795_262_400)))
}

async fn ask(transport: &SimTransport, proxied: bool) -> Result<Collected, TransportError> {
    let credentials = transport.platform.session_credentials(0).unwrap();
    let cookies = credentials.map(|(name, value)| format!("{name}={value}")).join("; ");
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::try_from(cookies).unwrap());
    headers.insert("x-ig-app-id", HeaderValue::from_static("1"));
    let proxy = proxied.then(|| Arc::new(Proxy::new("http://10.0.0.1:80".parse().unwrap())));
    let request = HttpRequest::get(Url::parse(VIEWER).unwrap(), TIMEOUT).with_headers(headers);
    transport.send(request.with_proxy(proxy)).await?.collect(1 << 20).await
}

async fn with(effect: Effect, proxied: bool) -> Result<Collected, TransportError> {
    let transport = transport(SimConfig::new(1));
    transport.platform.add_rule(Rule::new(effect)).unwrap();
    ask(&transport, proxied).await
}

#[tokio::test(start_paused = true)]
async fn faults_are_what_a_real_transport_makes_of_them() {
    use TransportErrorKind as Kind;

    let timeout = |before_head| Kind::Timeout { before_head };
    for (delivery, kind, secs) in [
        (Delivery::CutAt { bytes: 9, announced: true }, Kind::Truncated, 0),
        (Delivery::ChunkedCut { bytes: 9 }, Kind::Truncated, 0),
        (Delivery::Drip { piece: 10, pause_ms: 7_000 }, timeout(false), 30),
        (Delivery::Reset, Kind::Reset, 0),
        (Delivery::Hang, timeout(true), 30),
        (Delivery::GzipBroken, Kind::Decode, 0),
    ] {
        let started = Instant::now();
        let error = with(Effect::Delivery(delivery), false).await.unwrap_err();
        assert_eq!((error.kind(), error.proxied()), (kind, false), "{delivery:?}");
        assert_eq!(started.elapsed().as_secs(), secs, "{delivery:?}");
    }
    for (fault, kind, secs) in [
        (ProxyFault::Login, Kind::ProxyAuth, 0),
        (ProxyFault::Refuse, Kind::ProxyConnect, 0),
        (ProxyFault::Hang, timeout(true), 30),
        (ProxyFault::Tls, Kind::Tls, 0),
        (ProxyFault::Reset { bytes: 9 }, Kind::Truncated, 0),
        (ProxyFault::Slow { ms: 31_000 }, timeout(true), 30),
    ] {
        let started = Instant::now();
        let error = with(Effect::Proxy(fault), true).await.unwrap_err();
        assert_eq!((error.kind(), error.proxied()), (kind, true), "{fault:?}");
        assert_eq!(started.elapsed().as_secs(), secs, "{fault:?}");
        // No proxy, no fault of it.
        assert!(with(Effect::Proxy(fault), false).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_come_whole_cut_or_late() {
    for (delivery, body, millis) in [
        (Delivery::Whole, BODY, 0),
        (Delivery::Chunked, BODY, 0),
        (Delivery::Gzip, BODY, 0),
        (Delivery::CutAt { bytes: 9, announced: false }, &BODY[..9], 0),
        (Delivery::Drip { piece: 10, pause_ms: 100 }, BODY, 800),
    ] {
        let started = Instant::now();
        let answer = with(Effect::Delivery(delivery), false).await.unwrap();
        assert_eq!(answer.body, body, "{delivery:?}");
        assert_eq!(started.elapsed().as_millis(), millis, "{delivery:?}");
    }
    for (fault, status) in [
        (ProxyFault::Wall, 200),
        (ProxyFault::Cloudflare, 403),
        (ProxyFault::Foreign, 200),
        (ProxyFault::Stale, 200),
    ] {
        let answer = with(Effect::Proxy(fault), true).await.unwrap();
        assert_eq!(answer.head.status, status);
        assert_ne!(answer.body, BODY);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_free_when_its_answer_has_come_or_failed() {
    let transport = transport(SimConfig::new(1));
    for delivery in [
        Delivery::Whole,
        Delivery::Hang,
        Delivery::Reset,
        Delivery::GzipBroken,
        Delivery::Drip { piece: 10, pause_ms: 7_000 },
        Delivery::CutAt { bytes: 9, announced: true },
        Delivery::Whole,
    ] {
        transport.platform.clear_rules();
        transport.platform.add_rule(Rule::new(Effect::Delivery(delivery))).unwrap();
        let _ = ask(&transport, false).await;
    }
    assert_eq!(transport.platform.audit().session_overlaps, 0);
}

#[tokio::test(start_paused = true)]
async fn latency_and_delay_add_up() {
    let latency = Latency::fixed(Duration::from_millis(300));
    let transport = transport(SimConfig::new(1).with_latency(latency));
    transport.platform.add_rule(Rule::new(Effect::DelayMs(700))).unwrap();
    let started = Instant::now();
    ask(&transport, false).await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 1000);
}

#[tokio::test(start_paused = true)]
async fn proxies_can_be_numbered_beforehand() {
    let transport = transport(SimConfig::new(1)).with_proxies(["a", "b"]);
    ask(&transport, true).await.unwrap();
    let proxies = transport.proxies();
    assert_eq!((proxies["a"], proxies["b"]), (ProxyId::new(0), ProxyId::new(1)));
    assert_eq!(proxies.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_ended_body_may_be_asked_again() {
    let row = Effect::Row("E-empty".into());
    assert_eq!(with(row, false).await.unwrap().body, "");
}
