//! The headers that say how much of a budget is used (domain: Graph API limits, Meta docs). A header
//! that is not there says nothing: it comes only once enough calls were made.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use story_checker_core::Timestamp;
use story_checker_core::gate::KeyClass;
use tracing::debug;

use crate::client::{Exchange, Told};
use crate::wire::Number;

const APP: &str = "x-app-usage";
const BUSINESS: &str = "x-business-use-case-usage";

/// How long nothing is asked once all is used and the platform does not say for how long: its window.
const WINDOW: Duration = Duration::from_secs(3_600);

/// One budget, in percent.
#[derive(Deserialize)]
struct Budget {
    #[serde(default)]
    call_count: Option<Number>,
    #[serde(default)]
    total_cputime: Option<Number>,
    #[serde(default)]
    total_time: Option<Number>,
    /// In minutes.
    #[serde(default)]
    estimated_time_to_regain_access: Option<Number>,
}

impl Budget {
    /// The part that is used up most; none if the header tells nothing.
    fn used(&self) -> Option<f64> {
        let parts = [self.call_count, self.total_cputime, self.total_time];
        parts.into_iter().flatten().map(|Number(percent)| percent).reduce(f64::max)
    }

    fn regained_in(&self) -> Option<Duration> {
        let minutes = self.estimated_time_to_regain_access.map(Number::whole);
        let minutes = minutes.filter(|minutes| *minutes > 0)?;
        Some(Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// What the gate is told: the part that is used, and once that is all of it, until when nothing
    /// is asked.
    fn told(&self, class: KeyClass, now: Timestamp) -> Option<Told> {
        let used = self.used()?;
        if used < 100.0 {
            return Some(Told::Used(class, used));
        }
        Some(Told::Hold(class, now + self.regained_in().unwrap_or(WINDOW)))
    }
}

/// What an answer says of the budgets of app and session.
pub(super) fn usage(exchange: &Exchange) -> Vec<Told> {
    let now = exchange.received_at;
    let app = app(exchange).and_then(|budget| budget.told(KeyClass::App, now));
    // Of the session's the tightest counts: the longest rest, else the part that is used up most.
    let session = business(exchange).into_iter().filter_map(|one| one.told(KeyClass::Session, now));
    let session = session.reduce(|one, other| match (one, other) {
        (Told::Hold(_, until), Told::Hold(_, later)) if later > until => other,
        (Told::Hold(..), _) => one,
        (_, Told::Hold(..)) => other,
        (Told::Used(_, used), Told::Used(_, more)) if more > used => other,
        _ => one,
    });
    app.into_iter().chain(session).collect()
}

/// When the platform gives this account access again, if it says so.
pub(super) fn regained_at(exchange: &Exchange) -> Option<Timestamp> {
    let wait = business(exchange).iter().filter_map(Budget::regained_in).max()?;
    Some(exchange.received_at + wait)
}

fn app(exchange: &Exchange) -> Option<Budget> {
    header(exchange, APP)
}

/// One budget per account and use; a token has few, and the tightest counts.
fn business(exchange: &Exchange) -> Vec<Budget> {
    let accounts: Option<BTreeMap<String, Vec<Budget>>> = header(exchange, BUSINESS);
    accounts.into_iter().flatten().flat_map(|(_, budgets)| budgets).collect()
}

fn header<T: DeserializeOwned>(exchange: &Exchange, name: &'static str) -> Option<T> {
    let value = exchange.headers.get(name)?;
    match serde_json::from_slice(value.as_bytes()) {
        Ok(usage) => Some(usage),
        Err(_) => {
            debug!(header = name, "a usage header cannot be read; it is ignored");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(headers: &[(&'static str, &str)]) -> Vec<Told> {
        usage(&Exchange::sample(200, headers, "{}"))
    }

    fn hold(class: KeyClass, seconds: u64) -> Told {
        let at = Exchange::sample(200, &[], "").received_at;
        Told::Hold(class, at + Duration::from_secs(seconds))
    }

    #[test]
    fn the_part_that_is_used_most_is_told_and_a_full_budget_rests() {
        let app = |percent: u32| {
            let text = format!(r#"{{"call_count":{percent},"total_cputime":1,"total_time":2}}"#);
            holds(&[(APP, &text)])
        };
        assert_eq!(app(0), [Told::Used(KeyClass::App, 2.0)]);
        assert_eq!(app(75), [Told::Used(KeyClass::App, 75.0)]);
        assert_eq!(app(100), [hold(KeyClass::App, 3_600)]);
        assert_eq!(app(140), [hold(KeyClass::App, 3_600)]);
        let two = r#"{"1":[{"type":"instagram","call_count":80}],"2":[{"type":"pages","call_count":85}]}"#;
        assert_eq!(holds(&[(BUSINESS, two)]), [Told::Used(KeyClass::Session, 85.0)]);
    }

    #[test]
    fn the_tightest_budget_counts_and_its_hint_is_in_minutes() {
        let text = r#"{"17841":[{"type":"instagram","call_count":10,"total_cputime":100,"total_time":2,"estimated_time_to_regain_access":300}],"2":[{"type":"pages","call_count":80,"estimated_time_to_regain_access":0}]}"#;
        assert_eq!(holds(&[(BUSINESS, text)]), [hold(KeyClass::Session, 300 * 60)]);
        let exchange = Exchange::sample(400, &[(BUSINESS, text)], "{}");
        assert_eq!(
            regained_at(&exchange),
            Some(exchange.received_at + Duration::from_secs(300 * 60))
        );
        let none = text.replace("300", "0");
        assert_eq!(holds(&[(BUSINESS, &none)]), [hold(KeyClass::Session, 3_600)]);
        assert_eq!(regained_at(&Exchange::sample(400, &[(BUSINESS, &none)], "{}")), None);
    }

    #[test]
    fn what_is_absent_or_odd_says_nothing() {
        assert_eq!(holds(&[]), []);
        for text in ["", "{}", "[]", "null", "100", "{\"call_count\":", "{\"call_count\":[100]}"] {
            assert_eq!(holds(&[(APP, text), (BUSINESS, text)]), [], "{text}");
        }
        for text in [r#"{"1":{}}"#, r#"{"1":[]}"#, r#"{"1":[{"type":"instagram"}]}"#] {
            assert_eq!(holds(&[(BUSINESS, text)]), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_survived(text in "[{}\\[\\]\":,a-z_0-9.e+-]{0,80}") {
            let _ = holds(&[(APP, &text), (BUSINESS, &text)]);
        }

        #[test]
        fn any_number_is_survived(percent in 0.0..1e300_f64, minutes in any::<u64>()) {
            let text = format!(
                r#"{{"1":[{{"call_count":{percent},"estimated_time_to_regain_access":{minutes}}}]}}"#
            );
            let _ = holds(&[(BUSINESS, &text)]);
        }
    }
}
