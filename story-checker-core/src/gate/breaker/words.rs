/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Requests go through.
    Closed,
    /// A few requests go through, to see whether they succeed.
    HalfOpen,
    /// None goes through.
    Open,
}

impl BreakerState {
    /// The word used in text and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// Why a breaker has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerCause {
    /// Many proxies fail at the same endpoint: it is the endpoint's fault, and not theirs.
    CommonCause,
    /// Several failures in a row.
    InARow,
    /// The operator.
    Operator,
    /// The open time is over.
    Over,
    /// A probe failed.
    Probe,
    /// Enough probes have succeeded.
    Recovered,
    /// Too large a share of the requests of the last minute has failed.
    Share,
}

impl BreakerCause {
    /// The cause as half a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CommonCause => "many proxies fail at the same endpoint",
            Self::InARow => "several failures in a row",
            Self::Operator => "the operator wants it so",
            Self::Over => "its open time is over",
            Self::Probe => "a probe failed",
            Self::Recovered => "its probes succeeded",
            Self::Share => "too many of the requests of the last minute failed",
        }
    }
}

/// What the operator has made of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerMode {
    /// It opens and closes by itself.
    #[default]
    Automatic,
    /// It lets everything through and counts nothing.
    Disabled,
    /// It lets nothing through.
    ForcedOpen,
    /// It lets everything through and counts.
    MetricsOnly,
}
