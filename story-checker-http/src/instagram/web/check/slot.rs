//! One target of a check, and how far it is.

use std::borrow::Cow;

use story_checker_core::{Class, Fault, Report, RequestRecord, Scope, Target, Timestamp};

use crate::instagram::web::profile::Profile;

pub(super) struct Slot<'a> {
    pub(super) target: &'a Target,
    pub(super) handle: Cow<'a, str>,
    /// The id that the name is remembered to have had, if its profile is not.
    pub(super) former_id: Option<String>,
    pub(super) state: State,
    /// The server's time at the answer about its reel, if it told.
    pub(super) server_time: Option<Timestamp>,
    /// The requests made for this target alone.
    pub(super) own: Vec<RequestRecord>,
}

pub(super) enum State {
    /// Its profile is not known.
    Open,
    /// Its profile is known; `fresh` if from this check.
    Known { profile: Profile, fresh: bool },
    /// The reels answer shows nothing of it; it still needs a proof.
    Empty { profile: Profile, fresh: bool, nothing: Nothing },
    /// Nobody of this name; it still needs a proof, by a request after the first `after` shared ones.
    Missing { profile: Profile, fresh: bool, after: usize },
    /// Answered.
    Done(Box<Result<Report, Fault>>),
}

/// What an empty reel says beside that.
#[derive(Clone, Copy)]
pub(super) struct Nothing {
    /// How many items had ended.
    pub(super) expired: usize,
    /// Whether the account is live.
    pub(super) broadcast: bool,
}

/// Why a check goes no further.
pub(super) enum Stop {
    /// The rest could go later; it was not asked, and pays nothing.
    Later(Fault),
    /// All that is open shares the fault.
    All(Fault),
}

impl Slot<'_> {
    pub(super) fn fail(&mut self, fault: Fault) {
        self.state = State::Done(Box::new(Err(fault)));
    }

    pub(super) fn into_answer(self) -> Result<Report, Fault> {
        match self.state {
            State::Done(answer) => *answer,
            _ => {
                let text = "the check ended without an answer: a mistake in instagram-web";
                Err(Fault::new(Class::Permanent, Scope::Ours, text))
            }
        }
    }
}

/// Whether a fault of one request ends the whole check. What was not asked because of somebody else's
/// fault must not pay for it.
pub(super) fn stops(fault: &Fault, now: Timestamp, failed_before: bool) -> Option<Stop> {
    let later = || {
        let text = format!("the check stopped before its turn: {}", fault.message);
        // Where only the way out has to rest, another pair can go on at once.
        let until = fault.until.filter(|_| fault.scope != Scope::Proxy);
        Some(Stop::Later(Fault::not_ready(text, until.unwrap_or(now))))
    };
    match (fault.class, fault.scope) {
        (Class::Cancelled, _) | (_, Scope::Session) => Some(Stop::All(fault.clone())),
        (Class::Permanent, Scope::Ours | Scope::App) => Some(Stop::All(fault.clone())),
        (Class::Blocked | Class::RateLimited, Scope::App | Scope::Endpoint) => later(),
        (Class::Timeout, _) | (_, Scope::Proxy | Scope::Ours) => later(),
        _ if failed_before => later(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

    #[test]
    fn what_was_not_asked_waits_only_for_what_it_needs() {
        let until = NOW + Duration::from_secs(600);
        let rest = |class, scope| {
            let fault = Fault::new(class, scope, "x").with_until(until);
            match stops(&fault, NOW, false) {
                Some(Stop::Later(fault)) => {
                    assert_eq!((fault.class, fault.scope), (Class::RateLimited, Scope::Ours));
                    fault.until
                }
                _ => None,
            }
        };
        // Another pair has another proxy; the app and the endpoint are the same for all.
        assert_eq!(rest(Class::RateLimited, Scope::Proxy), Some(NOW));
        assert_eq!(rest(Class::Blocked, Scope::Proxy), Some(NOW));
        assert_eq!(rest(Class::RateLimited, Scope::App), Some(until));
        assert_eq!(rest(Class::Blocked, Scope::Endpoint), Some(until));
        // A session takes all of the check with it, and one odd answer nothing.
        assert_eq!(rest(Class::RateLimited, Scope::Session), None);
        assert_eq!(rest(Class::Malformed, Scope::Endpoint), None);
    }
}
