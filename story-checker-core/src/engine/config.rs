use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::gate::{Breakers, ColdStart, Limits};
use crate::id::WorkerId;
use crate::proxy::ProxyPolicy;
use crate::retry::RetryPolicy;

/// The engine's settings. All have defaults that suit one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The name of this worker in leases; one is made up if there is none.
    pub worker: Option<WorkerId>,
    /// Calls of checkers at the same time. Default 256.
    pub max_in_flight: NonZeroUsize,
    /// The most targets in one call of a checker, if less than the checker itself allows.
    pub max_batch: Option<NonZeroUsize>,
    /// How long a lease of a job or session holds without a beat. Default 30 s; a beat comes every
    /// third of it.
    pub lease: Duration,
    /// How long one call of a checker may take. Default 60 s.
    pub check_timeout: Duration,
    /// How long one request waits for a pass before its job is released instead. Default 2 s.
    pub patience: Duration,
    /// How often and how patiently to try.
    pub retry: RetryPolicy,
    /// A job is dead once its worker has died with it so many times. Default 3. The last of these
    /// tries goes alone, so that a job that kills its worker does not take others along.
    pub max_crashes: u32,
    /// How long a session rests after a fault without a hint. Default 11 min.
    pub session_rest: Duration,
    /// How long a proxy, endpoint or app rests after a fault without a hint. Default 1 min.
    pub rest: Duration,
    /// How proxies are chosen, shared and rested.
    pub proxies: ProxyPolicy,
    /// When endpoints and proxies are left alone because they fail, and for how long. An engine that
    /// is given a gate takes that of the gate.
    pub breakers: Breakers,
    /// Sessions unused for so long go back to the store. Default 1 min.
    pub idle_release: Duration,
    /// Limits by [`app`](crate::checker::CheckerProfile::app), in place of those that the checkers
    /// bring.
    pub limits: BTreeMap<String, Limits>,
    /// What is assumed to have been sent before, if the cache remembers nothing of it. Default:
    /// nothing.
    pub cold_start: ColdStart,
    /// The most jobs waiting or running in each queue; submitting waits while one is full. No
    /// limit by default.
    pub max_queued: Option<usize>,
    /// Stores each report with its job. Default yes; no saves time where reports are consumed as
    /// events.
    pub store_reports: bool,
    /// Ends a job as unknown as soon as it is clear that nothing can go before its deadline,
    /// instead of hoping for the operator until then. Default no.
    pub give_up_early: bool,
    /// Makes ids and jitter repeatable.
    pub seed: Option<u64>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");
        Self {
            worker: None,
            max_in_flight: IN_FLIGHT,
            max_batch: None,
            lease: Duration::from_secs(30),
            check_timeout: Duration::from_secs(60),
            patience: Duration::from_secs(2),
            retry: RetryPolicy::default(),
            max_crashes: 3,
            session_rest: Duration::from_secs(11 * 60),
            rest: Duration::from_secs(60),
            proxies: ProxyPolicy::default(),
            breakers: Breakers::default(),
            idle_release: Duration::from_secs(60),
            limits: BTreeMap::new(),
            cold_start: ColdStart::Fresh,
            max_queued: None,
            store_reports: true,
            give_up_early: false,
            seed: None,
        }
    }
}
