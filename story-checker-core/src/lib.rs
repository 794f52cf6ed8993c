//! Core of story-checker: which accounts have an active story, proven.
//!
//! # What is here
//! * the words: [`Target`], [`Verdict`], [`Evidence`], [`Report`], [`Fault`];
//! * four ports that adapters implement: [`Checker`](checker::Checker),
//!   [`JobQueue`](queue::JobQueue), [`SessionStore`](session::SessionStore),
//!   [`ProxySource`](proxy::ProxySource), and [`Cache`](cache::Cache) beside them, each with an
//!   adapter in memory;
//! * the policies, pure where they can be: the [charges table](mod@charge), the
//!   [retry decision](retry::decide), the [gate] with its limits;
//! * the [engine] that puts them together, and checkers made of checkers:
//!   [`Fallback`](checker::Fallback), [`Cached`](checker::Cached);
//! * [`transfer`]: everything out of one store and into another.
//!
//! Core does no I/O of its own: requests are made by checkers, and story-checker-http has some.
//!
//! # Features
//! | feature | default | what it adds |
//! |---|---|---|
//! | `backoff` | no | replays a policy of the `backoff` crate into a [`Schedule`](retry::Schedule) |
//! | `governor` | no | a [plain limiter](gate) of one key by the `governor` crate |
//! | `seal` | no | `seal`: secrets at rest, sealed with a key that the store does not have |
//! | `testing` | no | the conformance suite for adapters, and stores that fail as planned |

mod base64;
pub mod cache;
pub mod charge;
pub mod checker;
mod clock;
pub mod engine;
mod error;
mod evidence;
mod fault;
pub mod gate;
mod id;
pub mod proxy;
pub mod queue;
mod report;
pub mod retry;
#[cfg(feature = "seal")]
pub mod seal;
mod secret;
pub mod session;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transfer;
mod usage;

pub use self::clock::{Clock, SystemClock, Timestamp, VirtualClock};
pub use self::error::{Certainty, Error, ErrorKind, Result};
pub use self::evidence::{Evidence, RequestRecord};
pub use self::fault::{Class, Fault, Scope};
pub use self::id::{BatchId, Fence, JobId, ProxyId, SessionId, WorkerId};
pub use self::report::{Cause, Item, MediaKind, MediaVariant, Report, Timings, Verdict};
pub use self::secret::Secret;
pub use self::target::{InvalidTarget, Platform, Target, TargetKind};
pub use self::usage::Usage;
