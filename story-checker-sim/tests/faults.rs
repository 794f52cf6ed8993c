//! Faulty deliveries and faulty proxies, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, Proxy, Response, StatusCode};
use story_checker_sim::{
    Delivery, Effect, Platform, ProxyFault, ProxyId, ProxyKind, ProxySpec, Rule, Server,
    ServerConfig, SimClock, SimConfig, Timestamp,
};

use crate::support::{NOON, VIEWER, cookie};

const BODY: &str = r#"{"data":{"user":{"id":"7000000000","username":"viewer_0"}},"status":"ok"}"#;

struct World {
    platform: Arc<Platform>,
    server: Server,
}

impl World {
    /// An HTTP proxy and a SOCKS5 proxy.
    async fn start(start: Timestamp) -> Self {
        let platform = Arc::new(Platform::new(SimConfig::new(1)).unwrap());
        let config = ServerConfig::new()
            .with_proxy(ProxySpec::new(ProxyKind::Http))
            .with_proxy(ProxySpec::new(ProxyKind::Socks5));
        let clock = SimClock::starting_at(start);
        let server = Server::start(Arc::clone(&platform), config, clock).await.unwrap();
        Self { platform, server }
    }

    fn rule(&self, effect: Effect) {
        self.platform.clear_rules();
        self.platform.add_rule(Rule::new(effect)).unwrap();
    }

    fn client(&self, proxy: Option<usize>) -> Client {
        let authority = Certificate::from_pem(self.server.ca_pem().as_bytes()).unwrap();
        let builder = Client::builder().tls_certs_only([authority]).no_proxy();
        match proxy {
            Some(proxy) => {
                let url = &self.server.proxies()[proxy].url;
                builder.proxy(Proxy::all(url).unwrap()).build().unwrap()
            }
            None => builder.build().unwrap(),
        }
    }

    async fn ask(&self, client: &Client, base: &str) -> reqwest::Result<Response> {
        let request = client.get(format!("{base}{VIEWER}")).header("x-ig-app-id", "1");
        request.header("cookie", cookie(&self.platform, 0)).send().await
    }

    /// Asks over both wires, with fresh connections.
    async fn ask_both(&self) -> [reqwest::Result<Response>; 2] {
        let (plain, tls) = (self.client(None), self.client(None));
        [
            self.ask(&plain, &self.server.http_url()).await,
            self.ask(&tls, &self.server.https_url()).await,
        ]
    }
}

#[tokio::test]
async fn whole_answers_come_in_several_ways() {
    let world = World::start(NOON).await;
    let client = world.client(None);
    for (delivery, length) in [
        (Delivery::Whole, Some(BODY.len() as u64)),
        (Delivery::Chunked, None),
        (Delivery::Drip { piece: 7, pause_ms: 1 }, Some(BODY.len() as u64)),
        (Delivery::Gzip, None),
    ] {
        world.rule(Effect::Delivery(delivery));
        for base in [world.server.http_url(), world.server.https_url()] {
            let answer = world.ask(&client, &base).await.unwrap();
            assert_eq!(answer.content_length(), length, "{delivery:?}");
            assert_eq!(answer.text().await.unwrap(), BODY, "{delivery:?}");
        }
    }
    assert_eq!(world.platform.audit().session_overlaps, 0);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_cut_is_noticed_if_the_head_told_the_length() {
    let world = World::start(NOON).await;
    for delivery in [
        Delivery::CutAt { bytes: 20, announced: true },
        Delivery::CutAt { bytes: 0, announced: true },
        Delivery::CutAt { bytes: 1000, announced: true },
        Delivery::ChunkedCut { bytes: 20 },
        Delivery::GzipBroken,
    ] {
        world.rule(Effect::Delivery(delivery));
        for answer in world.ask_both().await {
            let answer = answer.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let error = answer.text().await.unwrap_err();
            assert!(error.is_decode() || error.is_body(), "{delivery:?}: {error:?}");
        }
    }
    world.rule(Effect::Delivery(Delivery::CutAt { bytes: 20, announced: false }));
    let [plain, _] = world.ask_both().await;
    let plain = plain.unwrap();
    assert_eq!(plain.content_length(), None);
    assert_eq!(plain.text().await.unwrap(), BODY[..20]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_reset_and_a_hang_bring_no_answer() {
    let world = World::start(NOON).await;
    world.rule(Effect::Delivery(Delivery::Reset));
    for answer in world.ask_both().await {
        let error = answer.unwrap_err();
        assert!(error.is_request() && !error.is_timeout() && !error.is_connect(), "{error:?}");
    }
    world.rule(Effect::Delivery(Delivery::Hang));
    let client = world.client(None);
    let base = world.server.http_url();
    let mut asked = Box::pin(world.ask(&client, &base));
    while world.platform.audit().total < 3 {
        assert!(poll_once(&mut asked).await.is_none());
    }
    drop(asked);
    world.server.shutdown().await;
}

/// Lets others run, and a future once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = tokio::task::yield_now() => None,
    }
}

#[tokio::test]
async fn a_large_body_is_cut_too() {
    let world = World::start(NOON).await;
    world.platform.add_rule(Rule::new(Effect::Oversized(1_000_000))).unwrap();
    let cut = Delivery::CutAt { bytes: 600_000, announced: true };
    world.platform.add_rule(Rule::new(Effect::Delivery(cut))).unwrap();
    for answer in world.ask_both().await {
        let answer = answer.unwrap();
        assert_eq!(answer.content_length(), Some(1_000_000));
        assert!(answer.bytes().await.is_err());
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn proxies_fail_in_their_ways() {
    let world = World::start(NOON).await;
    let https = "https://www.instagram.com";
    for proxy in [0, 1] {
        let kind = world.server.proxies()[proxy].kind;
        let seen = world.platform.audit().total;
        for fault in [ProxyFault::Login, ProxyFault::Refuse, ProxyFault::Tls] {
            world.rule(Effect::Proxy(fault));
            let error = world.ask(&world.client(Some(proxy)), https).await.unwrap_err();
            assert!(error.is_connect(), "{kind:?} {fault:?}: {error:?}");
            let text = format!("{error:?}");
            match fault {
                ProxyFault::Tls => assert!(text.contains("NotValidForName"), "{text}"),
                ProxyFault::Login if proxy == 0 => {
                    assert!(text.contains("ProxyAuthRequired"), "{text}");
                }
                _ => {}
            }
        }
        for (fault, status, part) in [
            (ProxyFault::Wall, 200, "Wi-Fi"),
            (ProxyFault::Cloudflare, 403, "Just a moment"),
            (ProxyFault::Foreign, 200, "origin"),
            (ProxyFault::Stale, 200, "\"reels\":{}"),
        ] {
            world.rule(Effect::Proxy(fault));
            let answer = world.ask(&world.client(Some(proxy)), https).await.unwrap();
            assert_eq!(answer.status(), status);
            let date = answer.headers()["date"].to_str().unwrap().to_owned();
            let day = if fault == ProxyFault::Stale { "Fri, 20" } else { "Sat, 21" };
            assert!(date.starts_with(day), "{date}");
            assert!(answer.text().await.unwrap().contains(part));
        }
        // The platform has seen nothing of all this.
        assert_eq!(world.platform.audit().total, seen);
        world.rule(Effect::Proxy(ProxyFault::Reset { bytes: 10 }));
        let answer = world.ask(&world.client(Some(proxy)), https).await.unwrap();
        assert!(answer.text().await.is_err());
        world.rule(Effect::Proxy(ProxyFault::Slow { ms: 1 }));
        let answer = world.ask(&world.client(Some(proxy)), https).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), BODY);
        assert_eq!(world.platform.audit().total, seen + 2);
        assert_eq!(world.server.proxy_stats()[proxy].failed, 3);
    }
    let faults = world.platform.audit().faults;
    assert_eq!((faults["proxy wall"], faults["proxy tls"], faults["proxy slow"]), (2, 2, 2));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_proxy_that_goes_bad_drops_its_tunnels_and_comes_back() {
    let world = World::start(NOON).await;
    let client = world.client(Some(0));
    let https = "https://www.instagram.com";
    assert_eq!(world.ask(&client, https).await.unwrap().text().await.unwrap(), BODY);
    let rule = Rule::new(Effect::Proxy(ProxyFault::Refuse)).with_proxy(ProxyId::new(0));
    let number = world.platform.add_rule(rule).unwrap();
    assert!(world.ask(&client, https).await.is_err());
    let other = world.client(Some(1));
    assert_eq!(world.ask(&other, https).await.unwrap().text().await.unwrap(), BODY);
    world.platform.remove_rule(number);
    assert_eq!(world.ask(&client, https).await.unwrap().text().await.unwrap(), BODY);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_proxy_that_hangs_says_nothing() {
    let world = World::start(NOON).await;
    world.rule(Effect::Proxy(ProxyFault::Hang));
    for proxy in [0, 1] {
        let client = world.client(Some(proxy));
        let mut asked = Box::pin(world.ask(&client, "http://www.instagram.com"));
        while world.server.proxy_stats()[proxy].failed == 0 {
            assert!(poll_once(&mut asked).await.is_none());
        }
        drop(asked);
    }
    assert_eq!(world.platform.audit().total, 0);
    world.server.shutdown().await;
}

#[tokio::test]
async fn rules_come_over_http() {
    let world = World::start(NOON).await;
    let client = world.client(None);
    let rules = format!("{}/_sim/rules", world.server.http_url());
    let body = r#"[{"effect":{"row":"W1"},"times":1},{"effect":{"delay_ms":1}}]"#;
    let answer = client.post(&rules).body(body).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), r#"{"rules":[0,1]}"#);
    let base = world.server.http_url();
    assert_eq!(world.ask(&client, &base).await.unwrap().status(), 429);
    assert_eq!(world.ask(&client, &base).await.unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(60), client.delete(&rules).send())
        .await
        .unwrap()
        .unwrap();
    assert!(world.platform.rules_status().is_empty());
    world.server.shutdown().await;
}
