//! What the platform says in words.

use std::time::Duration;

use story_checker_core::{Class, Scope};

const BLOCKED: &str = "the platform blocks this address; if that stays, use another one";

/// A phrase of the platform in `message` or `error_type`, and what it means. Upper and lower case are
/// the same. `Scope::Proxy` stands for the way out: without a proxy, our own address or the session.
pub(super) struct Phrase {
    pub(super) text: &'static str,
    pub(super) class: Class,
    pub(super) scope: Scope,
    /// How long nothing is asked, without a word of the platform.
    pub(super) rest: Option<Duration>,
    pub(super) tell: &'static str,
}

#[rustfmt::skip]
pub(super) const PHRASES: &[Phrase] = &[
    // W2. A soft block of the address or the session; also sent to whoever is not logged in.
    Phrase { text: "please wait a few minutes", class: Class::RateLimited, scope: Scope::Proxy, rest: Some(Duration::from_secs(600)),
        tell: "the platform asks to wait a few minutes; if that stays, use another address, then log the session in again" },
    // W3
    Phrase { text: "login_required", class: Class::AuthRequired, scope: Scope::Session, rest: None,
        tell: "the session was logged out: log in with a browser and import its cookies again" },
    // W8
    Phrase { text: "checkpoint_required", class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants a human: open it with this account, answer the checkpoint, then import it anew" },
    // W9
    Phrase { text: "challenge_required", class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants a human: open it with this account, answer the challenge, then import it anew" },
    // W11
    Phrase { text: "feedback_required", class: Class::Blocked, scope: Scope::Session, rest: Some(Duration::from_secs(24 * 3_600)),
        tell: "the platform blocked this account's actions for a while; leave it alone" },
    // W12
    Phrase { text: "consent_required", class: Class::ChallengeRequired, scope: Scope::Session, rest: None,
        tell: "the platform wants new terms accepted: open it with this account and decide, then import it anew" },
    // W13
    Phrase { text: "useragent mismatch", class: Class::Permanent, scope: Scope::Ours, rest: None,
        tell: "user agent and app id do not belong together: correct the configuration" },
    // W14
    Phrase { text: "rate_limit_error", class: Class::RateLimited, scope: Scope::Proxy, rest: Some(Duration::from_secs(660)),
        tell: "the platform's limit is reached; if that stays, ask more slowly or through more addresses" },
    Phrase { text: "sentry_block", class: Class::Blocked, scope: Scope::Proxy, rest: None,
        tell: BLOCKED },
    Phrase { text: "user_blocked", class: Class::Blocked, scope: Scope::Proxy, rest: None,
        tell: BLOCKED },
    // W16
    Phrase { text: "doesn't appear to belong to an account", class: Class::Blocked, scope: Scope::Proxy, rest: None,
        tell: BLOCKED },
];
