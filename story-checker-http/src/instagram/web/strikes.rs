//! What an answer means only if it comes twice in a row.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use story_checker_core::{Class, Fault, Scope, SessionId};

/// For how many sessions it is known that their last answer was odd.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// The sessions whose last answer was one of those that mean more the second time.
#[derive(Debug)]
pub(super) struct Strikes(Mutex<LruCache<SessionId, Strike>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strike {
    /// Sent home instead of answered (W7).
    Denied,
    /// Asked to wait, for which the way out was charged (W2, W14).
    Waited,
}

impl Default for Strikes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Strikes {
    /// Weighs what one answer means against what this session was told before.
    ///
    /// A redirect home may pass; the second in a row means that the session is not logged in. A
    /// request to wait is charged to the way out first; if the session meets it again, where it had
    /// rested, the session is the one to rest.
    pub(super) fn weigh<T>(
        &self,
        session: &SessionId,
        outcome: Result<T, Fault>,
    ) -> Result<T, Fault> {
        let strike = match outcome.as_ref().map_err(|fault| (fault.class, fault.scope)) {
            Err((Class::Malformed, Scope::Session)) => Some(Strike::Denied),
            Err((Class::RateLimited, Scope::Proxy)) => Some(Strike::Waited),
            // An answer that says nothing about the session: a page, an error of the server.
            Err((_, Scope::Endpoint | Scope::Proxy | Scope::App)) => return outcome,
            _ => None,
        };
        let mut struck = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(strike) = strike else {
            if !struck.is_empty() {
                struck.pop(session);
            }
            return outcome;
        };
        let again = struck.put(session.clone(), strike) == Some(strike);
        drop(struck);
        outcome.map_err(|mut fault| {
            match strike {
                _ if !again => {}
                Strike::Denied => {
                    fault.class = Class::AuthRequired;
                    fault.message = format!(
                        "{}; it is the second time in a row: log in with a browser and import the \
                         cookies again",
                        fault.message
                    )
                    .into();
                }
                Strike::Waited => fault.scope = Scope::Session,
            }
            fault
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: (Class, Scope) = (Class::Malformed, Scope::Session);
    const WAIT: (Class, Scope) = (Class::RateLimited, Scope::Proxy);
    const RESET: (Class, Scope) = (Class::Transient, Scope::Endpoint);

    /// What remains of each answer in turn; none stands for a good one.
    fn weigh(answers: &[(&str, Option<(Class, Scope)>)]) -> Vec<Option<(Class, Scope)>> {
        let strikes = Strikes::default();
        let weigh = |&(session, answer): &(&str, Option<(Class, Scope)>)| {
            let outcome =
                answer.map_or(Ok(()), |(class, scope)| Err(Fault::new(class, scope, "x")));
            let fault = strikes.weigh(&session.into(), outcome).err();
            fault.map(|fault| (fault.class, fault.scope))
        };
        answers.iter().map(weigh).collect()
    }

    #[test]
    fn the_second_in_a_row_means_more() {
        for (answer, again) in [
            (DENIED, (Class::AuthRequired, Scope::Session)),
            (WAIT, (Class::RateLimited, Scope::Session)),
        ] {
            let (first, again) = (Some(answer), Some(again));
            assert_eq!(weigh(&[("a", first), ("a", first), ("a", first)]), [first, again, again]);
            // What says nothing about the session leaves the count as it is.
            let reset = Some(RESET);
            assert_eq!(weigh(&[("a", first), ("a", reset), ("a", first)]), [first, reset, again]);
        }
    }

    #[test]
    fn a_good_answer_or_another_session_begins_anew() {
        for first in [Some(DENIED), Some(WAIT)] {
            assert_eq!(weigh(&[("a", first), ("a", None), ("a", first)]), [first, None, first]);
            assert_eq!(weigh(&[("a", first), ("b", first)]), [first, first]);
        }
        let (denied, wait) = (Some(DENIED), Some(WAIT));
        assert_eq!(weigh(&[("a", denied), ("a", wait), ("a", denied)]), [denied, wait, denied]);
    }
}
