use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use story_checker_core::{Class, Fault, Scope};

/// What went wrong with a request that got no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The body is longer than it may be.
    BodyTooLarge,
    /// The server cannot be reached.
    Connect,
    /// What came is not HTTP, or its encoding is broken.
    Decode,
    /// The request itself cannot be sent: our mistake.
    InvalidRequest,
    /// The proxy does not accept our credentials.
    ProxyAuth,
    /// The proxy cannot be reached.
    ProxyConnect,
    /// The proxy answered, but did not let us through.
    ProxyOther,
    /// The connection broke off before the answer began, or was reset.
    Reset,
    /// The time was up.
    Timeout {
        /// Whether the head of the answer was still missing.
        before_head: bool,
    },
    /// No safe connection: the handshake failed, or the certificate is not the server's.
    Tls,
    /// The body ended before its end.
    Truncated,
}

/// A request without a usable answer.
///
/// `Display` says what happened and what to do; the cause is the [`source`](StdError::source).
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    proxied: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// An error on a direct connection.
    #[must_use]
    pub const fn new(kind: TransportErrorKind) -> Self {
        Self { kind, proxied: false, source: None }
    }

    /// Says whether the request went through a proxy.
    #[must_use]
    pub fn with_proxied(mut self, proxied: bool) -> Self {
        self.proxied = proxied;
        self
    }

    /// Keeps the cause. Its text must not contain secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request went through a proxy.
    #[must_use]
    pub const fn proxied(&self) -> bool {
        self.proxied
    }

    /// The one table from what went wrong to whose fault it is. The session is never to blame: no
    /// answer says nothing about who asked.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        use TransportErrorKind as Kind;

        let peer = if self.proxied { Scope::Proxy } else { Scope::Endpoint };
        let (class, scope) = match self.kind {
            Kind::ProxyAuth | Kind::ProxyConnect | Kind::ProxyOther => {
                (Class::Blocked, Scope::Proxy)
            }
            // The peer of a proxied connection is the proxy: one reset is no proof against it, but
            // several in a row are, and that is what this scope counts.
            Kind::Connect | Kind::Reset => (Class::Transient, peer),
            Kind::Timeout { .. } => (Class::Timeout, peer),
            Kind::Truncated => (Class::Malformed, peer),
            // Behind a proxy a foreign certificate is the proxy's: it reads along, or shows a page.
            Kind::Tls if self.proxied => (Class::Malformed, Scope::Proxy),
            Kind::Tls => (Class::Transient, Scope::Endpoint),
            Kind::BodyTooLarge | Kind::Decode => (Class::Malformed, Scope::Endpoint),
            Kind::InvalidRequest => (Class::Permanent, Scope::Ours),
        };
        let message = match self.detail() {
            Some(detail) => Cow::Owned(format!("{self} ({detail})")),
            None => Cow::Borrowed(self.text()),
        };
        Fault::new(class, scope, message)
    }

    const fn text(&self) -> &'static str {
        use TransportErrorKind as Kind;

        match (self.kind, self.proxied) {
            (Kind::BodyTooLarge, _) => "the answer is longer than any real one: it was given up",
            (Kind::Connect, _) => "the platform's server cannot be reached",
            (Kind::Decode, _) => "what came back is not HTTP, or its encoding is broken",
            (Kind::InvalidRequest, _) => {
                "the request cannot be sent: check base URL, headers and proxy address"
            }
            (Kind::ProxyAuth, _) => {
                "the proxy does not accept our credentials: check its user and password"
            }
            (Kind::ProxyConnect, _) => {
                "the proxy cannot be reached: check its address and that it is running"
            }
            (Kind::ProxyOther, _) => {
                "the proxy did not let the request through: check its scheme and its rules"
            }
            (Kind::Reset, true) => "the connection through the proxy broke before the answer",
            (Kind::Reset, false) => "the server broke the connection before the answer",
            (Kind::Timeout { before_head: true }, true) => "no answer in time through the proxy",
            (Kind::Timeout { before_head: true }, false) => "no answer in time from the server",
            (Kind::Timeout { before_head: false }, true) => {
                "the answer through the proxy began, but did not end in time"
            }
            (Kind::Timeout { before_head: false }, false) => {
                "the answer began, but did not end in time"
            }
            (Kind::Tls, true) => "no safe connection through the proxy: it may show its own page",
            (Kind::Tls, false) => "no safe connection to the server: check its certificate",
            (Kind::Truncated, true) => "the answer broke off in the middle, through the proxy",
            (Kind::Truncated, false) => "the answer broke off in the middle",
        }
    }

    /// The innermost cause, if its text is one of those known to be plain.
    fn detail(&self) -> Option<String> {
        let mut cause = self.source();
        let mut detail = None;
        while let Some(error) = cause {
            if let Some(tls) = tls_error(error) {
                detail = Some(tls.to_string());
            } else if let Some(io) = io_error(error) {
                detail = Some(io.kind().to_string());
            }
            cause = error.source();
        }
        detail.filter(|_| !matches!(self.kind, TransportErrorKind::Timeout { .. }))
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The I/O error that this cause is, or wraps: such a wrapper shows only what lies behind the wrapped
/// one in its chain.
pub(super) fn io_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut io = cause.downcast_ref::<io::Error>()?;
    while let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref()) {
        io = inner;
    }
    Some(io)
}

/// The TLS error that this cause is, or wraps.
pub(super) fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref().or_else(|| io_error(cause)?.get_ref()?.downcast_ref())
}

#[cfg(test)]
mod tests {
    use story_checker_core::charge::{SessionCharge, charge};

    use super::TransportErrorKind as Kind;
    use super::*;

    #[test]
    fn each_kind_has_its_class_and_scope() {
        use Class::{Blocked, Malformed, Permanent, Timeout, Transient};
        use Scope::{Endpoint, Ours, Proxy};

        // (kind, on a direct connection, through a proxy)
        for (kind, direct, proxied) in [
            (Kind::BodyTooLarge, (Malformed, Endpoint), (Malformed, Endpoint)),
            (Kind::Connect, (Transient, Endpoint), (Transient, Proxy)),
            (Kind::Decode, (Malformed, Endpoint), (Malformed, Endpoint)),
            (Kind::InvalidRequest, (Permanent, Ours), (Permanent, Ours)),
            (Kind::ProxyAuth, (Blocked, Proxy), (Blocked, Proxy)),
            (Kind::ProxyConnect, (Blocked, Proxy), (Blocked, Proxy)),
            (Kind::ProxyOther, (Blocked, Proxy), (Blocked, Proxy)),
            (Kind::Reset, (Transient, Endpoint), (Transient, Proxy)),
            (Kind::Timeout { before_head: true }, (Timeout, Endpoint), (Timeout, Proxy)),
            (Kind::Timeout { before_head: false }, (Timeout, Endpoint), (Timeout, Proxy)),
            (Kind::Tls, (Transient, Endpoint), (Malformed, Proxy)),
            (Kind::Truncated, (Malformed, Endpoint), (Malformed, Proxy)),
        ] {
            for (through, expected) in [(false, direct), (true, proxied)] {
                let fault = TransportError::new(kind).with_proxied(through).to_fault();
                assert_eq!((fault.class, fault.scope), expected, "{kind:?} {through}");
                let charge = charge(fault.class, fault.scope);
                assert_eq!(charge.session, SessionCharge::Nothing, "{kind:?}");
            }
        }
    }

    #[test]
    fn the_innermost_known_cause_is_told() {
        let error = TransportError::new(Kind::Connect)
            .with_source(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(
            error.to_fault().message,
            "the platform's server cannot be reached (connection refused)"
        );
        assert!(!error.to_string().contains("refused"));
    }
}
