//! The conformance suite: every promise of the ports as a test, for any adapter.
//!
//! An adapter's tests name a fixture, which makes empty stores and lets their time pass, and expand
//! the suite of the port with one macro: [`job_queue_suite!`](crate::job_queue_suite),
//! [`session_store_suite!`](crate::session_store_suite),
//! [`proxy_source_suite!`](crate::proxy_source_suite), [`cache_suite!`](crate::cache_suite). Each
//! promise then is one `#[test]` with the promise's name. `docs/ADAPTERS.md` shows a whole example.
//!
//! Cases run in real time on a runtime of their own, so that stores with threads and sockets work;
//! where a promise speaks of time, the fixture moves the *store's* clock. Cases leave
//! [`TOLERANCE`] for a clock that also runs by itself.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a broken promise")]
#![expect(clippy::missing_panics_doc, reason = "a case panics exactly if its promise is broken")]

pub mod cache;
mod clock;
mod faulty;
mod memory;
pub mod proxies;
pub mod queue;
pub mod sessions;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

pub use self::clock::ManualClock;
pub use self::faulty::{Faulty, Mishap, Plan};
pub use self::memory::InMemoryFixture;
use crate::clock::Timestamp;

/// How far a store's clock may run by itself during one case.
pub const TOLERANCE: Duration = Duration::from_secs(20);

/// The longest that one case may take.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs one case on a runtime of its own.
///
/// # Panics
/// If the case panics, or takes longer than three minutes.
pub fn run(case: LocalBoxFuture<'_, ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = runtime.block_on(async { tokio::time::timeout(LIMIT, case).await });
    // A store that hangs in a blocking thread must not hang the test.
    runtime.shutdown_background();
    assert!(limited.is_ok(), "the case took longer than {LIMIT:?}");
}

/// The case with this name.
fn find<C: Copy>(cases: &[(&str, C)], name: &str) -> C {
    let found = cases.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no case {name}")).1
}

/// Whether two times are the same, but for what a clock may have run by itself.
fn near(a: Timestamp, b: Timestamp) -> bool {
    a.since(b).max(b.since(a)) <= TOLERANCE
}

/// How large the cases are that ask for much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scale {
    /// Jobs that become due at once.
    pub due: usize,
    /// Leases that are over at once.
    pub expired: usize,
    /// Ended jobs that are too many at once.
    pub ended: usize,
}

impl Scale {
    /// For every run of the tests.
    #[must_use]
    pub const fn small() -> Self {
        Self { due: 3_000, expired: 1_500, ended: 2_000 }
    }

    /// What other queues are known to fail at.
    #[must_use]
    pub const fn full() -> Self {
        Self { due: 100_000, expired: 10_000, ended: 20_000 }
    }
}

/// Makes a `#[test]` of each case. It goes by name, so that a case is compiled once and not in every
/// crate that runs it.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    (($fixture:expr) $suite:ident $($module:ident { $($case:ident)* })*) => {
        $crate::conformance_tests! { ($fixture) $suite $($($case)*)* }
    };
    (($fixture:expr) $suite:ident $($case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::testing::run(::std::boxed::Box::pin(async {
                let fixture = $fixture;
                $crate::testing::$suite::case(stringify!($case))(&fixture).await;
            }));
        }
    )*};
}

/// Makes a list of the cases with their names.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_list {
    (() $suite:ident $($module:ident { $($case:ident)* })*) => {
        &[$($((stringify!($case), |fixture| {
            Box::pin($crate::testing::$suite::$module::$case(fixture))
        })),*),*]
    };
    (() $suite:ident $($case:ident)*) => {
        &[$((stringify!($case), |fixture| {
            Box::pin($crate::testing::$suite::$case(fixture))
        })),*]
    };
}
