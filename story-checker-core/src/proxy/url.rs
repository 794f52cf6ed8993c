//! Proxy addresses, in the forms that proxy lists use.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::secret::Secret;

/// How to speak to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// HTTP: `CONNECT` for https targets, absolute form for http ones.
    Http,
    /// HTTP inside TLS.
    Https,
    /// SOCKS4, names resolved here. It knows no password.
    Socks4,
    /// SOCKS4a: SOCKS4, names resolved by the proxy.
    Socks4a,
    /// SOCKS5, names resolved here.
    Socks5,
    /// SOCKS5, names resolved by the proxy.
    Socks5h,
}

impl ProxyScheme {
    /// The scheme as it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

/// The address of a proxy, with credentials if it wants them.
///
/// Reads `scheme://user:password@host:port` (credentials may be percent-encoded), `host:port` and
/// the sellers' `host:port:user:password` and `user:password:host:port`; without a scheme it is
/// `http`. IPv6 addresses stand in brackets. `Display` and `Debug` leave the credentials out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    credentials: Option<(Secret, Secret)>,
}

/// A text that is no proxy address. Never quotes the text: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}; use scheme://user:password@host:port, host:port or host:port:user:password")]
pub struct InvalidProxy(pub(super) &'static str);

impl ProxyUrl {
    /// How to speak to it.
    #[must_use]
    pub const fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// User and password, decoded.
    #[must_use]
    pub fn credentials(&self) -> Option<(&Secret, &Secret)> {
        self.credentials.as_ref().map(|(user, password)| (user, password))
    }
}

impl FromStr for ProxyUrl {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (parse_scheme(scheme)?, rest),
            None => (ProxyScheme::Http, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // The last @ ends the credentials: passwords may contain one.
        let (host, port, credentials) = match rest.rsplit_once('@') {
            Some((userinfo, address)) => {
                let (host, port, seller) = host_first(address)?;
                if seller.is_some() {
                    return Err(InvalidProxy("it has credentials twice"));
                }
                let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                (host, port, Some((percent_decode(user)?, percent_decode(password)?)))
            }
            None => {
                let (host, port, seller) = without_userinfo(rest)?;
                (host, port, seller.map(|(user, password)| (user.into(), password.into())))
            }
        };
        if let Some(credentials) = &credentials {
            check_credentials(scheme, credentials)?;
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port, credentials })
    }
}

/// Host, port, and what a seller wrote beside them: user and password.
type Parts<'a> = (&'a str, u16, Option<(&'a str, &'a str)>);

fn without_userinfo(text: &str) -> Result<Parts<'_>, InvalidProxy> {
    match (host_first(text), host_last(text)) {
        (Ok((host, _, Some(_))), Some(_)) if !is_surely_host(host) => {
            Err(InvalidProxy("user and password may stand before or after the address"))
        }
        (Err(_), Some(last)) => Ok(last),
        (first, _) => first,
    }
}

/// Reads `host:port` and `host:port:user:password`.
fn host_first(text: &str) -> Result<Parts<'_>, InvalidProxy> {
    let (host, after) = split_host(text)?;
    let (port, seller) = match after.split_once(':') {
        Some((port, seller)) => (port, Some(seller)),
        None => (after, None),
    };
    let port = parse_port(port)?;
    let seller = seller.map(|seller| {
        let missing = InvalidProxy("a user stands after the port, but no password");
        seller.split_once(':').ok_or(missing)
    });
    Ok((host, port, seller.transpose()?))
}

/// Reads `user:password:host:port`, if the third part cannot be anything but a host.
fn host_last(text: &str) -> Option<Parts<'_>> {
    let (rest, port) = text.rsplit_once(':')?;
    let port = parse_port(port).ok()?;
    let (credentials, host) = match rest.strip_suffix(']') {
        Some(rest) => {
            rest.rsplit_once(":[").filter(|(_, host)| host.parse::<Ipv6Addr>().is_ok())?
        }
        None => rest.rsplit_once(':').filter(|(_, host)| is_host(host) && is_surely_host(host))?,
    };
    Some((host, port, Some(credentials.split_once(':')?)))
}

fn parse_port(text: &str) -> Result<u16, InvalidProxy> {
    match text.parse() {
        Ok(0) | Err(_) => Err(InvalidProxy("the port is not a number from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

fn parse_scheme(scheme: &str) -> Result<ProxyScheme, InvalidProxy> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(ProxyScheme::Http),
        "https" => Ok(ProxyScheme::Https),
        "socks4" => Ok(ProxyScheme::Socks4),
        "socks4a" => Ok(ProxyScheme::Socks4a),
        "socks5" => Ok(ProxyScheme::Socks5),
        "socks5h" => Ok(ProxyScheme::Socks5h),
        _ => Err(InvalidProxy(
            "the scheme is none of http, https, socks4, socks4a, socks5 and socks5h",
        )),
    }
}

/// What the protocol cannot carry would be cut or left out on the way.
fn check_credentials(
    scheme: ProxyScheme,
    (user, password): &(Secret, Secret),
) -> Result<(), InvalidProxy> {
    match scheme {
        ProxyScheme::Http | ProxyScheme::Https if user.expose().contains(':') => {
            Err(InvalidProxy("a user of an http proxy cannot contain a colon"))
        }
        ProxyScheme::Socks4 | ProxyScheme::Socks4a => {
            Err(InvalidProxy("socks4 knows no password: ask for socks5, or leave the user out"))
        }
        ProxyScheme::Socks5 | ProxyScheme::Socks5h
            if user.expose().len().max(password.expose().len()) > 255 =>
        {
            Err(InvalidProxy("user and password of socks5 have 255 bytes each at most"))
        }
        _ => Ok(()),
    }
}

/// Splits `host:rest`; the host of `[::1]:rest` is `::1`.
fn split_host(address: &str) -> Result<(&str, &str), InvalidProxy> {
    let parts = match address.strip_prefix('[') {
        Some(bracketed) => {
            bracketed.split_once("]:").filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())
        }
        None => address.split_once(':').filter(|(host, _)| is_host(host)),
    };
    parts.ok_or(InvalidProxy("there is no host with a port"))
}

fn is_host(host: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=253).contains(&host.len()) && host.bytes().all(legal)
}

/// Whether a text that could be a user too is more likely a host.
fn is_surely_host(host: &str) -> bool {
    host.contains(['.', ':']) || host.eq_ignore_ascii_case("localhost")
}

fn percent_decode(text: &str) -> Result<Secret, InvalidProxy> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|&digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(InvalidProxy("a % in the credentials is not followed by two hex digits"));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    let text = String::from_utf8(bytes);
    text.map(Secret::new).map_err(|_| InvalidProxy("the decoded credentials are not UTF-8"))
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.as_str();
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ProxyUrl({self}{})",
            if self.credentials.is_some() { ", [redacted]" } else { "" }
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (String, Option<(String, String)>) {
        let url: ProxyUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let credentials = url.credentials();
        let expose = |(user, password): (&Secret, &Secret)| {
            (user.expose().to_owned(), password.expose().to_owned())
        };
        (url.to_string(), credentials.map(expose))
    }

    #[test]
    fn every_form_of_the_lists_is_read() {
        let with = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, address, credentials) in [
            ("proxy.sim.test:8080", "http://proxy.sim.test:8080", None),
            ("HTTP://10.0.0.1:3128/", "http://10.0.0.1:3128", None),
            ("socks5h://[::1]:1080", "socks5h://[::1]:1080", None),
            ("https://u:p@Host.Test:443", "https://host.test:443", with("u", "p")),
            ("host:1:user:pa:ss", "http://host:1", with("user", "pa:ss")),
            ("socks5://u%3A1:p%40%25@h:1", "socks5://h:1", with("u:1", "p@%")),
            ("http://package;sess=1:p@ss@h:1", "http://h:1", with("package;sess=1", "p@ss")),
            ("  http://only-user@h:1  ", "http://h:1", with("only-user", "")),
            ("h:1:package-9;ttl=60:p", "http://h:1", with("package-9;ttl=60", "p")),
            ("user:pa:ss:10.0.0.1:3128", "http://10.0.0.1:3128", with("user", "pa:ss")),
            ("u:p:[::1]:1080", "http://[::1]:1080", with("u", "p")),
            ("socks5h://u:p:gate.test:99", "socks5h://gate.test:99", with("u", "p")),
            ("gate.test:99:my.user:3128", "http://gate.test:99", with("my.user", "3128")),
            ("[::1]:99:u:p", "http://[::1]:99", with("u", "p")),
            ("socks4://10.0.0.1:1080", "socks4://10.0.0.1:1080", None),
            ("socks4a://gate.test:1080", "socks4a://gate.test:1080", None),
        ] {
            assert_eq!(parts(text), (address.to_owned(), credentials), "{text}");
        }
    }

    #[test]
    fn bad_addresses_are_refused_without_quoting_them() {
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:80:useronly",
            "ftp://h:1",
            "http://:80",
            "http://u:PLANTED%zz@h:1",
            "[::1:80",
            "[nonsense]:80",
            "h st:80",
            "http://u:p@h:1:a:PLANTED",
            // Either could be the host.
            "PLANTED:8080:gate.test:3128",
            // A mistyped port must not turn the user into the host.
            "gate:80x:user:3128",
            "socks4://PLANTED@h:1",
            "socks4a://h:1:u:PLANTED",
            "http://u%3APLANTED:p@h:1",
            &format!("socks5://{}:p@h:1", "PLANTED".repeat(37)),
        ] {
            let error = text.parse::<ProxyUrl>().expect_err(text).to_string();
            assert!(!error.contains("PLANTED") && error.contains("; use "), "{error}");
        }
    }

    #[test]
    fn the_password_is_in_neither_text_form() {
        let url: ProxyUrl = "http://PLANTED-user:PLANTED-password@h:1".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("PLANTED"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,60}") {
            if let Ok(url) = text.parse::<ProxyUrl>() {
                prop_assert!(url.to_string().parse::<ProxyUrl>().is_ok());
            }
        }
    }
}
