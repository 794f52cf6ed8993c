//! Every request goes through its proxy or nowhere. The servers behind the proxies have names that
//! only the proxy can resolve, so an answer is the proof.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use story_checker_core::proxy::Proxy;
use story_checker_core::{Class, Scope};
use story_checker_http::{
    Collected, Request, ReqwestTransport, ReqwestTransportConfig, Transport, TransportError,
    TransportErrorKind as Kind, Url,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::sockets::head;
use crate::support::*;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn push(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A plain server that tells what it saw.
async fn origin(seen: Seen) -> SocketAddr {
    serve(move |mut socket| {
        let seen = seen.clone();
        async move {
            seen.push(head(&mut socket).await);
            let _ = socket.write_all(ANSWER).await;
        }
    })
    .await
}

/// A server behind TLS, and the authority that vouches for it as `ig.sim.test`.
async fn tls_origin(seen: Seen) -> (SocketAddr, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["ig.sim.test".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = serve(move |socket| {
        let (seen, acceptor) = (seen.clone(), acceptor.clone());
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            let mut bytes = vec![0; 4_096];
            let length = socket.read(&mut bytes).await.unwrap();
            seen.push(String::from_utf8_lossy(&bytes[..length]));
            let _ = socket.write_all(ANSWER).await;
            let _ = socket.shutdown().await;
        }
    })
    .await;
    (address, authority.pem().into_bytes())
}

/// An HTTP proxy that leads every name to one server. Wants the given credentials, if any.
async fn http_proxy(seen: Seen, upstream: SocketAddr, auth: Option<&'static str>) -> SocketAddr {
    serve(move |mut socket| {
        let seen = seen.clone();
        async move {
            let request = head(&mut socket).await;
            let accepted = auth.is_none_or(|auth| request.contains(auth));
            let connect = request.starts_with("CONNECT ");
            seen.push(request.lines().next().unwrap_or_default());
            if !accepted {
                let refusal: &[u8] = b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n";
                socket.write_all(refusal).await.unwrap();
                return;
            }
            let mut server = TcpStream::connect(upstream).await.unwrap();
            if connect {
                socket.write_all(b"HTTP/1.1 200 Go\r\n\r\n").await.unwrap();
            } else {
                server.write_all(request.as_bytes()).await.unwrap();
            }
            let _ = copy_bidirectional(&mut socket, &mut server).await;
        }
    })
    .await
}

/// A SOCKS5 proxy with user and password that leads every name to one server.
async fn socks_proxy(seen: Seen, upstream: SocketAddr, password: &'static str) -> SocketAddr {
    serve(move |mut socket| {
        let seen = seen.clone();
        async move {
            let mut greeting = [0; 2];
            socket.read_exact(&mut greeting).await.unwrap();
            let mut methods = vec![0; usize::from(greeting[1])];
            socket.read_exact(&mut methods).await.unwrap();
            if !methods.contains(&2) {
                let _ = socket.write_all(&[5, 0xff]).await;
                return;
            }
            socket.write_all(&[5, 2]).await.unwrap();
            assert_eq!(socket.read_u8().await.unwrap(), 1);
            let user = text(&mut socket).await;
            let accepted = text(&mut socket).await == password;
            socket.write_all(&[1, u8::from(!accepted)]).await.unwrap();
            if !accepted {
                return;
            }
            let mut request = [0; 4];
            socket.read_exact(&mut request).await.unwrap();
            assert_eq!(request, [5, 1, 0, 3], "a name, not an address");
            let name = text(&mut socket).await;
            let port = socket.read_u16().await.unwrap();
            seen.push(format!("{user} to {name}:{port}"));
            let mut server = TcpStream::connect(upstream).await.unwrap();
            socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let _ = copy_bidirectional(&mut socket, &mut server).await;
        }
    })
    .await
}

/// A SOCKS4 proxy that leads every name and address to one server, or says no.
async fn socks4_proxy(seen: Seen, upstream: SocketAddr, reply: u8) -> SocketAddr {
    serve(move |mut socket| {
        let seen = seen.clone();
        async move {
            let mut request = [0; 8];
            socket.read_exact(&mut request).await.unwrap();
            let [4, 1, high, low, a, b, c, d] = request else { panic!("no CONNECT of socks4") };
            assert_eq!(zero_ended(&mut socket).await, "", "nobody's user");
            let host = match [a, b, c, d] {
                [0, 0, 0, _] => zero_ended(&mut socket).await,
                [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
            };
            seen.push(format!("{host}:{}", u16::from_be_bytes([high, low])));
            socket.write_all(&[0, reply, 0, 0, 0, 0, 0, 0]).await.unwrap();
            if reply == 90 {
                let mut server = TcpStream::connect(upstream).await.unwrap();
                let _ = copy_bidirectional(&mut socket, &mut server).await;
            }
        }
    })
    .await
}

async fn zero_ended(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        match socket.read_u8().await.unwrap() {
            0 => return String::from_utf8(bytes).unwrap(),
            byte => bytes.push(byte),
        }
    }
}

async fn text(socket: &mut TcpStream) -> String {
    let length = socket.read_u8().await.unwrap();
    let mut bytes = vec![0; usize::from(length)];
    socket.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn fetch(
    url: &str,
    proxy: Option<Arc<Proxy>>,
    root: Option<Vec<u8>>,
) -> Result<Collected, TransportError> {
    let mut config = ReqwestTransportConfig::default();
    config.extra_root_pem = root;
    let transport = ReqwestTransport::new(config).unwrap();
    let request =
        Request::get(Url::parse(url).unwrap(), Duration::from_millis(800)).with_proxy(proxy);
    transport.send(request).await?.collect(10_000).await
}

async fn refusal(url: &str, through: String) -> Kind {
    let error = fetch(url, proxy(&through), None).await.unwrap_err();
    assert!(error.proxied());
    let fault = error.to_fault();
    assert!(!format!("{error:?} {fault:?}").contains("PLANTED"), "{error:?}");
    error.kind()
}

#[tokio::test]
async fn plain_requests_go_through_an_http_proxy() {
    let (at_origin, at_proxy) = (Seen::default(), Seen::default());
    let server = origin(at_origin.clone()).await;
    // user PLANTED-u, password PLANTED:p@ss
    let address =
        http_proxy(at_proxy.clone(), server, Some("UExBTlRFRC11OlBMQU5URUQ6cEBzcw==")).await;
    let through = proxy(format!("http://PLANTED-u:PLANTED%3Ap%40ss@{address}"));
    let answer = fetch("http://ig.sim.test/a?b=c", through, None).await.unwrap();
    assert_eq!(answer.body, "hi");
    assert_eq!(at_proxy.all(), ["GET http://ig.sim.test/a?b=c HTTP/1.1"]);
    assert_eq!(at_origin.all().len(), 1);
}

#[tokio::test]
async fn https_requests_go_through_a_tunnel() {
    let (at_origin, at_proxy) = (Seen::default(), Seen::default());
    let (server, root) = tls_origin(at_origin.clone()).await;
    let address = http_proxy(at_proxy.clone(), server, Some("UExBTlRFRC11OlBMQU5URUQtcA==")).await;
    let through = proxy(format!("http://PLANTED-u:PLANTED-p@{address}"));
    let answer = fetch("https://ig.sim.test/a", through.clone(), Some(root)).await.unwrap();
    assert_eq!(answer.body, "hi");
    assert_eq!(at_proxy.all(), ["CONNECT ig.sim.test:443 HTTP/1.1"]);
    assert!(at_origin.all()[0].starts_with("GET /a HTTP/1.1"));
    assert!(!at_origin.all()[0].to_lowercase().contains("proxy-auth"));

    // Without the authority there is no safe connection, and the proxy is the one to suspect.
    let error = fetch("https://ig.sim.test/a", through, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls);
    let fault = error.to_fault();
    assert_eq!((fault.class, fault.scope), (Class::Malformed, Scope::Proxy));
}

#[tokio::test]
async fn requests_go_through_socks5_with_names_and_credentials() {
    let (at_origin, at_proxy) = (Seen::default(), Seen::default());
    let server = origin(at_origin.clone()).await;
    let address = socks_proxy(at_proxy.clone(), server, "PLANTED p:@ss").await;
    let through = proxy(format!("socks5h://PLANTED-u:PLANTED%20p%3A%40ss@{address}"));
    let answer = fetch("http://ig.sim.test/a", through, None).await.unwrap();
    assert_eq!(answer.body, "hi");
    assert_eq!(at_proxy.all(), ["PLANTED-u to ig.sim.test:80"]);

    let (tls_server, root) = tls_origin(at_origin.clone()).await;
    let address = socks_proxy(at_proxy.clone(), tls_server, "p").await;
    let through = proxy(format!("socks5h://u:p@{address}"));
    let answer = fetch("https://ig.sim.test/b", through, Some(root)).await.unwrap();
    assert_eq!(answer.body, "hi");
    assert_eq!(at_proxy.all()[1], "u to ig.sim.test:443");
}

#[tokio::test]
async fn requests_go_through_socks4_with_names_or_addresses() {
    let (at_origin, at_proxy) = (Seen::default(), Seen::default());
    let (server, root) = tls_origin(at_origin.clone()).await;
    let through = proxy(format!("socks4a://{}", socks4_proxy(at_proxy.clone(), server, 90).await));
    let answer = fetch("https://ig.sim.test/b", through, Some(root)).await.unwrap();
    assert_eq!(answer.body, "hi");
    assert_eq!(at_proxy.all(), ["ig.sim.test:443"]);

    let server = origin(at_origin).await;
    let through = proxy(format!("socks4://{}", socks4_proxy(at_proxy.clone(), server, 90).await));
    // An address that nobody has: only the proxy can lead there.
    let answer = fetch("http://192.0.2.7/a", through, None).await.unwrap();
    assert_eq!(answer.body, "hi");
    assert_eq!(at_proxy.all()[1], "192.0.2.7:80");

    let through = format!("socks4a://{}", socks4_proxy(at_proxy, server, 91).await);
    assert_eq!(refusal("http://ig.sim.test/", through).await, Kind::ProxyOther);
}

#[tokio::test]
async fn refused_credentials() {
    let server = origin(Seen::default()).await;
    let address = http_proxy(Seen::default(), server, Some("nobody knows")).await;
    for url in ["http://ig.sim.test/", "https://ig.sim.test/"] {
        let through = format!("http://PLANTED-u:PLANTED-p@{address}");
        assert_eq!(refusal(url, through).await, Kind::ProxyAuth, "{url}");
    }
    let address = socks_proxy(Seen::default(), server, "right").await;
    for through in [format!("socks5h://u:PLANTED@{address}"), format!("socks5h://{address}")] {
        for url in ["http://ig.sim.test/", "https://ig.sim.test/"] {
            assert_eq!(refusal(url, through.clone()).await, Kind::ProxyAuth, "{through}");
        }
    }
}

#[tokio::test]
async fn a_dead_proxy_is_never_gone_around() {
    let seen = Seen::default();
    let server = origin(seen.clone()).await;
    for scheme in ["http", "https", "socks4", "socks4a", "socks5", "socks5h"] {
        for url in [format!("http://{server}/"), format!("https://{server}/")] {
            let user = if scheme.starts_with("socks4") { "" } else { "u:PLANTED@" };
            let through = format!("{scheme}://{user}{}", nobody().await);
            assert_eq!(refusal(&url, through).await, Kind::ProxyConnect, "{scheme} {url}");
        }
    }
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn a_proxy_that_says_no_or_nonsense_or_nothing() {
    let answers = |bytes: &'static [u8]| {
        serve(move |mut socket| async move {
            let _ = socket.read(&mut [0; 4_096]).await;
            let _ = socket.write_all(bytes).await;
            let _ = socket.shutdown().await;
        })
    };
    let https = "https://ig.sim.test/";
    let forbids = answers(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(refusal(https, format!("http://{forbids}")).await, Kind::ProxyOther);
    let garbage = answers(b"\x00\xff\r\n\r\n").await;
    assert_eq!(refusal(https, format!("http://{garbage}")).await, Kind::ProxyOther);
    let hangs_up = answers(b"").await;
    assert_eq!(refusal(https, format!("http://{hangs_up}")).await, Kind::ProxyOther);
    assert_eq!(refusal(https, format!("socks5h://{hangs_up}")).await, Kind::ProxyOther);
    let cuts = answers(b"HTTP/1.1 200 Go\r\n\r\n").await;
    assert_eq!(refusal(https, format!("http://{cuts}")).await, Kind::Tls);
    // Behind a plain proxy a broken connection is nobody's for sure; it is counted for the proxy.
    assert_eq!(refusal("http://ig.sim.test/", format!("http://{hangs_up}")).await, Kind::Reset);

    let silent = serve(|mut socket| async move {
        head(&mut socket).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let kind = refusal(https, format!("http://{silent}")).await;
    assert_eq!(kind, Kind::Timeout { before_head: true });
}

#[tokio::test]
async fn the_checker_goes_through_the_proxy_of_its_pair() {
    let world = World::with(|config| config.base_url = "http://ig.sim.test".to_owned()).await;
    world.answer(PROFILE, json(200, profile(42, "a"))).await;
    world.answer(REELS, json(200, reels(&[(42, vec![story(1, 42, now() - 60)])]))).await;
    let seen = Seen::default();
    let address = http_proxy(seen.clone(), *world.server.address(), None).await;
    let through = proxy(format!("http://PLANTED-u:PLANTED-p@{address}"));
    let cx = world.context().with_proxy(through);
    let report = world.check_in(&["a"], &cx).await.remove(0).unwrap();
    assert_eq!(report.evidence.proxy.unwrap().as_str(), format!("http://{address}"));
    assert!(!seen.all().is_empty());

    let dead = proxy(format!("http://u:PLANTED@{}", nobody().await));
    let answers = world.check_in(&["b", "c"], &world.context().with_proxy(dead)).await;
    let faults: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap_err()).collect();
    assert_eq!((faults[0].class, faults[0].scope), (Class::Blocked, Scope::Proxy));
    assert_eq!((faults[1].class, faults[1].scope), (Class::RateLimited, Scope::Ours));
}
