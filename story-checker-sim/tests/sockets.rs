//! Listeners and proxies, over real sockets.

use std::sync::Arc;

use reqwest::{Certificate, Client, Proxy, StatusCode};
use serde_json::Value;
use story_checker_sim::{
    Platform, ProxyCredentials, ProxyKind, ProxySpec, RequestFilter, Server, ServerConfig,
    SimClock, SimConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{NOON, VIEWER, cookie};

fn login() -> ProxyCredentials {
    ProxyCredentials::new("us:er", "p@ss word")
}

/// Two HTTP and two SOCKS5 proxies; 1 and 3 ask for a password.
async fn start() -> (Arc<Platform>, Server) {
    let platform = Arc::new(Platform::new(SimConfig::new(1).with_expect_proxy(true)).unwrap());
    let config = [ProxyKind::Http, ProxyKind::Socks5]
        .into_iter()
        .flat_map(|kind| [ProxySpec::new(kind), ProxySpec::new(kind).with_credentials(login())])
        .fold(ServerConfig::new(), ServerConfig::with_proxy);
    let clock = SimClock::starting_at(NOON);
    let server = Server::start(Arc::clone(&platform), config, clock).await.unwrap();
    (platform, server)
}

fn client(server: &Server, proxy: Option<&str>) -> Client {
    let authority = Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
    let builder = Client::builder().tls_certs_only([authority]).no_proxy();
    match proxy {
        Some(url) => builder.proxy(Proxy::all(url).unwrap()).build().unwrap(),
        None => builder.build().unwrap(),
    }
}

async fn who_am_i(client: &Client, base: &str, platform: &Platform) -> Value {
    let response = client
        .get(format!("{base}{VIEWER}"))
        .header("x-ig-app-id", "1")
        .header("cookie", cookie(platform, 0))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers()["date"].to_str().unwrap().starts_with("Sat, 21 Nov 2026 12:00:"));
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn alive(server: &Server) {
    let health = format!("{}/_sim/health", server.http_url());
    let response = client(server, None).get(health).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_platform_answers_directly() {
    let (platform, server) = start().await;
    let client = client(&server, None);
    for base in [server.http_url(), server.https_url()] {
        let viewer = who_am_i(&client, &base, &platform).await;
        assert_eq!(viewer["data"]["user"]["username"], "viewer_0");
    }
    let audit = platform.audit();
    assert_eq!((audit.total, audit.direct_requests), (2, 2));
    assert_eq!((audit.session_overlaps, audit.session_address_changes), (0, 0));
    server.shutdown().await;
}

#[tokio::test]
async fn every_proxy_leads_to_the_platform() {
    let (platform, server) = start().await;
    for proxy in server.proxies() {
        let client = client(&server, Some(&proxy.url));
        for base in ["https://www.instagram.com", "http://www.instagram.com", "https://127.0.0.1:9"]
        {
            let viewer = who_am_i(&client, base, &platform).await;
            assert_eq!(viewer["data"]["user"]["username"], "viewer_0");
        }
        let seen = platform.requests(&RequestFilter::new().with_proxy(proxy.id), 10);
        assert_eq!(seen.len(), 3, "{proxy:?}");
    }
    let audit = platform.audit();
    assert_eq!((audit.total, audit.direct_requests), (12, 0));
    assert_eq!((audit.session_overlaps, audit.session_address_changes), (0, 3));
    for (number, stats) in server.proxy_stats().into_iter().enumerate() {
        let targets: Vec<_> = stats.targets.into_iter().collect();
        let expected = ["127.0.0.1:9", "www.instagram.com:443", "www.instagram.com:80"];
        assert_eq!(targets, expected.map(|target| (target.to_owned(), 1)));
        let plain = u64::from(number < 2);
        assert_eq!((stats.requests, stats.tunnels), (plain, 3 - plain));
        assert_eq!((stats.denied, stats.malformed), (0, 0));
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_wrong_password_opens_nothing() {
    let (platform, server) = start().await;
    for number in [1, 3] {
        let right = server.proxies()[number].url.clone();
        let wrong = right.replace("p%40ss", "guess");
        let missing = right.replace("us%3Aer:p%40ss%20word@", "");
        for url in [&wrong, &missing] {
            let client = client(&server, Some(url));
            let https = client.get("https://www.instagram.com/").send().await;
            assert!(https.is_err(), "{url}");
            let http = client.get("http://www.instagram.com/").send().await;
            let denied = http.map_or(true, |response| {
                response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                    && response.headers().contains_key("proxy-authenticate")
            });
            assert!(denied, "{url}");
        }
        assert_eq!(server.proxy_stats()[number].denied, 4);
    }
    assert_eq!(platform.audit().total, 0);
    server.shutdown().await;
}

#[tokio::test]
async fn an_ipv6_target_is_written_with_brackets() {
    let (_platform, server) = start().await;
    let mut stream = TcpStream::connect(server.proxies()[2].addr).await.unwrap();
    let mut hello = vec![5, 1, 0, 5, 1, 0, 4];
    hello.extend([0; 15]);
    hello.extend([1, 1, 187]);
    hello.extend(b"GET /_sim/health HTTP/1.1\r\nconnection: close\r\n\r\n");
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer[..12], [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert!(answer[12..].starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(server.proxy_stats()[2].targets["[::1]:443"], 1);
    server.shutdown().await;
}

/// Sends bytes, reads whatever comes back until the other side is done.
async fn send(addr: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // The other side may have hung up already, and may say so with a reset.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn nonsense_does_no_harm() {
    let (platform, server) = start().await;
    let of = |url: String| url.rsplit('/').next().unwrap().parse().unwrap();
    let mut listeners = vec![of(server.http_url()), of(server.https_url())];
    listeners.extend(server.proxies().iter().map(|proxy| proxy.addr));
    let noise: Vec<u8> =
        (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut oversized = b"GET / HTTP/1.1\r\nx-long: ".to_vec();
    oversized.resize(300_000, b'a');
    let cases: [&[u8]; 12] = [
        b"",
        &noise,
        &oversized,
        b"\x16\x03\x01",
        b"GET / HTTP/1.1\r\n",
        b"CONNECT HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n\x16nonsense",
        b"GET /relative HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x05",
        b"\x05\x01\x00\x05\x01\x00\x09",
        b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50",
        b"\x05\x01\x02\x02",
    ];
    for addr in listeners {
        for case in cases {
            send(addr, case).await;
        }
    }
    let long = send(of(server.http_url()), &oversized).await;
    assert!(long.is_empty() || long.starts_with(b"HTTP/1.1 431"), "{long:?}");
    let relative = send(server.proxies()[0].addr, cases[7]).await;
    assert!(relative.starts_with(b"HTTP/1.1 400"));
    let bad_address = send(server.proxies()[2].addr, cases[9]).await;
    assert_eq!(bad_address[2..4], [5, 8]);
    let bind = send(server.proxies()[2].addr, cases[10]).await;
    assert_eq!(bind[2..4], [5, 7]);
    alive(&server).await;
    for proxy in server.proxies() {
        let client = client(&server, Some(&proxy.url));
        who_am_i(&client, "https://www.instagram.com", &platform).await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_session() {
    let delay = story_checker_sim::Latency::fixed(std::time::Duration::from_secs(3600));
    let platform = Arc::new(Platform::new(SimConfig::new(1).with_latency(delay)).unwrap());
    let config = ServerConfig::new();
    let server = Server::start(Arc::clone(&platform), config, SimClock::system()).await.unwrap();
    let request = format!(
        "GET {VIEWER} HTTP/1.1\r\nhost: a\r\nx-ig-app-id: 1\r\ncookie: {}\r\n\r\n",
        cookie(&platform, 0)
    );
    let addr = server.http_url().rsplit('/').next().unwrap().to_owned();
    for total in 1..=5 {
        let mut stream = TcpStream::connect(&addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        while platform.audit().total < total {
            tokio::task::yield_now().await;
        }
        // The platform hangs up once it has noticed that nobody waits for the answer.
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    assert_eq!(platform.audit().session_overlaps, 0);
    // Two that stay are an overlap.
    let mut waiting = Vec::new();
    for total in 6..=7 {
        let mut stream = TcpStream::connect(&addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        waiting.push(stream);
        while platform.audit().total < total {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(platform.audit().session_overlaps, 1);
    server.shutdown().await;
}

#[tokio::test]
async fn serving_stops_and_leaves_nothing_behind() {
    let (platform, server) = start().await;
    let proxy = server.proxies()[0].addr;
    let mut idle = TcpStream::connect(proxy).await.unwrap();
    let mut tunnel = TcpStream::connect(proxy).await.unwrap();
    tunnel.write_all(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    tunnel.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    server.shutdown().await;
    assert!(TcpStream::connect(proxy).await.is_err());
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    let mut rest = Vec::new();
    let _ = tunnel.read_to_end(&mut rest).await;
    // Every task held the platform.
    assert_eq!(Arc::strong_count(&platform), 1);
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let (platform, server) = start().await;
    let port = server.http_url().rsplit(':').next().unwrap().parse().unwrap();
    let config = ServerConfig::new().with_ports(0, port);
    let second = Server::start(platform, config, SimClock::system()).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    server.shutdown().await;
}
