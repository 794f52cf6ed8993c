//! One connection to the platform.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};

use super::Host;
use crate::platform::Plan;
use crate::request::{Peer, Request};
use crate::traffic::Flight;

/// The largest request head; larger ones are answered 431.
const MAX_HEAD: usize = 64 * 1024;
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

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
        async move { Ok::<_, Infallible>(answer(&host, &request, peer).await) }
    });
    let _ = builder().serve_connection(TokioIo::new(stream), service).await;
}

/// Serves a connection that speaks TLS.
pub(super) async fn serve_tls<S>(host: &Arc<Host>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if let Ok(stream) = host.acceptor.accept(stream).await {
        serve(host, stream, peer).await;
    }
}

/// Serves the inside of a tunnel: whatever host the client asked the proxy for, it is the platform.
pub(super) async fn serve_tunnel<S>(host: &Arc<Host>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut stream = BufReader::new(stream);
    match stream.fill_buf().await {
        Ok([TLS_HANDSHAKE, ..]) => serve_tls(host, stream, peer).await,
        Ok([_, ..]) => serve(host, stream, peer).await,
        _ => {}
    }
}

/// Asks the platform and takes as long as it says.
pub(super) async fn answer(
    host: &Host,
    request: &hyper::Request<Incoming>,
    peer: Peer,
) -> hyper::Response<PlanBody> {
    let plan = host.platform.handle(&Request::from(request), host.clock.now(), &peer);
    let Plan { delay, status, headers, body, flight, .. } = plan;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut response = hyper::Response::new(PlanBody { data: Some(body), _flight: flight });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A complete body that keeps its session busy.
///
/// The connection drops it once it has taken over all bytes, just before it writes them: a client
/// cannot have seen the end of the answer earlier, so its next request never overlaps by accident.
#[derive(Debug, Default)]
pub(super) struct PlanBody {
    data: Option<Bytes>,
    _flight: Flight,
}

impl From<&'static str> for PlanBody {
    fn from(text: &'static str) -> Self {
        Self { data: Some(Bytes::from_static(text.as_bytes())), _flight: Flight::default() }
    }
}

impl Body for PlanBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.data.take().filter(|data| !data.is_empty()).map(|data| Ok(Frame::data(data))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
