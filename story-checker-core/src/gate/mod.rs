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
//!
//! All decisions are functions of what is known of the keys and of the time; around them are one
//! mutex and the lines of those who wait.

mod ceiling;
mod key;
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
mod wait;

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
