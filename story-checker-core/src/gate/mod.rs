//! The gate: the one place that every outgoing request goes through.
//!
//! A request needs several keys at once (its session, its proxy, its endpoint, the app). The gate
//! takes all of them or none, and answers with a [`Pass`]. A pass that is dropped before its request
//! was sent gives everything back.
//!
//! | what | where |
//! |---|---|
//! | N in every window | [`Quota`], several at once in a [`Limit`] |
//! | a limit that nobody knows | [`Limit::learned`] |
//! | what the platform says: wait, so much is used, so much is left | [`Pass::settle`], [`Pass::usage`], [`Pass::remaining`] |
//! | waiting, in order of coming | [`Gate::pass`] |
//! | other limits while it runs | [`Gate::set_limit`] |
//! | restarts | [`Gate::snapshot`], [`Gate::restore`], [`ColdStart`] |
//! | what fails again and again | [`Breakers`], [`Gate::breakers`], [`Gate::open_breaker`], [`Gate::set_breaker`] |
//!
//! Endpoints and proxies have a breaker each. The order is: look at the breakers, take from the
//! limits, take from the breakers, all under one lock, so that an open breaker costs no place in a
//! limit and a probe never waits for one. Who waits for a breaker stands in no line: others go on.
//!
//! All decisions are functions of what is known of the keys and of the time; around them are two
//! mutexes, that of the breakers first, and the lines of those who wait.

mod breaker;
mod breakers;
mod ceiling;
mod change;
mod health;
mod key;
mod lately;
mod limit;
mod limiter;
mod line;
mod pass;
#[cfg(feature = "governor")]
mod plain;
mod quota;
mod snapshot;
mod state;
mod table;
mod take;
mod wait;

pub use self::breaker::{
    BreakerCause, BreakerMode, BreakerPolicy, BreakerState, Breakers, InvalidBreakerPolicy,
};
pub use self::change::{BreakerChange, BreakerView};
pub use self::key::{Key, KeyClass, Need};
pub use self::limit::{InvalidLimit, Limit, Limits};
pub use self::limiter::{Availability, Block, ColdStart, Gate, NotReady};
pub use self::pass::Pass;
#[cfg(feature = "governor")]
pub use self::plain::PlainLimiter;
pub use self::quota::{InvalidQuota, Quota};
pub use self::snapshot::{GateSnapshot, KeySnapshot};

#[cfg(test)]
mod tests;
