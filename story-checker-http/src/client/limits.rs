//! What the headers of a good answer say about limits, and what the gate is told of it.

use std::time::Duration;

use http::HeaderMap;
use story_checker_core::Timestamp;
use story_checker_core::gate::{KeyClass, Pass};

use super::answer::Exchange;

/// One thing that an answer says about the limit of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    /// Nothing before this time.
    Hold(KeyClass, Timestamp),
    /// So many requests are left until this time.
    Left(KeyClass, u32, Timestamp),
    /// So much of a budget is used, in percent.
    Used(KeyClass, f64),
}

impl Told {
    /// Tells the gate.
    pub(crate) fn to(self, pass: &Pass) {
        match self {
            Self::Hold(class, until) => pass.hold(class, until),
            Self::Left(class, left, until) => pass.remaining(class, left, until),
            Self::Used(class, percent) => pass.usage(class, percent),
        }
    }
}

/// What an answer says of one window of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its size, if told.
    pub(crate) limit: Option<u64>,
    pub(crate) remaining: u64,
    pub(crate) reset_at: Timestamp,
}

impl Window {
    /// Three quarters are used, as far as that can be said: only then what is left has to be
    /// spread, and before that a burst may go.
    fn is_scarce(&self) -> bool {
        self.limit.is_none_or(|limit| self.remaining.saturating_mul(4) < limit)
    }
}

/// What follows from all windows of a session: it rests until those that are empty begin anew, else
/// the scarcest one sets the pace.
pub(crate) fn of_session(windows: &[Window], now: Timestamp) -> Vec<Told> {
    let empty = windows.iter().filter(|window| window.remaining == 0);
    if let Some(until) = empty.map(|window| window.reset_at).max() {
        return vec![Told::Hold(KeyClass::Session, until)];
    }
    let each = |window: &&Window| {
        window.reset_at.since(now).as_micros() / u128::from(window.remaining.max(1))
    };
    let scarcest = windows.iter().filter(|window| window.is_scarce()).max_by_key(each);
    let told = scarcest.map(|window| {
        let left = u32::try_from(window.remaining).unwrap_or(u32::MAX);
        Told::Left(KeyClass::Session, left, window.reset_at)
    });
    told.into_iter().collect()
}

/// What the headers of the IETF's draft say (httpapi: RateLimit header fields): `RateLimit` with
/// `RateLimit-Policy`, or the three of its older versions.
pub(crate) fn of_draft(exchange: &Exchange) -> Vec<Told> {
    let now = exchange.received_at;
    let reset_at = |seconds| now + Duration::from_secs(seconds);
    let policies = list(&exchange.headers, "ratelimit-policy");
    let limits = list(&exchange.headers, "ratelimit");
    let mut windows: Vec<_> = limits
        .iter()
        .filter_map(|(name, limit)| {
            let policy = policies.iter().find(|(policy, _)| policy == name);
            Some(Window {
                limit: policy.and_then(|(_, policy)| parameter(policy, "q")),
                remaining: parameter(limit, "r")?,
                reset_at: reset_at(parameter(limit, "t")?),
            })
        })
        .collect();
    let number = |name| number(&exchange.headers, name);
    if windows.is_empty()
        && let (Some(remaining), Some(reset)) =
            (number("ratelimit-remaining"), number("ratelimit-reset"))
    {
        let limit = number("ratelimit-limit");
        windows.push(Window { limit, remaining, reset_at: reset_at(reset) });
    }
    of_session(&windows, now)
}

/// A whole number in a header.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The items of a header: names and what stands behind them. What cannot be read is left out.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<(&'a str, &'a str)> {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let items = texts.flat_map(|text| text.split(','));
    items.filter_map(|item| item.split_once(';')).map(|(name, rest)| (name.trim(), rest)).collect()
}

fn parameter(item: &str, name: &str) -> Option<u64> {
    let mut all = item.split(';').filter_map(|parameter| parameter.split_once('='));
    let (_, value) = all.find(|(key, _)| key.trim() == name)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(headers: &[(&'static str, &str)]) -> Vec<Told> {
        of_draft(&Exchange::sample(200, headers, ""))
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_795_251_600 + seconds)
    }

    #[test]
    fn the_draft_is_read_in_all_its_versions() {
        let left = |remaining, seconds| Told::Left(KeyClass::Session, remaining, after(seconds));
        let rest = |seconds| vec![Told::Hold(KeyClass::Session, after(seconds))];
        assert_eq!(told(&[]), []);
        assert_eq!(told(&[("ratelimit", r#""default";r=50;t=30"#)]), [left(50, 30)]);
        assert_eq!(told(&[("ratelimit", r#""default";r=0;t=30"#)]), rest(30));
        let two = r#""minute";r=5;t=30, "day";r=100;t=80000"#;
        assert_eq!(told(&[("ratelimit", two)]), [left(100, 80_000)], "the scarcest");
        let policy = ("ratelimit-policy", r#""minute";q=60;w=60,"day";q=200;w=86400"#);
        assert_eq!(told(&[("ratelimit", two), policy]), [left(5, 30)], "half a day is left");
        let older =
            [("ratelimit-limit", "10"), ("ratelimit-remaining", "2"), ("ratelimit-reset", "7")];
        assert_eq!(told(&older), [left(2, 7)]);
        assert_eq!(told(&older[1..]), [left(2, 7)]);
        assert_eq!(told(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")]), rest(7));
    }

    proptest! {
        #[test]
        fn any_header_is_survived(text in "[\"a-z;=,rtq0-9 .-]{0,60}") {
            let _ = told(&[("ratelimit", &text), ("ratelimit-policy", &text)]);
            let _ = told(&[("ratelimit-remaining", &text), ("ratelimit-reset", &text)]);
        }
    }
}
