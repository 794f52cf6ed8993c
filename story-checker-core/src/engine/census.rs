use crate::fault::{Class, Scope};
use crate::report::Cause;
use crate::session::{SessionKind, SessionState};

/// How many sessions of a kind stand where.
#[derive(Debug, Default)]
pub(super) struct Census {
    counts: [(&'static str, usize); 7],
    total: usize,
}

impl Census {
    pub(super) fn count(&mut self, state: &SessionState) {
        let word = state.as_str();
        self.total += 1;
        let slot = self.counts.iter_mut().find(|(known, count)| *known == word || *count == 0);
        if let Some((known, count)) = slot {
            *known = word;
            *count += 1;
        }
    }

    /// How many are valid, whoever leases them.
    pub(super) fn valid(&self) -> usize {
        self.of("valid")
    }

    fn of(&self, word: &str) -> usize {
        self.counts.iter().find(|(known, _)| *known == word).map_or(0, |(_, count)| *count)
    }

    /// Why no session of the kind can be used, if so.
    pub(super) fn blocking(&self, kind: &SessionKind) -> Option<Cause> {
        if self.total == 0 {
            let message = format!("there is no session of the kind {kind}: import one");
            return Some(Cause::new(Class::AuthRequired, Scope::Ours, message));
        }
        if self.valid() > 0 {
            return None;
        }
        let counts = self.counts.iter().filter(|(_, count)| *count > 0);
        let counts: Vec<_> =
            counts.map(|(word, count)| format!("{count} {}", word.replace('_', " "))).collect();
        let (class, help) = if self.of("cooling_down") > 0 {
            (Class::RateLimited, "wait until a rest is over")
        } else if self.of("challenged") > 0 {
            (
                Class::ChallengeRequired,
                "answer the challenge in the app, then import the session anew",
            )
        } else if self.of("suspended") > 0 && self.of("needs_login") + self.of("expired") == 0 {
            (Class::Permanent, "only the account's owner can appeal; import another session")
        } else {
            (Class::AuthRequired, "log in again and import the session anew")
        };
        let message =
            format!("no session of the kind {kind} can be used ({}): {help}", counts.join(", "));
        Some(Cause::new(class, Scope::Session, message))
    }
}
