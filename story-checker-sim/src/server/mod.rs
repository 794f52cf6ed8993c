//! The platform behind real sockets: plain HTTP, TLS and proxies that lead nowhere else.

mod clock;
mod gzip;
mod http;
mod proxy;
mod socks;
mod tls;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::platform::Platform;
use crate::request::{Peer, ProxyId};
use crate::scenario::ProxyFault;

pub use clock::SimClock;
pub use proxy::{ProxyCredentials, ProxyInfo, ProxyKind, ProxySpec, ProxyStats};

use proxy::Proxy;

/// How long to wait after a connection could not be accepted, most likely for want of a descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a [`Server`] listens. Port 0 lets the system choose.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address of all listeners (default: loopback).
    pub ip: IpAddr,
    /// The port for plain HTTP.
    pub http_port: u16,
    /// The port for TLS.
    pub tls_port: u16,
    /// The proxies, numbered from 0 in this order. Their ports are chosen by the system.
    pub proxies: Vec<ProxySpec>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST.into(), http_port: 0, tls_port: 0, proxies: Vec::new() }
    }
}

impl ServerConfig {
    /// Loopback, ports chosen by the system, no proxies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address of all listeners.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        self.ip = ip;
        self
    }

    /// Sets the ports for plain HTTP and for TLS.
    #[must_use]
    pub fn with_ports(mut self, http: u16, tls: u16) -> Self {
        self.http_port = http;
        self.tls_port = tls;
        self
    }

    /// Adds a proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxySpec) -> Self {
        self.proxies.push(proxy);
        self
    }
}

/// A platform that is being served. Dropping it closes every socket; [`shutdown`](Self::shutdown)
/// also waits until that is done.
pub struct Server {
    http: SocketAddr,
    https: SocketAddr,
    proxies: Vec<Arc<Proxy>>,
    ca_pem: String,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Binds all listeners and serves the platform until the server is shut down or dropped.
    ///
    /// # Errors
    ///
    /// A port that cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and I/O.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was bound is closed again.
    pub async fn start(
        platform: Arc<Platform>,
        config: ServerConfig,
        clock: SimClock,
    ) -> io::Result<Self> {
        let authority = tls::authority(config.ip).map_err(io::Error::other)?;
        let ca_pem = authority.pem;
        let host = Host {
            platform,
            clock,
            acceptor: authority.acceptor,
            stranger: authority.stranger,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let mut server = Self {
            http: SocketAddr::new(config.ip, 0),
            https: SocketAddr::new(config.ip, 0),
            proxies: Vec::new(),
            ca_pem,
            cancel: host.cancel.clone(),
            tasks: host.tasks.clone(),
        };
        let host = Arc::new(host);
        let bind = async |port| TcpListener::bind((config.ip, port)).await;

        let listener = bind(config.http_port).await?;
        server.http = listener.local_addr()?;
        host.listen(listener, |host, stream, addr| async move {
            http::serve(&host, stream, Peer::direct(addr)).await;
        });
        let listener = bind(config.tls_port).await?;
        server.https = listener.local_addr()?;
        host.listen(listener, |host, stream, addr| async move {
            http::serve_tls(&host, &host.acceptor, stream, Peer::direct(addr)).await;
        });
        for (number, spec) in (0..).zip(config.proxies) {
            let listener = bind(0).await?;
            let proxy = Arc::new(Proxy::new(ProxyId::new(number), spec, listener.local_addr()?));
            server.proxies.push(Arc::clone(&proxy));
            host.listen(listener, move |host, stream, addr| {
                let proxy = Arc::clone(&proxy);
                async move {
                    let fault = host.platform.proxy_fault(proxy.id(), host.clock.now(), true);
                    match proxy.kind() {
                        _ if fault == Some(ProxyFault::Refuse) => proxy.count_fault(),
                        _ if fault == Some(ProxyFault::Hang) => {
                            proxy.count_fault();
                            wait_for_the_end(stream).await;
                        }
                        ProxyKind::Http => proxy::serve(host, proxy, stream, addr, fault).await,
                        ProxyKind::Socks5 => {
                            socks::serve(&host, &proxy, stream, addr, fault).await;
                        }
                    }
                }
            });
        }
        Ok(server)
    }

    /// The base URL for plain HTTP, without a slash at the end.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The base URL for TLS, without a slash at the end.
    pub fn https_url(&self) -> String {
        format!("https://{}", self.https)
    }

    /// The certificate that signs for every host name asked for, as PEM. It is made afresh at every
    /// start.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The proxies in the order of their numbers.
    pub fn proxies(&self) -> Vec<ProxyInfo> {
        self.proxies.iter().map(|proxy| proxy.info()).collect()
    }

    /// What each proxy was used for, in the order of their numbers.
    pub fn proxy_stats(&self) -> Vec<ProxyStats> {
        self.proxies.iter().map(|proxy| proxy.stats()).collect()
    }

    /// Closes every socket, answers nothing more and waits until nothing runs any longer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: everything ends all the same, only nobody waits for it.
    pub async fn shutdown(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("http", &self.http)
            .field("https", &self.https)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// What every connection needs.
struct Host {
    platform: Arc<Platform>,
    clock: SimClock,
    acceptor: TlsAcceptor,
    /// Shows a certificate of another name.
    stranger: TlsAcceptor,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Host {
    /// Serves every connection of a listener in a task of its own.
    fn listen<F>(
        self: &Arc<Self>,
        listener: TcpListener,
        serve: impl Fn(Arc<Self>, TcpStream, SocketAddr) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let host = Arc::clone(self);
        let accept = async move {
            loop {
                match listener.accept().await {
                    Ok((stream, addr)) => {
                        // Answers are small and complete: there is nothing to wait for. A stream on
                        // which this fails is already gone, as serving it will find out.
                        let _ = stream.set_nodelay(true);
                        host.spawn(serve(Arc::clone(&host), stream, addr));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        };
        self.spawn::<Infallible>(accept);
    }

    /// Runs a task that ends, at the latest, with the server.
    fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) {
        self.tasks.spawn(self.cancel.clone().run_until_cancelled_owned(task));
    }
}

/// Reads and says nothing until the client leaves.
async fn wait_for_the_end(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}
