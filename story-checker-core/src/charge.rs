//! The charges table: who pays for a fault, and what happens to the job.
//!
//! Start reading here. Everything that can go wrong in a check is a [`Fault`](crate::Fault) with a
//! [`Class`] and a [`Scope`]; this table, and nothing else, turns the two into consequences. A
//! fault is charged to the one that caused it: a bad proxy never costs a session, a logged-out
//! session never costs a target.
//!
//! | class \ scope | proxy | session | endpoint, app | target | ours |
//! |---|---|---|---|---|---|
//! | transient | count · retry | retry | count · retry | retry | retry |
//! | timeout | count · retry | retry | count · retry | retry | retry |
//! | malformed | count · retry | retry | count · retry | retry | retry |
//! | rate limited | cool · defer | cool · defer | block · defer | defer | release |
//! | blocked | cool · defer | cool · defer | block · defer | dead | dead, tell |
//! | auth required | cool · defer | needs login · defer, tell | dead, tell | dead | dead, tell |
//! | challenge required | cool · defer | challenged · defer, tell | dead, tell | dead | dead, tell |
//! | permanent | cool · defer, tell | suspended · defer, tell | dead, tell | dead | dead, tell |
//! | cancelled | release | release | release | release | release |
//!
//! *Count* is a failure for the breaker of the proxy or endpoint, which opens after several;
//! *cool* lets the proxy (or the session) rest until the hint, or a default. *Block* stops the
//! limiter's key until the hint. *Retry* uses an attempt; *defer* does not; *release* leaves no trace
//! at all. *Tell* means that the operator must act.
//!
//! The breakers count nothing else as a failure: a limit is the limiter's, a logout the session's,
//! and what was stopped from our side is nobody's. A report is a success for the proxy and the
//! endpoint, and so is a fault of the target, which is an answer too, unless it is transient or a
//! limit.
//!
//! Who is to blame when many proxies fail is decided where all of them are seen, in the
//! [gate](crate::gate): if more than 3 in 10 (three at the least) of those used for an endpoint
//! within ten seconds fail, with no answer in between, it is the endpoint. Its breaker opens, and what
//! these proxies were charged with in that time is void. While an endpoint is open, *retry* becomes *defer*: a
//! failure then says nothing about the job.

use crate::fault::{Class, Scope};

/// The consequences of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charge {
    /// What happens to the proxy that was used.
    pub proxy: ProxyCharge,
    /// What happens to the session that was used.
    pub session: SessionCharge,
    /// Whether the limiter's key of the fault's scope is blocked until the hint.
    pub block: bool,
    /// Whether it is a failure for the endpoint's breaker.
    pub count: bool,
    /// Whether it is an answer all the same: a success for the breakers of proxy and endpoint.
    pub answered: bool,
    /// What happens to the job.
    pub job: Fate,
    /// Whether the operator must be told, because nothing gets better without them.
    pub tell: bool,
}

/// What happens to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyCharge {
    /// It rests until the hint.
    Cool,
    /// One more failure for its breaker.
    Count,
    /// Nothing.
    Nothing,
}

/// What happens to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionCharge {
    /// No further request; the operator has to answer the challenge.
    Challenge,
    /// It rests until the hint.
    Cool,
    /// It is logged out; the operator has to log in again.
    NeedLogin,
    /// Nothing.
    Nothing,
    /// The account behind it is suspended.
    Suspend,
}

/// What happens to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It ends without an answer.
    Dead,
    /// It is put off without using an attempt.
    Defer,
    /// It is given back as if it had never been claimed.
    Release,
    /// It is tried again and has used an attempt.
    Retry,
}

/// Looks up the table.
#[must_use]
pub const fn charge(class: Class, scope: Scope) -> Charge {
    use Fate::{Dead, Defer, Release, Retry};
    const NOTHING: Charge = Charge {
        proxy: ProxyCharge::Nothing,
        session: SessionCharge::Nothing,
        block: false,
        count: false,
        answered: false,
        job: Retry,
        tell: false,
    };
    const fn job(job: Fate) -> Charge {
        Charge { job, ..NOTHING }
    }
    const fn proxy(proxy: ProxyCharge, job: Fate) -> Charge {
        Charge { proxy, job, ..NOTHING }
    }
    const fn session(session: SessionCharge) -> Charge {
        Charge { session, job: Defer, ..NOTHING }
    }
    const fn answered(job: Fate) -> Charge {
        Charge { job, answered: true, ..NOTHING }
    }
    const fn tell(charge: Charge) -> Charge {
        Charge { tell: true, ..charge }
    }
    match (class, scope) {
        (Class::Cancelled, _) => job(Release),

        (Class::Transient | Class::Timeout | Class::Malformed, Scope::Proxy) => {
            proxy(ProxyCharge::Count, Retry)
        }
        (Class::Transient | Class::Timeout | Class::Malformed, Scope::Endpoint | Scope::App) => {
            Charge { count: true, ..job(Retry) }
        }
        (Class::Malformed, Scope::Target) => answered(Retry),
        (Class::Transient | Class::Timeout | Class::Malformed, _) => job(Retry),

        (Class::RateLimited, Scope::Ours) => job(Release),
        (Class::RateLimited, Scope::Target) => job(Defer),
        (Class::RateLimited | Class::Blocked, Scope::Session) => session(SessionCharge::Cool),
        (Class::RateLimited | Class::Blocked, Scope::Endpoint | Scope::App) => {
            Charge { block: true, job: Defer, ..NOTHING }
        }

        (Class::Permanent, Scope::Proxy) => tell(proxy(ProxyCharge::Cool, Defer)),
        (_, Scope::Proxy) => proxy(ProxyCharge::Cool, Defer),

        (Class::AuthRequired, Scope::Session) => tell(session(SessionCharge::NeedLogin)),
        (Class::ChallengeRequired, Scope::Session) => tell(session(SessionCharge::Challenge)),
        (Class::Permanent, Scope::Session) => tell(session(SessionCharge::Suspend)),

        (_, Scope::Target) => answered(Dead),
        (_, Scope::Endpoint | Scope::App | Scope::Ours) => tell(job(Dead)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (Class, Scope, Charge)> {
        Class::ALL.iter().flat_map(|&class| {
            Scope::ALL.iter().map(move |&scope| (class, scope, charge(class, scope)))
        })
    }

    #[test]
    fn only_the_named_scope_pays() {
        for (class, scope, charge) in all() {
            let case = format!("{class} / {scope}");
            if scope != Scope::Proxy {
                assert_eq!(charge.proxy, ProxyCharge::Nothing, "{case}");
            }
            if scope != Scope::Session {
                assert_eq!(charge.session, SessionCharge::Nothing, "{case}");
            }
            if !matches!(scope, Scope::Endpoint | Scope::App) {
                assert!(!charge.block && !charge.count, "{case}");
            }
            assert!(scope == Scope::Target || !charge.answered, "{case}");
        }
    }

    #[test]
    fn a_fault_of_proxy_or_session_never_ends_the_job() {
        for (class, scope, charge) in all() {
            if matches!(scope, Scope::Proxy | Scope::Session) {
                assert_ne!(charge.job, Fate::Dead, "{class} / {scope}");
            }
        }
    }

    #[test]
    fn a_challenge_stops_the_session_and_tells_the_operator() {
        let charge = charge(Class::ChallengeRequired, Scope::Session);
        assert_eq!(charge.session, SessionCharge::Challenge);
        assert!(charge.tell);
        assert_eq!(charge.job, Fate::Defer);
    }

    #[test]
    fn a_429_never_costs_an_attempt_and_never_retires_a_session() {
        for &scope in Scope::ALL {
            let charge = charge(Class::RateLimited, scope);
            assert_ne!(charge.job, Fate::Retry, "{scope}");
            assert!(matches!(charge.session, SessionCharge::Nothing | SessionCharge::Cool));
        }
    }

    #[test]
    fn limits_logouts_and_ourselves_never_reach_a_breaker() {
        for (class, scope, charge) in all() {
            let ours = scope == Scope::Ours || class == Class::Cancelled;
            let limit = class == Class::RateLimited;
            let identity = matches!(class, Class::AuthRequired | Class::ChallengeRequired);
            if ours || limit || identity || scope == Scope::Session {
                let counted = charge.count || charge.proxy == ProxyCharge::Count;
                assert!(!counted, "{class} / {scope}");
            }
            if ours || limit || scope == Scope::Session {
                assert!(!charge.answered, "{class} / {scope}");
            }
        }
    }

    #[test]
    fn a_cancelled_check_costs_nobody_anything() {
        for &scope in Scope::ALL {
            let charge = charge(Class::Cancelled, scope);
            assert_eq!(charge.job, Fate::Release);
            assert_eq!(charge.proxy, ProxyCharge::Nothing);
            assert_eq!(charge.session, SessionCharge::Nothing);
        }
    }

    /// The table of the module's documentation, read back and compared with the function, so that
    /// the two cannot drift apart.
    #[test]
    fn the_documented_table_is_the_table() {
        let source = include_str!("charge.rs");
        let rows: Vec<Vec<String>> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//! |"))
            .map(|row| {
                row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
            })
            .collect();
        let columns: [&[Scope]; 5] = [
            &[Scope::Proxy],
            &[Scope::Session],
            &[Scope::Endpoint, Scope::App],
            &[Scope::Target],
            &[Scope::Ours],
        ];
        let mut seen = 0;
        for row in rows.iter().skip(2) {
            let class = Class::ALL.iter().find(|class| class.as_str() == row[0].replace(' ', "_"));
            let class = *class.unwrap_or_else(|| panic!("unknown class {}", row[0]));
            for (cell, scopes) in row[1..].iter().zip(columns) {
                for &scope in scopes {
                    assert_eq!(&describe(charge(class, scope)), cell, "{class} / {scope}");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, Class::ALL.len() * Scope::ALL.len());
    }

    fn describe(charge: Charge) -> String {
        let effect = match (charge.proxy, charge.session, charge.block) {
            _ if charge.count => "count · ",
            (ProxyCharge::Cool, ..) | (_, SessionCharge::Cool, _) => "cool · ",
            (ProxyCharge::Count, ..) => "count · ",
            (_, SessionCharge::NeedLogin, _) => "needs login · ",
            (_, SessionCharge::Challenge, _) => "challenged · ",
            (_, SessionCharge::Suspend, _) => "suspended · ",
            (_, _, true) => "block · ",
            _ => "",
        };
        let job = match charge.job {
            Fate::Dead => "dead",
            Fate::Defer => "defer",
            Fate::Release => "release",
            Fate::Retry => "retry",
        };
        format!("{effect}{job}{}", if charge.tell { ", tell" } else { "" })
    }
}
