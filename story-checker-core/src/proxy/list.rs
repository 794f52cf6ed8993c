//! Proxy lists, as sellers and people write them.

use std::collections::{BTreeMap, HashSet};

use thiserror::Error;

use super::{InvalidProxy, Proxy, ProxyUrl};
use crate::id::{ProxyId, mix};

/// A line that is no proxy, or a list without any. Never quotes the line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidProxyList {
    /// There is nothing but comments and blanks.
    #[error("there is no proxy in the list: write one address per line")]
    Empty,
    /// A line cannot be understood.
    #[error("line {line}: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        why: InvalidProxy,
    },
}

/// Reads a list of proxies: one address per line, in any form that [`ProxyUrl`] knows.
///
/// A `#` begins a comment where a line begins or after a blank. What stands twice counts once. A
/// gateway that gives each of its users a way out of his own is as many proxies: the id of each is
/// the address and a hash of the user, which stays when the list is sorted or grows.
///
/// # Errors
/// [`InvalidProxyList`] with the line that is no proxy, or if there is none.
///
/// # Examples
/// ```
/// let proxies = story_checker_core::proxy::read_list(
///     "# ours\nsocks5h://user:password@gate.example:1080\ngate.example:8080  # no password\n",
/// )?;
/// assert_eq!(proxies[0].id().as_str(), "socks5h://gate.example:1080");
/// # Ok::<(), story_checker_core::proxy::InvalidProxyList>(())
/// ```
pub fn read_list(text: &str) -> Result<Vec<Proxy>, InvalidProxyList> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut by_address: BTreeMap<String, Vec<(usize, ProxyUrl)>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = content(line);
        if line.is_empty() {
            continue;
        }
        let url: ProxyUrl =
            line.parse().map_err(|why| InvalidProxyList::Line { line: index + 1, why })?;
        let same = by_address.entry(url.to_string()).or_default();
        if same.iter().all(|(_, known)| *known != url) {
            same.push((index, url));
        }
    }
    let mut proxies: Vec<(usize, Proxy)> = Vec::new();
    for (address, urls) in by_address {
        let shared = urls.len() > 1;
        let mut ids = HashSet::new();
        for (index, url) in urls {
            let mut id = address.clone();
            if let Some((user, _)) = url.credentials().filter(|_| shared) {
                id = format!("{address}#{:08x}", hash(user.expose()) >> 32);
            }
            let stem = id.clone();
            for number in 2.. {
                if ids.insert(id.clone()) {
                    break;
                }
                id = format!("{stem}-{number}");
            }
            proxies.push((index, Proxy::with_id(ProxyId::new(id), url)));
        }
    }
    if proxies.is_empty() {
        return Err(InvalidProxyList::Empty);
    }
    proxies.sort_by_key(|(index, _)| *index);
    Ok(proxies.into_iter().map(|(_, proxy)| proxy).collect())
}

/// A line without its comment and the blanks around it.
fn content(line: &str) -> &str {
    let mut before = ' ';
    let comment = line.char_indices().find(|&(_, letter)| {
        let starts = letter == '#' && before.is_whitespace();
        before = letter;
        starts
    });
    line[..comment.map_or(line.len(), |(at, _)| at)].trim()
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let proxies = read_list(text).unwrap();
        proxies.iter().map(|proxy| proxy.id().to_string()).collect()
    }

    #[test]
    fn lists_are_read_in_their_order() {
        let text =
            "\u{feff}# ours\r\n\r\nhttp://u:p#x@b.test:1\r\n\ta.test:2 # second\r\na.test:2\n";
        assert_eq!(ids(text), ["http://b.test:1", "http://a.test:2"]);
        let proxies = read_list(text).unwrap();
        assert_eq!(proxies[0].url().credentials().unwrap().1.expose(), "p#x");
    }

    #[test]
    fn users_of_one_gateway_are_proxies_of_their_own_whatever_their_order() {
        let lines = ["g.test:1:PLANTED-a:p", "g.test:1:PLANTED-b:p", "g.test:1"];
        let there = ids(&lines.join("\n"));
        let mut back = ids(&[lines[2], lines[1], lines[0], "h.test:1"].join("\n"));
        assert_eq!(back.pop().unwrap(), "http://h.test:1");
        back.reverse();
        assert_eq!(there, back);
        assert_eq!(there.iter().collect::<HashSet<_>>().len(), 3);
        assert!(!there.join(" ").contains("PLANTED"));
        assert_eq!(ids("g.test:1:u:p\ng.test:1:u:q").len(), 2, "another password");
        assert_eq!(ids("g.test:1:u:p\ng.test:1:u:p").len(), 1, "the same");
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        let error = read_list("a.test:1\n\nhttp://u:PLANTED@b.test:none").unwrap_err().to_string();
        assert!(error.starts_with("line 3: the port") && !error.contains("PLANTED"), "{error}");
        assert_eq!(read_list("# none\n"), Err(InvalidProxyList::Empty));
    }

    proptest! {
        #[test]
        fn no_list_panics_or_gives_two_proxies_one_id(
            lines in prop::collection::vec("(h|g)\\.test:1(:[ab]{1,2}:[ab])?|[ -~]{0,20}", 0..12),
        ) {
            if let Ok(proxies) = read_list(&lines.join("\n")) {
                let ids: HashSet<_> = proxies.iter().map(Proxy::id).collect();
                prop_assert_eq!(ids.len(), proxies.len());
            }
        }
    }
}
