//! The first answer of each kind that could not be used, kept for whoever has to find out why.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use story_checker_core::{Class, Scope};
use tracing::info;

use super::{Exchange, redact};

/// How many kinds are told apart. What is new after that many is not shown.
const KINDS: usize = 256;
/// How much of a body's shape is kept.
const BODY: usize = 2_000;
/// How much of the headers is kept.
const HEADERS: usize = 1_000;

/// The kinds of errors seen so far.
#[derive(Debug, Default)]
pub(super) struct Specimens(Mutex<HashSet<u64>>);

impl Specimens {
    /// A redacted summary of the answer, if its kind was never seen before: route, status, fault and
    /// the shape of the body make the kind. It is logged, too.
    pub(super) fn take(
        &self,
        source: &'static str,
        exchange: &Exchange,
        class: Class,
        scope: Scope,
    ) -> Option<String> {
        let body = redact::Body(&exchange.body, BODY).to_string();
        // Without its length, which comes first.
        let shape = body.split_once(' ').map(|(_, shape)| shape);
        let mut kind = DefaultHasher::new();
        (source, exchange.route, exchange.status.as_u16(), class, scope, shape).hash(&mut kind);
        {
            let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kinds.len() >= KINDS || !kinds.insert(kind.finish()) {
                return None;
            }
        }
        let mut headers = redact::Headers(&exchange.headers).to_string();
        headers.truncate(HEADERS);
        let status = exchange.status.as_u16();
        let specimen = format!("status {status}; {headers}; body of {body}");
        info!(source, route = exchange.route, %class, %scope, specimen, "a new kind of error");
        Some(specimen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn take(specimens: &Specimens, exchange: &Exchange) -> Option<String> {
        specimens.take("sample/1", exchange, Class::Malformed, Scope::Endpoint)
    }

    #[test]
    fn only_the_first_of_a_kind_is_kept() {
        let specimens = Specimens::default();
        let odd = Exchange::sample(400, &[JSON], r#"{"odd":"PLANTED-1","n":1}"#);
        assert_eq!(
            take(&specimens, &odd).unwrap(),
            r#"status 400; content-type: application/json; body of 25 bytes: {"odd":"…","n":0}"#
        );
        // Another text is the same kind; another shape, status or fault is not.
        let again = Exchange::sample(400, &[JSON], r#"{"odd":"PLANTED-other","n":77}"#);
        assert_eq!(take(&specimens, &again), None);
        let shape = Exchange::sample(400, &[JSON], r#"{"odd":["x"]}"#);
        assert!(take(&specimens, &shape).is_some());
        let status = Exchange::sample(403, &[JSON], r#"{"odd":"PLANTED-1","n":1}"#);
        assert!(take(&specimens, &status).is_some());
        assert!(specimens.take("sample/1", &odd, Class::Malformed, Scope::Proxy).is_some());
        assert!(specimens.take("other/1", &odd, Class::Malformed, Scope::Endpoint).is_some());
    }

    #[test]
    fn kinds_and_texts_are_bounded() {
        let specimens = Specimens::default();
        let long = format!(r#"{{"a":[{}1]}}"#, r#"{"b":"x"},"#.repeat(10_000));
        let many = "x".repeat(5_000);
        let odd = Exchange::sample(400, &[JSON, ("content-type", &many)], &long);
        assert!(take(&specimens, &odd).unwrap().len() < BODY + HEADERS + 300);
        for kind in 0..2 * KINDS {
            let body = format!("{{{}}}", r#""a":1,"#.repeat(kind));
            take(&specimens, &Exchange::sample(400, &[JSON], &body));
        }
        assert_eq!(specimens.0.lock().unwrap().len(), KINDS);
    }
}
