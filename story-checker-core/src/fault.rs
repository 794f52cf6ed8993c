//! What a checker says when it cannot answer.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::evidence::Evidence;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word used in text and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What kind of fault it is. What follows from it stands in [`charge`](crate::charge).
    Class {
        /// The session is not, or no longer, logged in.
        AuthRequired = "auth_required",
        /// The platform refuses us: an address or an account is banned for a while.
        Blocked = "blocked",
        /// The check was stopped from our side.
        Cancelled = "cancelled",
        /// The platform wants a human to act. The session must not be used any further.
        ChallengeRequired = "challenge_required",
        /// The answer cannot be understood, or may not be believed.
        Malformed = "malformed",
        /// Asking again will not help.
        Permanent = "permanent",
        /// Too many requests: the platform's limit, or our own.
        RateLimited = "rate_limited",
        /// No answer in time.
        Timeout = "timeout",
        /// Something that usually passes by itself: a reset connection, a 5xx.
        Transient = "transient",
    }
}

words! {
    /// Whose fault it is.
    Scope {
        /// The registered application, or all of our use of the platform.
        App = "app",
        /// One route of the platform.
        Endpoint = "endpoint",
        /// Ourselves: our code, our configuration, our own limits.
        Ours = "ours",
        /// The way out.
        Proxy = "proxy",
        /// The identity that was used.
        Session = "session",
        /// The account that was asked about.
        Target = "target",
    }
}

/// Why a check has no answer: what happened, whose fault it is, and until when it will last.
///
/// A fault carries no decision. [`charge`](crate::charge) says who is charged, and
/// [`retry::decide`](crate::retry::decide) what happens to the job.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{message} [{class}, {scope}]")]
#[non_exhaustive]
pub struct Fault {
    /// What kind of fault.
    pub class: Class,
    /// Whose fault.
    pub scope: Scope,
    /// What happened and what to do about it, for a person. Contains no secrets.
    pub message: Cow<'static, str>,
    /// The hint: the platform, or our own limiter, says that nothing will work before.
    pub until: Option<Timestamp>,
    /// What was seen on the way, if anything was.
    pub evidence: Option<Box<Evidence>>,
    /// It has been charged already, to the pair that it happened on.
    pub(crate) charged: bool,
}

impl Fault {
    /// A fault without a hint.
    #[must_use]
    pub fn new(class: Class, scope: Scope, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { class, scope, message, until: None, evidence: None, charged: false }
    }

    /// The check was stopped from our side. Costs nobody anything.
    #[must_use]
    pub fn cancelled(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Cancelled, Scope::Ours, message)
    }

    /// Our own limiter or pool has nothing to give before `until`. Costs nobody anything.
    #[must_use]
    pub fn not_ready(message: impl Into<Cow<'static, str>>, until: Timestamp) -> Self {
        Self::new(Class::RateLimited, Scope::Ours, message).with_until(until)
    }

    /// Adds the hint.
    #[must_use]
    pub fn with_until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// Adds what was seen.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = Some(Box::new(evidence));
        self
    }
}
