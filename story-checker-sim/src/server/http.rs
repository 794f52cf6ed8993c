//! One connection to the platform.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use super::{Host, gzip};
use crate::delivery::{Delivery, Framing, Wire};
use crate::platform::Plan;
use crate::request::{Peer, Request};
use crate::scenario::ProxyFault;
use crate::traffic::Flight;

/// The largest request head; larger ones are answered 431.
const MAX_HEAD: usize = 64 * 1024;
/// The largest request body; what is longer is taken as empty.
const MAX_BODY: usize = 1024 * 1024;
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// The connection breaks off: on purpose.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for BrokenOff {}

/// How every HTTP/1.1 connection here is set up.
pub(super) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(MAX_HEAD);
    builder
}

/// Serves a plain connection until it ends. What goes wrong with it is the client's doing, and the
/// client notices.
pub(super) async fn serve<S>(host: &Arc<Host>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request| {
        let host = Arc::clone(host);
        async move { answer(&host, request, peer).await }
    });
    let _ = builder().serve_connection(TokioIo::new(stream), service).await;
}

/// Serves a connection that speaks TLS.
pub(super) async fn serve_tls<S>(host: &Arc<Host>, acceptor: &TlsAcceptor, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if let Ok(stream) = acceptor.accept(stream).await {
        serve(host, stream, peer).await;
    }
}

/// Serves the inside of a tunnel: whatever host the client asked the proxy for, it is the platform,
/// or somebody with a certificate of another name.
pub(super) async fn serve_tunnel<S>(host: &Arc<Host>, stream: S, peer: Peer, stranger: bool)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let acceptor = if stranger { &host.stranger } else { &host.acceptor };
    let mut stream = BufReader::new(stream);
    match stream.fill_buf().await {
        Ok([TLS_HANDSHAKE, ..]) => serve_tls(host, acceptor, stream, peer).await,
        Ok([_, ..]) => serve(host, stream, peer).await,
        _ => {}
    }
}

/// Asks the platform, or lets the proxy on the way fail, and takes as long as it says.
pub(super) async fn answer(
    host: &Host,
    request: hyper::Request<Incoming>,
    peer: Peer,
) -> Result<hyper::Response<PlanBody>, BrokenOff> {
    let (head, body) = request.into_parts();
    let body = match body.is_end_stream() {
        true => Bytes::new(),
        false => Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_or_else(|_| Bytes::new(), |body| body.to_bytes()),
    };
    let asked = Request::new(&head.method, &head.uri, &head.headers).with_body(&body);
    let now = host.clock.now();
    let fault = peer.proxy.and_then(|proxy| host.platform.proxy_fault(proxy, now, false));
    if let Some(fault) = fault
        && fault.is_of_connection()
    {
        return match fault {
            ProxyFault::Hang => std::future::pending().await,
            _ => Err(BrokenOff),
        };
    }
    let mut plan = match fault.and_then(|fault| host.platform.proxy_page(fault, now)) {
        Some(page) => page,
        None => host.platform.handle(&asked, now, &peer),
    };
    match fault {
        Some(ProxyFault::Reset { bytes }) => {
            plan.delivery = Delivery::CutAt { bytes, announced: true };
        }
        Some(ProxyFault::Slow { ms }) => plan.delay += Duration::from_millis(ms),
        _ => {}
    }
    respond(plan).await
}

async fn respond(plan: Plan) -> Result<hyper::Response<PlanBody>, BrokenOff> {
    let Plan { delay, status, mut headers, mut body, delivery, flight, .. } = plan;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match delivery {
        Delivery::Reset => return Err(BrokenOff),
        Delivery::Hang => return std::future::pending().await,
        Delivery::Gzip | Delivery::GzipBroken => {
            let works = delivery == Delivery::Gzip;
            body = if works { gzip::pack(&body) } else { gzip::broken() }.into();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => {}
    }
    let wire = delivery.wire(body);
    let framing = wire.framing;
    let mut response = hyper::Response::new(PlanBody::new(wire, flight));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if framing == Framing::Close {
        // In HTTP/1.1 there would be chunks.
        *response.version_mut() = hyper::Version::HTTP_10;
    }
    Ok(response)
}

/// A body that keeps its session busy.
///
/// The connection drops it once it has taken over all bytes, just before it writes them: a client
/// cannot have seen the end of the answer earlier, so its next request never overlaps by accident.
#[derive(Debug)]
pub(super) struct PlanBody {
    wire: Wire,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether the connection had its turn to write the last bytes before it breaks.
    flushed: bool,
    _flight: Flight,
}

impl PlanBody {
    fn new(wire: Wire, flight: Flight) -> Self {
        Self { wire, pause: None, flushed: false, _flight: flight }
    }
}

impl Default for PlanBody {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&'static str> for PlanBody {
    fn from(text: &'static str) -> Self {
        let body = Bytes::from_static(text.as_bytes());
        Self::new(Delivery::Whole.wire(body), Flight::default())
    }
}

impl Body for PlanBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Wire { piece, pause, broken, .. } = self.wire;
        if self.wire.data.is_empty() {
            if !broken {
                return Poll::Ready(None);
            }
            if self.flushed {
                return Poll::Ready(Some(Err(BrokenOff)));
            }
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !pause.is_zero() {
            let sleep = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            std::task::ready!(sleep.as_mut().poll(cx));
            self.pause = None;
        }
        let length = piece.min(self.wire.data.len());
        Poll::Ready(Some(Ok(Frame::data(self.wire.data.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.wire.data.is_empty() && !self.wire.broken
    }

    fn size_hint(&self) -> SizeHint {
        match self.wire.framing {
            // What is announced, whether it comes or not.
            Framing::Length(length) if self.wire.broken => SizeHint::with_exact(length),
            Framing::Length(_) => SizeHint::with_exact(self.wire.data.len() as u64),
            Framing::Chunked | Framing::Close => SizeHint::default(),
        }
    }
}
