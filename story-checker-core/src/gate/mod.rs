//! The gate: the one place that every outgoing request goes through.
//!
//! A request needs several keys at once (its session, its proxy, its endpoint, the app). The gate
//! takes all of them or none, and answers with a [`Pass`]. A pass that is dropped before its request
//! was sent gives everything back.
//!
//! Endpoints and proxies have a breaker each. The order is: look at the breakers, take from the
//! limits, take from the breakers, all under one lock, so that an open breaker costs no place in a
//! limit and a probe never waits for one.

mod breaker;
mod breakers;
mod change;
mod health;
mod key;
mod lately;
mod limit;
mod limiter;
mod pass;
mod quota;
mod wait;

pub use self::breaker::{
    BreakerCause, BreakerMode, BreakerPolicy, BreakerState, Breakers, InvalidBreakerPolicy,
};
pub use self::change::{BreakerChange, BreakerView};
pub use self::key::{Key, KeyClass, Need};
pub use self::limit::Limits;
pub use self::limiter::{Availability, Gate, NotReady};
pub use self::pass::Pass;
pub use self::quota::{InvalidQuota, Quota};

#[cfg(test)]
mod tests;
