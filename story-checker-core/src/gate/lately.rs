//! Whose fault it is when many proxies fail: what each proxy came to at one endpoint lately.

use std::collections::HashMap;

use super::key::Key;

/// How far back is looked, in microseconds.
const SPAN: u64 = 10_000_000;
/// How exactly that is kept while nothing depends on it.
const COARSE: u64 = 1_000_000;
/// With fewer proxies it may be chance.
const LEAST: usize = 3;

/// The last result of each proxy that was used for an endpoint.
#[derive(Debug, Default)]
pub(super) struct Lately {
    proxies: HashMap<Key, Last>,
    /// How many of them have failed in this run.
    failing: usize,
    /// The number of the run of failures without an answer through any proxy.
    run: u64,
    tidied: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: u64,
    /// The run in which it failed; none if it was answered.
    failed_in: Option<u64>,
}

impl Lately {
    /// A request through this proxy was answered: the endpoint is there.
    pub(super) fn answered(&mut self, proxy: &Key, now: u64) {
        self.put(proxy, Last { at: now, failed_in: None });
        self.run += 1;
        self.failing = 0;
        if now.saturating_sub(self.tidied) >= SPAN {
            self.tidy(now);
        }
    }

    /// A request through this proxy failed by its fault. True if so many fail that it is none: more
    /// than 3 in 10 of those that were used within ten seconds, and three at the least, without an
    /// answer through any other in between.
    pub(super) fn failed(&mut self, proxy: &Key, now: u64) -> bool {
        self.put(proxy, Last { at: now, failed_in: Some(self.run) });
        if self.are_many() || now.saturating_sub(self.tidied) >= COARSE {
            self.tidy(now);
        }
        self.are_many()
    }

    fn are_many(&self) -> bool {
        self.failing >= LEAST && self.failing * 10 > self.proxies.len() * 3
    }

    fn put(&mut self, proxy: &Key, last: Last) {
        let before = match self.proxies.get_mut(proxy) {
            Some(known) => std::mem::replace(known, last).failed_in,
            None => {
                self.proxies.insert(proxy.clone(), last);
                None
            }
        };
        if last.failed_in.is_some() && last.failed_in != before {
            self.failing += 1;
        }
    }

    /// Forgets what is older than the span.
    pub(super) fn tidy(&mut self, now: u64) {
        self.proxies.retain(|_, last| now.saturating_sub(last.at) <= SPAN);
        let failing = self.proxies.values().filter(|last| last.failed_in == Some(self.run));
        self.failing = failing.count();
        self.tidied = now;
    }

    /// How many proxies are known.
    pub(super) fn len(&self) -> usize {
        self.proxies.len()
    }

    /// Nothing is known any more.
    pub(super) fn is_empty(&self) -> bool {
        self.proxies.is_empty()
    }

    /// The proxies that failed, and since when what they were charged with is void. Begins anew.
    pub(super) fn clear(&mut self, now: u64) -> (Vec<Key>, u64) {
        self.tidy(now);
        let all = std::mem::take(&mut self.proxies);
        self.failing = 0;
        let failed = all.into_iter().filter(|(_, last)| last.failed_in == Some(self.run));
        (failed.map(|(key, _)| key).collect(), now.saturating_sub(SPAN))
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyClass;
    use super::*;

    fn proxy(number: usize) -> Key {
        Key::new(KeyClass::Proxy, format!("p{number}"))
    }

    #[test]
    fn three_of_nine_are_many_and_three_of_ten_are_not() {
        for (good, many) in [(6, true), (7, false)] {
            let mut lately = Lately::default();
            (0..good).for_each(|number| lately.answered(&proxy(number), 0));
            assert!(!lately.failed(&proxy(100), 1));
            assert!(!lately.failed(&proxy(101), 1));
            assert!(!lately.failed(&proxy(101), 1), "one proxy counts once");
            assert_eq!(lately.failed(&proxy(102), 1), many);
        }
    }

    #[test]
    fn only_the_last_ten_seconds_since_the_last_answer_count() {
        let mut lately = Lately::default();
        assert!(!lately.failed(&proxy(0), 0));
        assert!(!lately.failed(&proxy(1), 0));
        assert!(!lately.failed(&proxy(2), SPAN + 1), "the others are too long ago");
        assert!(!lately.failed(&proxy(3), SPAN + 1));
        lately.answered(&proxy(4), SPAN + 2);
        assert!(!lately.failed(&proxy(3), SPAN + 2), "another was answered");
        assert!(!lately.failed(&proxy(5), SPAN + 2));
        assert!(lately.failed(&proxy(6), SPAN + 2));
        let (mut failed, since) = lately.clear(SPAN + 3);
        failed.sort();
        assert_eq!((failed, since), (vec![proxy(3), proxy(5), proxy(6)], 3));
        assert!(lately.is_empty() && !lately.failed(&proxy(7), SPAN + 3));
    }
}
