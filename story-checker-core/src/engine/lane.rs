use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::config::EngineConfig;
use super::job::check_queue;
use crate::checker::{Checker, GateKeys};
use crate::queue::QueueName;
use crate::session::SessionKind;
use crate::target::{Platform, Target, TargetKind};

/// All targets of one platform and kind: one checker, one queue.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) checker: Arc<dyn Checker>,
    pub(super) platform: Platform,
    pub(super) kind: TargetKind,
    pub(super) session: Option<SessionKind>,
    pub(super) session_optional: bool,
    pub(super) queue: QueueName,
    pub(super) keys: Arc<GateKeys>,
    pub(super) max_batch: usize,
    /// Calls that were begun while there was little room at an endpoint that was down.
    pub(super) probes: Arc<AtomicUsize>,
}

impl Lane {
    /// The lanes of one checker.
    pub(super) fn of(checker: &Arc<dyn Checker>, config: &EngineConfig) -> Vec<Self> {
        let profile = checker.profile();
        let platform = &profile.platform;
        let keys = Arc::new(GateKeys::new(profile, config.limits.get(&*profile.app)));
        let max_batch = config.max_batch.unwrap_or(profile.max_batch).min(profile.max_batch);
        let lane = |&kind: &TargetKind| Self {
            checker: Arc::clone(checker),
            platform: platform.clone(),
            kind,
            session: profile.session.clone(),
            session_optional: profile.session_optional,
            queue: check_queue(platform, kind),
            keys: Arc::clone(&keys),
            max_batch: max_batch.get(),
            probes: Arc::default(),
        };
        profile.kinds.iter().map(lane).collect()
    }

    pub(super) fn serves(&self, target: &Target) -> bool {
        self.kind == target.kind() && self.platform == *target.platform()
    }
}
