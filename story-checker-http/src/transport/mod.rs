//! The port that sends requests.

mod connect;
mod error;
mod reqwest;
mod reqwest_error;
mod tls;

use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method, StatusCode, Version, header};
use story_checker_core::proxy::Proxy;
use tokio::time::Instant;
use url::Url;

pub use self::error::{TransportError, TransportErrorKind};
pub use self::reqwest::{ReqwestTransport, ReqwestTransportConfig};
pub use self::tls::InvalidTransport;

/// Sends one request and brings back its answer.
///
/// # Contract
/// * The request goes through [`Request::proxy`] or fails; it never goes another way.
/// * Redirects are answers. Cookies are headers. Nothing is sent twice.
/// * The body comes decoded if the transport asked for an encoding by itself.
/// * [`Request::timeout`] covers everything from the call of `send` to the end of the body.
#[async_trait]
pub trait Transport: Debug + Display + Send + Sync + 'static {
    /// Sends the request and returns when the head of the answer is there.
    ///
    /// # Errors
    /// [`TransportError`] if there is no answer; an answer of any status is none.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request; the server may have seen it.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

const _: Option<&dyn Transport> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: Transport + ?Sized> Transport for $pointer {
            async fn send(&self, request: Request) -> Result<Response, TransportError> {
                (**self).send(request).await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);

/// One request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// All headers that are not the transport's own business (host, length, encoding).
    pub headers: HeaderMap,
    /// The body; empty for most.
    pub body: Bytes,
    /// The only way out; none means a direct connection.
    pub proxy: Option<Arc<Proxy>>,
    /// How long everything may take, from sending to the last byte of the answer.
    pub timeout: Duration,
}

impl Request {
    /// A `GET` without headers, sent directly.
    #[must_use]
    pub fn get(url: Url, timeout: Duration) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            proxy: None,
            timeout,
        }
    }

    /// Sets the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Sends it through this proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<Arc<Proxy>>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Makes it a `POST` of this body.
    #[must_use]
    pub fn with_post(mut self, body: impl Into<Bytes>) -> Self {
        self.method = Method::POST;
        self.body = body.into();
        self
    }
}

impl Debug for Request {
    /// Leaves out headers and query: they hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("proxy", &self.proxy.as_ref().map(|proxy| proxy.id()))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The body of an answer, piece by piece.
pub type BodyStream = BoxStream<'static, Result<Bytes, TransportError>>;

/// The head of an answer.
#[derive(Clone)]
#[non_exhaustive]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The version of HTTP that was spoken.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
}

impl Head {
    /// A head by its parts.
    #[must_use]
    pub const fn new(status: StatusCode, version: Version, headers: HeaderMap) -> Self {
        Self { status, version, headers }
    }
}

impl Debug for Head {
    /// Leaves out the headers: they hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("status", &self.status)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// An answer whose body is still coming.
#[non_exhaustive]
pub struct Response {
    /// The head.
    pub head: Head,
    /// The body.
    pub body: BodyStream,
    /// When the request was sent.
    pub sent_at: Instant,
    /// The time from sending to the end of the head.
    pub head_after: Duration,
    /// How long a new connection took to make, as a part of `head_after`; 0 if one was there.
    pub connect: Duration,
}

impl Response {
    /// An answer to a request sent at `sent_at`, whose head is there now.
    #[must_use]
    pub fn new(head: Head, body: BodyStream, sent_at: Instant) -> Self {
        Self { head, body, sent_at, head_after: sent_at.elapsed(), connect: Duration::ZERO }
    }

    /// Adds the time that a new connection took.
    #[must_use]
    pub const fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// [`TransportErrorKind::BodyTooLarge`] as soon as it is longer than `limit` bytes, and what the
    /// transport reports while reading.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the rest of the answer.
    pub async fn collect(mut self, limit: usize) -> Result<Collected, TransportError> {
        let too_large = || TransportError::new(TransportErrorKind::BodyTooLarge);
        let announced = self.head.headers.get(header::CONTENT_LENGTH);
        let announced: Option<usize> =
            announced.and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        // Most bodies come in one piece, which is then not copied.
        let mut body = self.body.next().await.transpose()?.unwrap_or_default();
        if body.len() > limit {
            return Err(too_large());
        }
        let mut rest = None;
        while let Some(piece) = self.body.next().await.transpose()? {
            let whole = rest.get_or_insert_with(|| {
                let mut whole =
                    BytesMut::with_capacity(announced.unwrap_or(4 * body.len()).min(limit));
                whole.extend_from_slice(&body);
                whole
            });
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        if let Some(whole) = rest {
            body = whole.freeze();
        }
        let took = self.sent_at.elapsed();
        let Self { head, head_after, connect, .. } = self;
        Ok(Collected { head, body, head_after, connect, took })
    }
}

impl Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("head", &self.head)
            .field("head_after", &self.head_after)
            .finish_non_exhaustive()
    }
}

/// An answer that is all there.
#[derive(Clone)]
#[non_exhaustive]
pub struct Collected {
    /// The head.
    pub head: Head,
    /// The body, decoded.
    pub body: Bytes,
    /// The time from sending to the end of the head.
    pub head_after: Duration,
    /// How long a new connection took to make, as a part of `head_after`; 0 if one was there.
    pub connect: Duration,
    /// The time from sending to the end of the body.
    pub took: Duration,
}

impl Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("head", &self.head)
            .field("bytes", &self.body.len())
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;

    use super::*;

    fn response(pieces: &[&'static str]) -> Response {
        let piece = |piece: &&'static str| Ok(Bytes::from_static(piece.as_bytes()));
        let pieces: Vec<_> = pieces.iter().map(piece).collect();
        let head = Head::new(StatusCode::OK, Version::HTTP_11, HeaderMap::new());
        Response::new(head, stream::iter(pieces).boxed(), Instant::now())
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_end_within_the_limit() {
        for (pieces, body) in
            [(&[][..], ""), (&["abc"], "abc"), (&["abc", "", "de"], "abcde"), (&["", "", "f"], "f")]
        {
            assert_eq!(response(pieces).collect(5).await.unwrap().body, body);
        }
        for pieces in [&["abcdef"][..], &["abc", "def"], &["abc", "de", "f"]] {
            let error = response(pieces).collect(5).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge);
        }
        let mut announced = response(&[]);
        announced.head.headers.insert(header::CONTENT_LENGTH, 6.into());
        let error = announced.collect(5).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge);
    }

    /// Of a body without end no more is read than the limit and one piece.
    #[tokio::test]
    async fn no_more_is_read_than_the_limit() {
        const PIECE: usize = 64 << 10;
        const SENT: usize = 20 << 20;
        for limit in [0, 1, PIECE - 1, PIECE, 1 << 20, SENT - 1, SENT, SENT + 1] {
            let read = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&read);
            let pieces = stream::iter(0..SENT / PIECE).map(move |_| {
                count.fetch_add(PIECE, Ordering::Relaxed);
                Ok(Bytes::from_static(&[b'x'; PIECE]))
            });
            let head = Head::new(StatusCode::OK, Version::HTTP_11, HeaderMap::new());
            let answer = Response::new(head, pieces.boxed(), Instant::now()).collect(limit).await;
            if limit < SENT {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge);
                assert!(read.load(Ordering::Relaxed) <= limit + PIECE, "{limit}");
            } else {
                assert_eq!(answer.unwrap().body.len(), SENT);
            }
        }
    }

    #[test]
    fn debug_texts_hold_neither_headers_nor_queries() {
        let url = Url::parse("https://user:PLANTED@sim.test/path?token=PLANTED").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "sessionid=PLANTED".parse().unwrap());
        let request = Request::get(url, Duration::from_secs(1)).with_headers(headers.clone());
        let mut response = response(&["PLANTED"]);
        response.head.headers = headers;
        let text = format!("{request:?} {response:?}");
        assert!(!text.contains("PLANTED") && text.contains("/path"), "{text}");
    }
}
