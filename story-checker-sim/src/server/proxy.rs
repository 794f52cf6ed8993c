//! Proxies: what they are, what they count, and the HTTP kind of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;

use super::Host;
use super::http::{self, BrokenOff, PlanBody};
use crate::request::{Peer, ProxyId};
use crate::scenario::ProxyFault;

/// How many different targets a proxy counts one by one.
const MAX_TARGETS: usize = 1024;

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProxyKind {
    /// CONNECT and absolute-form requests.
    Http,
    /// SOCKS version 5.
    Socks5,
}

/// The user and the password that a proxy asks for.
#[derive(Clone, Eq, PartialEq)]
pub struct ProxyCredentials {
    user: String,
    password: String,
}

impl ProxyCredentials {
    /// A user and a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    pub(super) fn matches(&self, user: &[u8], password: &[u8]) -> bool {
        self.user.as_bytes() == user && self.password.as_bytes() == password
    }

    /// The value of `Proxy-Authorization` behind the word `Basic`.
    fn basic(&self) -> String {
        base64(format!("{}:{}", self.user, self.password).as_bytes())
    }
}

impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyCredentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A proxy to be served.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProxySpec {
    /// Its protocol.
    pub kind: ProxyKind,
    /// What it asks for, if anything.
    pub credentials: Option<ProxyCredentials>,
}

impl ProxySpec {
    /// A proxy that everybody may use.
    pub const fn new(kind: ProxyKind) -> Self {
        Self { kind, credentials: None }
    }

    /// Asks for a user and a password.
    #[must_use]
    pub fn with_credentials(mut self, credentials: ProxyCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }
}

/// Where a proxy is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProxyInfo {
    /// Its number, the one in the audit.
    pub id: ProxyId,
    /// Its protocol.
    pub kind: ProxyKind,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its URL with user and password, as clients take it: `http://…` or `socks5h://…`.
    pub url: String,
}

/// What a proxy was used for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Tunnels opened.
    pub tunnels: u64,
    /// Plain requests passed on.
    pub requests: u64,
    /// Turned away for a missing or wrong user or password.
    pub denied: u64,
    /// Turned away for breaking the protocol.
    pub malformed: u64,
    /// Connections that a rule let fail.
    pub failed: u64,
    /// How often each `host:port` was asked for, for the first 1024 of them.
    pub targets: BTreeMap<String, u64>,
}

impl ProxyStats {
    fn count_target(&mut self, target: String) {
        if self.targets.len() < MAX_TARGETS || self.targets.contains_key(&target) {
            *self.targets.entry(target).or_default() += 1;
        }
    }
}

/// A proxy that is being served.
#[derive(Debug)]
pub(super) struct Proxy {
    id: ProxyId,
    spec: ProxySpec,
    addr: SocketAddr,
    stats: Mutex<ProxyStats>,
}

impl Proxy {
    pub(super) fn new(id: ProxyId, spec: ProxySpec, addr: SocketAddr) -> Self {
        Self { id, spec, addr, stats: Mutex::default() }
    }

    pub(super) fn id(&self) -> ProxyId {
        self.id
    }

    pub(super) fn kind(&self) -> ProxyKind {
        self.spec.kind
    }

    pub(super) fn peer(&self, addr: SocketAddr) -> Peer {
        Peer::via(self.id, addr)
    }

    pub(super) fn credentials(&self) -> Option<&ProxyCredentials> {
        self.spec.credentials.as_ref()
    }

    pub(super) fn info(&self) -> ProxyInfo {
        let scheme = match self.spec.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5h",
        };
        let login = self.credentials().map_or_else(String::new, |credentials| {
            format!("{}:{}@", escape(&credentials.user), escape(&credentials.password))
        });
        let url = format!("{scheme}://{login}{}", self.addr);
        ProxyInfo { id: self.id, kind: self.spec.kind, addr: self.addr, url }
    }

    pub(super) fn stats(&self) -> ProxyStats {
        self.lock().clone()
    }

    pub(super) fn count_tunnel(&self, target: String) {
        let mut stats = self.lock();
        stats.tunnels += 1;
        stats.count_target(target);
    }

    pub(super) fn count_denied(&self) {
        self.lock().denied += 1;
    }

    pub(super) fn count_malformed(&self) {
        self.lock().malformed += 1;
    }

    pub(super) fn count_fault(&self) {
        self.lock().failed += 1;
    }

    fn count_request(&self, target: String) {
        let mut stats = self.lock();
        stats.requests += 1;
        stats.count_target(target);
    }

    fn lock(&self) -> MutexGuard<'_, ProxyStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lets_in(&self, request: &Request<Incoming>) -> bool {
        let Some(credentials) = self.credentials() else { return true };
        request
            .headers()
            .get(header::PROXY_AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .is_some_and(|(scheme, value)| {
                scheme.eq_ignore_ascii_case("basic") && value.trim() == credentials.basic()
            })
    }
}

/// Serves one connection to an HTTP proxy, which may fail in one way for all of it.
pub(super) async fn serve(
    host: Arc<Host>,
    proxy: Arc<Proxy>,
    stream: TcpStream,
    addr: SocketAddr,
    fault: Option<ProxyFault>,
) {
    let service = service_fn(|request| {
        let (host, proxy) = (Arc::clone(&host), Arc::clone(&proxy));
        async move { pass_on(&host, &proxy, request, addr, fault).await }
    });
    let connection = http::builder().serve_connection(TokioIo::new(stream), service);
    // As everywhere: a connection that breaks is the client's doing.
    let _ = connection.with_upgrades().await;
}

async fn pass_on(
    host: &Arc<Host>,
    proxy: &Proxy,
    mut request: Request<Incoming>,
    addr: SocketAddr,
    fault: Option<ProxyFault>,
) -> Result<Response<PlanBody>, BrokenOff> {
    if fault == Some(ProxyFault::Login) {
        proxy.count_fault();
        return Ok(login_required());
    }
    if !proxy.lets_in(&request) {
        proxy.count_denied();
        return Ok(login_required());
    }
    let Some(target) = request.uri().authority().map(ToString::to_string) else {
        proxy.count_malformed();
        let text = "a proxy is asked with CONNECT or a full URL\n";
        return Ok(refuse(StatusCode::BAD_REQUEST, text));
    };
    let peer = proxy.peer(addr);
    if request.method() != Method::CONNECT {
        let host_port = match request.uri().port() {
            Some(_) => target,
            None => format!("{target}:80"),
        };
        proxy.count_request(host_port);
        return http::answer(host, request, peer).await;
    }
    proxy.count_tunnel(target);
    let stranger = fault == Some(ProxyFault::Tls);
    if stranger {
        proxy.count_fault();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let tunnel_host = Arc::clone(host);
    host.spawn(async move {
        if let Ok(stream) = upgrade.await {
            http::serve_tunnel(&tunnel_host, TokioIo::new(stream), peer, stranger).await;
        }
    });
    Ok(Response::new(PlanBody::default()))
}

fn login_required() -> Response<PlanBody> {
    let mut refusal = refuse(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "login required\n");
    let realm = header::HeaderValue::from_static("Basic realm=\"story-checker-sim\"");
    refusal.headers_mut().insert(header::PROXY_AUTHENTICATE, realm);
    refusal
}

fn refuse(status: StatusCode, text: &'static str) -> Response<PlanBody> {
    let mut response = Response::new(PlanBody::from(text));
    *response.status_mut() = status;
    response
}

/// Escapes what has a meaning in the user part of a URL.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_rfc_4648_says() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn passwords_are_escaped_in_urls_and_hidden_in_debug() {
        let spec = ProxySpec::new(ProxyKind::Socks5)
            .with_credentials(ProxyCredentials::new("us:er", "p@ss/ü"));
        let proxy = Proxy::new(ProxyId::new(0), spec, ([127, 0, 0, 1], 1080).into());
        assert_eq!(proxy.info().url, "socks5h://us%3Aer:p%40ss%2F%C3%BC@127.0.0.1:1080");
        assert!(!format!("{proxy:?}").contains("p@ss"));
    }

    #[test]
    fn targets_are_bounded() {
        let mut stats = ProxyStats::default();
        for number in 0..3000 {
            stats.count_target(format!("host{number}:443"));
        }
        stats.count_target("host5:443".into());
        assert_eq!(stats.targets.len(), MAX_TARGETS);
        assert_eq!(stats.targets["host5:443"], 2);
    }
}
