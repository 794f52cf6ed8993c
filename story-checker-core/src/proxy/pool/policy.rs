use std::num::NonZeroU32;
use std::time::Duration;

/// Which of the usable proxies comes next, where no session says so: a session is seen through its
/// home only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The one with the least to do, the longest unused first.
    #[default]
    LeastUsed,
    /// One after the other, whatever else they are used for.
    RoundRobin,
    /// The same one, until it may not be used.
    Sticky,
    /// As often as its [weight](super::Proxy::weight) says, in relation to the others.
    Weighted,
}

/// What becomes of a session whose home may not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HomePolicy {
    /// It gets another home once its own has been closed for so long. It then appears from another
    /// address, which a platform may take amiss.
    Failover {
        /// How long it waits.
        after: Duration,
    },
    /// It waits.
    #[default]
    Strict,
}

/// How proxies are chosen, shared and rested.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyPolicy {
    /// Which one comes next. Default: the least used.
    pub rotation: Rotation,
    /// What a session does without its home. Default: it waits.
    pub home: HomePolicy,
    /// Checks through one proxy at the same time; 1 is exclusive. No limit by default.
    pub max_in_flight: Option<NonZeroU32>,
    /// Sessions of this worker that live behind one proxy. Those that have their home there already
    /// stay. No limit by default.
    pub max_sessions: Option<NonZeroU32>,
    /// A rest is twice as long as the one before if nothing went well in between, up to this.
    /// Default 1 h. What a fault says itself is never cut.
    pub longest_rest: Duration,
    /// Disables a proxy that begins to rest so often within 24 h, for other reasons than a limit.
    /// Default 48, which a proxy that is just dead does not reach: it rests for an hour at a time.
    pub max_rests: Option<NonZeroU32>,
    /// Probes proxies that are new before their first use, if there is a probe. Default no.
    pub validate: bool,
}

impl Default for ProxyPolicy {
    fn default() -> Self {
        Self {
            rotation: Rotation::default(),
            home: HomePolicy::default(),
            max_in_flight: None,
            max_sessions: None,
            longest_rest: Duration::from_secs(3_600),
            max_rests: NonZeroU32::new(48),
            validate: false,
        }
    }
}
