//! What a request is and where it came from.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Method, Uri, header};
use serde::Serialize;

/// A request as the platform sees it: the head is all that it looks at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl<'a> Request<'a> {
    /// A request with this head. Only the path and the query of the URI count.
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self { method, uri, headers }
    }

    pub(crate) fn method(&self) -> &'a Method {
        self.method
    }

    pub(crate) fn path(&self) -> &'a str {
        self.uri.path()
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The decoded values of a query parameter, in order.
    pub(crate) fn params(&self, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
        self.uri
            .query()
            .unwrap_or("")
            .split('&')
            .filter_map(move |part| part.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| percent_decode(value.as_bytes(), true))
    }

    /// The decoded value of the first cookie with this name.
    pub(crate) fn cookie(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.headers
            .get_all(header::COOKIE)
            .into_iter()
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
            .find_map(|pair| {
                let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                Some(percent_decode(value, false))
            })
    }
}

impl<'a, B> From<&'a http::Request<B>> for Request<'a> {
    fn from(request: &'a http::Request<B>) -> Self {
        Self::new(request.method(), request.uri(), request.headers())
    }
}

/// Decodes `%41` (and `+` in a query); what is no escape stays as it is.
fn percent_decode(text: &[u8], plus_is_space: bool) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| hex_digit(byte));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) if plus_is_space => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    Cow::Owned(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// The proxy it came through, if any.
    pub proxy: Option<ProxyId>,
    /// The socket address of the client.
    pub addr: SocketAddr,
}

impl Peer {
    /// A client that uses no proxy.
    pub const fn direct(addr: SocketAddr) -> Self {
        Self { proxy: None, addr }
    }

    /// A client behind a proxy.
    pub const fn via(proxy: ProxyId, addr: SocketAddr) -> Self {
        Self { proxy: Some(proxy), addr }
    }

    pub(crate) fn address(&self) -> Address {
        self.proxy.map_or(Address::Direct(self.addr.ip()), Address::Proxy)
    }
}

/// What the platform sees as one address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Address {
    Proxy(ProxyId),
    Direct(IpAddr),
}

/// The number of a proxy.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ProxyId(u32);

impl ProxyId {
    /// The proxy with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}", self.0)
    }
}

/// The endpoints of the platform.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Route {
    /// Anything that is no endpoint.
    Other,
    /// A profile by name: `/api/v1/users/web_profile_info/`.
    Profile,
    /// The reels of up to 50 accounts: `/api/v1/feed/reels_media/`.
    Reels,
    /// Who am I: `/graphql/query/` with the hash of that query.
    Viewer,
}

impl Route {
    pub(crate) const ALL: [Self; 4] = [Self::Other, Self::Profile, Self::Reels, Self::Viewer];

    /// The query hash of "who am I".
    const VIEWER_HASH: &'static [u8] = b"d6f4427fbe92d846298cf93df0b937d3";

    pub(crate) fn of(request: &Request<'_>) -> Self {
        if request.method() != Method::GET {
            return Self::Other;
        }
        match request.path() {
            "/api/v1/users/web_profile_info/" => Self::Profile,
            "/api/v1/feed/reels_media/" => Self::Reels,
            "/graphql/query/"
                if request.params("query_hash").any(|hash| *hash == *Self::VIEWER_HASH) =>
            {
                Self::Viewer
            }
            _ => Self::Other,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Profile => "profile",
            Self::Reels => "reels",
            Self::Viewer => "viewer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_half_escapes_kept() {
        assert_eq!(&*percent_decode(b"4200%3Aabc%3a1", false), b"4200:abc:1");
        assert_eq!(&*percent_decode(b"a+b%20c", true), b"a b c");
        assert_eq!(&*percent_decode(b"a+b", false), b"a+b");
        assert_eq!(&*percent_decode(b"%4%zz%", true), b"%4%zz%");
    }

    #[test]
    fn cookies_are_found_in_any_line() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "xsessionid=no; mid=1".parse().unwrap());
        headers.append("cookie", "a=b;  sessionid=7%3Ax; sessionid=late".parse().unwrap());
        let uri = Uri::from_static("/");
        let request = Request::new(&Method::GET, &uri, &headers);
        assert_eq!(request.cookie("sessionid").as_deref(), Some(&b"7:x"[..]));
        assert_eq!(request.cookie("rur"), None);
    }

    #[test]
    fn params_keep_their_order() {
        let uri = Uri::from_static("/?reel_ids=1&x=2&reel_ids=%33&reel_ids");
        let headers = HeaderMap::new();
        let request = Request::new(&Method::GET, &uri, &headers);
        let ids: Vec<_> = request.params("reel_ids").map(Cow::into_owned).collect();
        assert_eq!(ids, [b"1", b"3"]);
    }
}
