//! The platform without sockets: a transport that asks it directly.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::{Uri, Version};
use story_checker_http::{
    BodyStream, Head, Request as HttpRequest, Response, Transport, TransportError,
    TransportErrorKind,
};
use tokio::time::Instant;

use crate::delivery::Delivery;
use crate::platform::{Plan, Platform};
use crate::request::{Peer, ProxyId, Request};
use crate::scenario::ProxyFault;
use crate::server::SimClock;

/// Answers requests in process, and fails as a real transport would. Delays wait on tokio's timer, so
/// that a paused runtime plays days in seconds. Proxies are known to the platform by the order of their
/// first use, or of [`with_proxies`](Self::with_proxies).
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

    /// Numbers proxies by their names, from 0 in this order, before any of them is used.
    #[must_use]
    pub fn with_proxies<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            self.peer(Some(name));
        }
        self
    }

    /// The proxies that are known, by name, and their numbers.
    pub fn proxies(&self) -> HashMap<String, ProxyId> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        let deadline = sent_at + request.timeout;
        let proxied = request.proxy.is_some();
        let error = |kind| TransportError::new(kind).with_proxied(proxied);
        let invalid = |source| error(TransportErrorKind::InvalidRequest).with_source(source);
        let uri = Uri::try_from(request.url.as_str()).map_err(invalid)?;
        let peer = self.peer(request.proxy.as_ref().map(|proxy| proxy.id().as_str()));
        let no_head = TransportErrorKind::Timeout { before_head: true };
        let now = self.clock.now();
        let fault = peer.proxy.and_then(|proxy| {
            let fault = |connecting| self.platform.proxy_fault(proxy, now, connecting);
            fault(true).or_else(|| fault(false))
        });
        match fault {
            Some(ProxyFault::Login) => return Err(error(TransportErrorKind::ProxyAuth)),
            Some(ProxyFault::Refuse) => return Err(error(TransportErrorKind::ProxyConnect)),
            Some(ProxyFault::Tls) if request.url.scheme() == "https" => {
                return Err(error(TransportErrorKind::Tls));
            }
            Some(ProxyFault::Hang) => {
                tokio::time::sleep_until(deadline).await;
                return Err(error(no_head));
            }
            _ => {}
        }
        let asked = Request::new(&request.method, &uri, &request.headers).with_body(&request.body);
        let mut plan = match fault.and_then(|fault| self.platform.proxy_page(fault, now)) {
            Some(page) => page,
            None => self.platform.handle(&asked, now, &peer),
        };
        match fault {
            Some(ProxyFault::Reset { bytes }) => {
                plan.delivery = Delivery::CutAt { bytes, announced: true };
            }
            Some(ProxyFault::Slow { ms }) => plan.delay += Duration::from_millis(ms),
            _ => {}
        }
        let hangs = plan.delivery == Delivery::Hang;
        let head_at = sent_at + plan.delay;
        if hangs || head_at > deadline {
            tokio::time::sleep_until(deadline).await;
            return Err(error(no_head));
        }
        if !plan.delay.is_zero() {
            tokio::time::sleep_until(head_at).await;
        }
        if plan.delivery == Delivery::Reset {
            return Err(error(TransportErrorKind::Reset));
        }
        Ok(Response::new(
            Head::new(plan.status, Version::HTTP_11, plan.headers.clone()),
            body(plan, deadline, proxied),
            sent_at,
        ))
    }
}

/// The body of an answer as it comes in.
fn body(plan: Plan, deadline: Instant, proxied: bool) -> BodyStream {
    let error = move |kind| TransportError::new(kind).with_proxied(proxied);
    // The session is free again once the body has been handed over.
    let Plan { body, delivery, flight, .. } = plan;
    if delivery == Delivery::GzipBroken {
        return stream::once(async move {
            drop(flight);
            Err(error(TransportErrorKind::Decode))
        })
        .boxed();
    }
    let rest = Some((delivery.wire(body), flight));
    stream::unfold(rest, move |rest| async move {
        let (mut wire, flight) = rest?;
        if wire.data.is_empty() {
            let broken = wire.broken.then(|| Err(error(TransportErrorKind::Truncated)));
            return broken.map(|broken| (broken, None));
        }
        if !wire.pause.is_zero() {
            let due = Instant::now() + wire.pause;
            tokio::time::sleep_until(due.min(deadline)).await;
            if due > deadline {
                let late = TransportErrorKind::Timeout { before_head: false };
                return Some((Err(error(late)), None));
            }
        }
        let piece = wire.data.split_to(wire.piece.min(wire.data.len()));
        // Nothing is left of most bodies: their session is free at once.
        let rest = (!wire.data.is_empty() || wire.broken).then_some((wire, flight));
        Some((Ok(piece), rest))
    })
    .fuse()
    .boxed()
}

#[cfg(test)]
mod tests;
