//! The platform without sockets: a transport that asks it directly.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::{Uri, Version};
use story_checker_http::{
    Head, Request as HttpRequest, Response, Transport, TransportError, TransportErrorKind,
};
use tokio::time::Instant;

use crate::platform::Platform;
use crate::request::{Peer, ProxyId, Request};
use crate::server::SimClock;

/// Answers requests in process. Delays wait on tokio's timer, so that a paused runtime plays days in
/// seconds. Every proxy is let through and known to the platform by the order of its first use.
#[derive(Debug)]
pub struct SimTransport {
    platform: Arc<Platform>,
    clock: SimClock,
    proxies: Mutex<HashMap<String, ProxyId>>,
}

impl SimTransport {
    /// A transport to this platform, by this clock.
    pub fn new(platform: Arc<Platform>, clock: SimClock) -> Self {
        Self { platform, clock, proxies: Mutex::default() }
    }

    fn peer(&self, proxy: Option<&str>) -> Peer {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let Some(name) = proxy else { return Peer::direct(address) };
        let mut proxies = self.proxies.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ProxyId::new(u32::try_from(proxies.len()).unwrap_or(u32::MAX));
        let id = *proxies.entry(name.to_owned()).or_insert(next);
        Peer::via(id, address)
    }
}

impl fmt::Display for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated platform in process")
    }
}

#[async_trait]
impl Transport for SimTransport {
    async fn send(&self, request: HttpRequest) -> Result<Response, TransportError> {
        let sent_at = Instant::now();
        let invalid =
            |error| TransportError::new(TransportErrorKind::InvalidRequest).with_source(error);
        let uri = Uri::try_from(request.url.as_str()).map_err(invalid)?;
        let peer = self.peer(request.proxy.as_ref().map(|proxy| proxy.id().as_str()));
        let asked = Request::new(&request.method, &uri, &request.headers);
        let plan = self.platform.handle(&asked, self.clock.now(), &peer);
        let answer = async move {
            if !plan.delay.is_zero() {
                tokio::time::sleep(plan.delay).await;
            }
            plan
        };
        let timeout = TransportErrorKind::Timeout { before_head: true };
        let plan = tokio::time::timeout(request.timeout, answer).await;
        let plan = plan.map_err(|late| TransportError::new(timeout).with_source(late))?;
        let head = Head::new(plan.status, Version::HTTP_11, plan.headers);
        // The session is free again once the body has been handed over.
        let flight = plan.flight;
        let body = stream::once(async move {
            drop(flight);
            Ok(plan.body)
        });
        Ok(Response::new(head, body.boxed(), sent_at))
    }
}
