//! The gate: the one place that every outgoing request goes through.
//!
//! A request needs several keys at once (its session, its proxy, its endpoint, the app). The gate
//! takes all of them or none, and answers with a [`Pass`]. A pass that is dropped before its request
//! was sent gives everything back.

mod key;
mod limit;
mod limiter;
mod pass;
mod quota;
mod wait;

pub use self::key::{Key, KeyClass, Need};
pub use self::limit::Limits;
pub use self::limiter::{Availability, Gate, NotReady};
pub use self::pass::Pass;
pub use self::quota::{InvalidQuota, Quota};

#[cfg(test)]
mod tests;
