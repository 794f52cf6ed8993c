//! How a file is opened.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::queue::Retention;

use crate::time::{HostClock, SystemHost};

/// When a write counts as safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// Once it is on the disk: what was acknowledged survives also a loss of power.
    #[default]
    Full,
    /// Once the operating system has it: it survives the death of every process, but the last
    /// writes may be gone after a loss of power. Nothing else gets damaged.
    Normal,
}

impl Synchronous {
    pub(crate) const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// How a file is opened and kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// When a write counts as safe. Default: on the disk.
    pub synchronous: Synchronous,
    /// Brings an older file to this version's schema. Default: yes; else such a file is refused.
    pub migrate: bool,
    /// How long ended jobs are kept.
    pub retention: Retention,
    /// How long to wait for another process that holds the write lock, before the call fails.
    /// Default 10 s.
    pub patience: Duration,
    /// How many entries the cache may hold. Default 1,000,000.
    pub cache_entries: usize,
    /// The machine's clocks.
    pub clock: Arc<dyn HostClock>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            migrate: true,
            retention: Retention::default(),
            patience: Duration::from_secs(10),
            cache_entries: 1_000_000,
            clock: Arc::new(SystemHost::new()),
        }
    }
}
