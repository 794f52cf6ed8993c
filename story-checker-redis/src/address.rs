//! Where the server is: the URL, taken apart.

use std::fmt;

use redis::{ConnectionInfo, IntoConnectionInfo};
use story_checker_core::{Error, Result};

const OPERATION: &str = "open the Redis store";

/// One server, or some nodes of a cluster.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) nodes: Vec<ConnectionInfo>,
    pub(crate) cluster: bool,
    shown: String,
}

impl Address {
    /// Reads `redis://`, `rediss://`, `redis+cluster://` or `rediss+cluster://`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |what: &str| {
            let forms = "redis[s]://[user:password@]host[:port][/database] or \
                         redis[s]+cluster://[user:password@]host:port,host:port";
            Error::invalid(OPERATION, format!("{what}; the URL must read {forms}"))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it has no scheme"))?;
        let (scheme, cluster) = match scheme {
            "redis" | "rediss" => (scheme, false),
            "redis+cluster" => ("redis", true),
            "rediss+cluster" => ("rediss", true),
            _ => return Err(invalid("its scheme is not one of Redis")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        if hosts.is_empty() {
            return Err(invalid("it names no host"));
        }
        let hosts: Vec<_> = if cluster { hosts.split(',').collect() } else { vec![hosts] };
        let mut nodes = Vec::new();
        for host in &hosts {
            let node = format!("{scheme}://{user}{host}{tail}");
            // The cause could quote the URL, and with it the password.
            let node = node.as_str().into_connection_info();
            nodes.push(node.map_err(|_| invalid("it cannot be read"))?);
        }
        let plus = if cluster { "+cluster" } else { "" };
        let path = tail.split(['?', '#']).next().unwrap_or_default();
        let shown = format!("{scheme}{plus}://{}{path}", hosts.join(","));
        Ok(Self { nodes, cluster, shown })
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_without_its_password() {
        for (url, nodes, shown) in [
            ("redis://localhost", 1, "redis://localhost"),
            ("redis://u:PLANTED@h:7000/3", 1, "redis://h:7000/3"),
            ("rediss://:PLANTED@h", 1, "rediss://h"),
            ("redis+cluster://u:PLANTED@a:1,b:2,c:3", 3, "redis+cluster://a:1,b:2,c:3"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.nodes.len(), address.to_string().as_str()), (nodes, shown));
            assert!(!format!("{address:?}").contains("PLANTED"));
        }
    }

    #[test]
    fn what_is_no_url_of_redis_is_refused_without_quoting_it() {
        for url in ["", "h:1", "http://u:PLANTED@h", "redis://", "redis://u:PLANTED@h:port"] {
            let error = Address::parse(url).unwrap_err();
            assert!(!error.to_string().contains("PLANTED"), "{error}");
            assert!(error.to_string().contains("the URL must read"), "{error}");
        }
    }
}
