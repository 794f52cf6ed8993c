use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use http::StatusCode;
use lru::LruCache;
use reqwest::{Client, redirect, retry};
use rustls::ClientConfig;
use story_checker_core::ProxyId;
use story_checker_core::proxy::{Proxy, ProxyUrl};
use tokio::time::Instant;

use super::connect::{TimeConnect, timed};
use super::{
    Head, InvalidTransport, Request, Response, Transport, TransportError, TransportErrorKind,
    reqwest_error, tls,
};

/// How a [`ReqwestTransport`] connects.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReqwestTransportConfig {
    /// How long a connection may take, handshakes and proxy included. 10 s.
    pub connect_timeout: Duration,
    /// Root certificates, as PEM, that are trusted beside the system's: a test authority, or that of
    /// a proxy that reads along. None.
    pub extra_root_pem: Option<Vec<u8>>,
    /// The most clients (one per proxy) kept alive. A client that has to go closes its idle
    /// connections; requests under way end undisturbed. 1,000.
    pub max_clients: NonZeroUsize,
    /// The most idle connections per client and server. 512.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept. 90 s.
    pub pool_idle: Duration,
}

impl Default for ReqwestTransportConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            extra_root_pem: None,
            max_clients: NonZeroUsize::new(1_000).unwrap_or(NonZeroUsize::MIN),
            max_idle_per_host: 512,
            pool_idle: Duration::from_secs(90),
        }
    }
}

/// The transport of real life: HTTP/1.1 and HTTP/2 over TCP, TLS, and http, https, socks4 and
/// socks5 proxies.
///
/// A client of reqwest has one proxy for its whole life, so there is one per proxy, made when it is
/// first needed.
pub struct ReqwestTransport {
    config: ReqwestTransportConfig,
    tls: ClientConfig,
    direct: OnceLock<Client>,
    /// By name; the address is compared too, because a source may give a name another address.
    // `lru`: no dependencies, and a linked list over a map is not worth writing again. A cache with
    // a time limit is not needed: idle connections have their own.
    proxied: Mutex<LruCache<ProxyId, (ProxyUrl, Client)>>,
}

impl ReqwestTransport {
    /// A transport without connections.
    ///
    /// # Errors
    /// [`InvalidTransport`] if the extra root certificates cannot be read, or TLS cannot be set up.
    pub fn new(config: ReqwestTransportConfig) -> Result<Self, InvalidTransport> {
        let tls = tls::config(config.extra_root_pem.as_deref())?;
        let proxied = Mutex::new(LruCache::new(config.max_clients));
        Ok(Self { config, tls, direct: OnceLock::new(), proxied })
    }

    fn client(&self, proxy: Option<&Proxy>) -> Result<Client, TransportError> {
        let Some(proxy) = proxy else {
            if let Some(client) = self.direct.get() {
                return Ok(client.clone());
            }
            let client = self.build(None)?;
            return Ok(self.direct.get_or_init(|| client).clone());
        };
        let mut clients = self.proxied.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((url, client)) = clients.get(proxy.id())
            && url == proxy.url()
        {
            return Ok(client.clone());
        }
        // A tenth of a millisecond, without I/O: cheaper under the lock than twice beside it.
        let client = self.build(Some(proxy.url()))?;
        clients.put(proxy.id().clone(), (proxy.url().clone(), client.clone()));
        Ok(client)
    }

    fn build(&self, proxy: Option<&ProxyUrl>) -> Result<Client, TransportError> {
        let invalid = |error| reqwest_error::wrap(error, proxy.is_some(), false);
        let mut builder = Client::builder()
            // First, because it also removes proxies: those of the environment.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            // Whoever pays the gate for one request must not send two.
            .retry(retry::never())
            .connect_timeout(self.config.connect_timeout)
            .pool_idle_timeout(self.config.pool_idle)
            .pool_max_idle_per_host(self.config.max_idle_per_host)
            .tls_backend_preconfigured(self.tls.clone())
            .connector_layer(TimeConnect);
        if let Some(url) = proxy {
            let mut proxy = reqwest::Proxy::all(url.to_string()).map_err(invalid)?;
            if let Some((user, password)) = url.credentials() {
                proxy = proxy.basic_auth(user.expose(), password.expose());
            }
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(invalid)
    }

    /// How many clients are alive.
    #[must_use]
    pub fn clients(&self) -> usize {
        let proxied = self.proxied.lock().unwrap_or_else(PoisonError::into_inner).len();
        proxied + usize::from(self.direct.get().is_some())
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport")
            .field("config", &self.config)
            .field("clients", &self.clients())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HTTP over TCP")
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let Request { method, url, headers, body, proxy, timeout } = request;
        let proxied = proxy.is_some();
        let client = self.client(proxy.as_deref())?;
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        // reqwest's own timer covers the body too, so that one is enough.
        *request.timeout_mut() = Some(timeout);
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let sent_at = Instant::now();
        let (answer, connect) = timed(client.execute(request)).await;
        let mut answer = answer.map_err(|error| reqwest_error::wrap(error, proxied, false))?;
        // A plain proxy answers in the place of the server.
        if proxied && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(TransportError::new(TransportErrorKind::ProxyAuth).with_proxied(true));
        }
        let headers = std::mem::take(answer.headers_mut());
        let head = Head::new(answer.status(), answer.version(), headers);
        let body = answer
            .bytes_stream()
            .map_err(move |error| reqwest_error::wrap(error, proxied, true))
            .boxed();
        Ok(Response::new(head, body, sent_at).with_connect(connect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(text: &str) -> Proxy {
        Proxy::new(text.parse().unwrap())
    }

    #[tokio::test]
    async fn clients_are_made_once_per_proxy_and_bounded() {
        let max_clients = NonZeroUsize::new(2).unwrap();
        let config = ReqwestTransportConfig { max_clients, ..ReqwestTransportConfig::default() };
        let transport = ReqwestTransport::new(config).unwrap();
        assert_eq!(transport.clients(), 0);
        transport.client(None).unwrap();
        transport.client(None).unwrap();
        assert_eq!(transport.clients(), 1);
        for address in ["a.test:1", "a.test:1", "socks5h://b.test:1", "https://c.test:1"] {
            transport.client(Some(&proxy(address))).unwrap();
        }
        assert_eq!(transport.clients(), 3);
    }

    #[tokio::test]
    async fn a_proxy_with_other_credentials_is_another_client() {
        let transport = ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap();
        transport.client(Some(&proxy("http://u:old@a.test:1"))).unwrap();
        transport.client(Some(&proxy("http://u:new@a.test:1"))).unwrap();
        let clients = transport.proxied.lock().unwrap();
        let (url, _) = clients.peek(&"http://a.test:1".into()).unwrap();
        assert_eq!(url.credentials().unwrap().1.expose(), "new");
    }
}
