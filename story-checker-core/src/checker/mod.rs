//! The port that answers for targets, and what it is given to do so.

mod cached;
mod context;
mod fallback;
mod keys;
mod lender;
mod loan;
mod profile;

use std::fmt::{Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;

pub use self::cached::{Cached, CachedTtl};
pub use self::context::CheckContext;
pub use self::fallback::Fallback;
pub(crate) use self::keys::GateKeys;
pub(crate) use self::lender::{Lender, Lent};
pub use self::loan::Loan;
pub(crate) use self::loan::nothing_to_lend;
pub use self::profile::CheckerProfile;
use crate::fault::Fault;
use crate::report::Report;
use crate::target::Target;

/// Answers for targets: one platform, one way of asking it.
#[async_trait]
pub trait Checker: Debug + Display + Send + Sync + 'static {
    /// What the checker answers for, and what it needs. It must not change while an engine uses it.
    fn profile(&self) -> &CheckerProfile;

    /// Answers for each target, in their order: a proven report, or the fault that stood in the way.
    ///
    /// # Contract
    /// * The answer has exactly one element per target. There are 1 to
    ///   [`max_batch`](CheckerProfile::max_batch) targets, all of the profile's platform and kinds.
    /// * Every request takes a pass of [`CheckContext::pass`] before it is sent, goes through
    ///   [`CheckContext::proxy`], and uses only [`CheckContext::session`]. No two requests of one
    ///   check are in flight at once: they share a session. What needs another identity runs on a
    ///   [loan](CheckContext::lend).
    /// * Near [`CheckContext::deadline`] it stops and returns what it has; the rest are faults.
    /// * A report is never [`Verdict::Unknown`](crate::Verdict::Unknown): that is a fault.
    ///
    /// # Cancel safety
    /// Must be safe: the engine drops the future when the job is cancelled, its lease is lost, or
    /// the deadline passes. A panic is caught and charged to ourselves.
    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>>;
}

const _: Option<&dyn Checker> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: Checker + ?Sized> Checker for $pointer {
            fn profile(&self) -> &CheckerProfile {
                (**self).profile()
            }

            async fn check(
                &self,
                targets: &[Target],
                cx: &CheckContext,
            ) -> Vec<Result<Report, Fault>> {
                (**self).check(targets, cx).await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);
