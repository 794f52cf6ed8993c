//! Proxy lists, as sellers and people write them.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU8;

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
/// Behind the address may stand `weight=3`: to be used three times as often as others, by
/// [`Rotation::Weighted`](super::Rotation::Weighted); and `exits=20`: a gateway whose user contains
/// `{session}` becomes twenty proxies with the numbers 1 to 20 in its place, each with a health of
/// its own. A gateway that changes its way out by itself is one proxy: it is written without.
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
    let mut by_address: BTreeMap<String, Vec<(usize, ProxyUrl, NonZeroU8)>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = content(line);
        if line.is_empty() {
            continue;
        }
        let invalid = |why| InvalidProxyList::Line { line: index + 1, why };
        let (address, options) = Options::split_off(line).map_err(invalid)?;
        let mut urls = options.expand(address).map_err(invalid)?.into_iter();
        let Some(first) = urls.next() else { continue };
        let same = by_address.entry(first.to_string()).or_default();
        // The exits of a line differ from each other: it is known if its first one is.
        if same.iter().all(|(_, known, _)| *known != first) {
            same.extend(std::iter::once(first).chain(urls).map(|url| (index, url, options.weight)));
        }
    }
    let mut proxies: Vec<(usize, Proxy)> = Vec::new();
    for (address, urls) in by_address {
        let shared = urls.len() > 1;
        let mut ids = HashSet::new();
        for (index, url, weight) in urls {
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
            proxies.push((index, Proxy::with_id(ProxyId::new(id), url).with_weight(weight)));
        }
    }
    if proxies.is_empty() {
        return Err(InvalidProxyList::Empty);
    }
    proxies.sort_by_key(|(index, _)| *index);
    Ok(proxies.into_iter().map(|(_, proxy)| proxy).collect())
}

/// What stands behind an address.
struct Options {
    weight: NonZeroU8,
    exits: Option<u32>,
}

impl Options {
    /// The most exits of one gateway.
    const MOST_EXITS: u32 = 100_000;

    /// A line's address, and what stands behind it.
    fn split_off(mut line: &str) -> Result<(&str, Self), InvalidProxy> {
        let mut options = Self { weight: NonZeroU8::MIN, exits: None };
        while let Some((rest, last)) = line.rsplit_once(char::is_whitespace) {
            if let Some(weight) = last.strip_prefix("weight=") {
                let wrong = |_| InvalidProxy("the weight is not a number from 1 to 255");
                options.weight = weight.parse().map_err(wrong)?;
            } else if let Some(exits) = last.strip_prefix("exits=") {
                let exits = exits.parse().ok();
                let exits = exits.filter(|exits| (1..=Self::MOST_EXITS).contains(exits));
                let wrong = InvalidProxy("the exits are not a number from 1 to 100000");
                options.exits = Some(exits.ok_or(wrong)?);
            } else {
                break;
            }
            line = rest.trim_end();
        }
        Ok((line, options))
    }

    /// The addresses that one stands for.
    fn expand(&self, address: &str) -> Result<Vec<ProxyUrl>, InvalidProxy> {
        const PLACE: &str = "{session}";
        let url: ProxyUrl = address.parse()?;
        let has_place = url.credentials().is_some_and(|(user, _)| user.expose().contains(PLACE));
        match self.exits {
            None if has_place => {
                Err(InvalidProxy("its user contains {session}, but `exits=` says not how many"))
            }
            None => Ok(vec![url]),
            Some(_) if !has_place => Err(InvalidProxy("`exits=` needs a user with {session}")),
            Some(exits) => {
                let exit = |number: u32| address.replace(PLACE, &number.to_string()).parse();
                (1..=exits).map(exit).collect()
            }
        }
    }
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
    fn a_gateway_has_as_many_exits_as_the_line_says_and_each_keeps_its_name() {
        let line = "http://PLANTED-{session}:p@g.test:1 exits=3";
        let exits = read_list(&format!("{line} weight=7\n{line}")).unwrap();
        let users: Vec<_> =
            exits.iter().map(|exit| exit.url().credentials().unwrap().0.expose()).collect();
        assert_eq!(users, ["PLANTED-1", "PLANTED-2", "PLANTED-3"]);
        assert!(exits.iter().all(|exit| exit.weight().get() == 7));
        let more = ids("http://PLANTED-{session}:p@g.test:1 weight=2 exits=4 # grown");
        assert!(exits.iter().zip(&more).all(|(exit, id)| exit.id().as_str() == id), "{more:?}");
        assert!(!more.join(" ").contains("PLANTED"));
        for (line, why) in [
            ("g.test:1 exits=3", "needs a user with {session}"),
            ("http://u-{session}:p@g.test:1", "says not how many"),
            ("http://u-{session}:p@g.test:1 exits=0", "1 to 100000"),
            ("g.test:1 weight=0", "1 to 255"),
            ("g.test:1 wieght=2", "use scheme://"),
        ] {
            let error = read_list(line).unwrap_err().to_string();
            assert!(error.starts_with("line 1: ") && error.contains(why), "{error}");
        }
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
