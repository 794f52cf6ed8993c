//! What a reqwest error means.
//!
//! reqwest and hyper tell the phase by methods, but what a proxy said only by text: their error
//! types cannot be named. The tests against real sockets notice when a text changes.

use std::error::Error as StdError;
use std::io::ErrorKind;

use super::error::{io_error, tls_error};
use super::{TransportError, TransportErrorKind as Kind};

/// Wraps an error; `head_seen` says whether the head of the answer was already there.
pub(super) fn wrap(error: reqwest::Error, proxied: bool, head_seen: bool) -> TransportError {
    let kind = kind(&error, proxied, head_seen);
    // The URL would bring its query into every text.
    TransportError::new(kind).with_proxied(proxied).with_source(error.without_url())
}

fn kind(error: &reqwest::Error, proxied: bool, head_seen: bool) -> Kind {
    if error.is_builder() {
        Kind::InvalidRequest
    } else if error.is_timeout() {
        Kind::Timeout { before_head: !head_seen }
    } else if error.is_connect() {
        connecting(error, proxied)
    } else {
        exchanging(error, head_seen)
    }
}

fn connecting(error: &reqwest::Error, proxied: bool) -> Kind {
    for cause in causes(error) {
        if tls_error(cause).is_some() {
            return Kind::Tls;
        }
        let text = cause.to_string();
        if let Some(text) = text.strip_prefix("tunnel error: ") {
            return match text {
                "proxy authorization required" => Kind::ProxyAuth,
                "failed to create underlying connection" => Kind::ProxyConnect,
                _ => Kind::ProxyOther,
            };
        }
        if let Some(text) = text.strip_prefix("SOCKS error: ") {
            return match text {
                "failed to create underlying connection" => Kind::ProxyConnect,
                "credentials not accepted"
                | "server does not support user/pass authentication"
                | "server implements authentication incorrectly" => Kind::ProxyAuth,
                _ => Kind::ProxyOther,
            };
        }
        if let Some(io) = io_error(cause)
            && matches!(
                io.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            )
        {
            // There was a connection: it broke in the handshake.
            return Kind::Tls;
        }
    }
    if proxied { Kind::ProxyConnect } else { Kind::Connect }
}

fn exchanging(error: &reqwest::Error, head_seen: bool) -> Kind {
    let broken = if head_seen { Kind::Truncated } else { Kind::Reset };
    for cause in causes(error) {
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            if hyper.is_parse() || hyper.is_parse_too_large() {
                return Kind::Decode;
            }
            if hyper.is_incomplete_message() {
                return broken;
            }
        }
        if let Some(io) = io_error(cause) {
            match io.kind() {
                ErrorKind::UnexpectedEof => return broken,
                ErrorKind::BrokenPipe
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset => return Kind::Reset,
                ErrorKind::InvalidData | ErrorKind::InvalidInput => return Kind::Decode,
                _ => {}
            }
        }
    }
    if head_seen { Kind::Decode } else { Kind::Reset }
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
