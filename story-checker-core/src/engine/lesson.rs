use std::sync::Arc;
use std::time::Duration;

use super::config::EngineConfig;
use crate::charge::{ProxyCharge, SessionCharge, charge};
use crate::clock::Timestamp;
use crate::fault::{Class, Fault, Scope};
use crate::proxy::{Proxy, Rest};
use crate::report::Report;
use crate::session::SessionState;

/// What a check has taught about its pair. What its requests say of the proxy's breaker, the gate
/// knows already.
#[derive(Debug, Default)]
pub(super) struct Lesson {
    /// The session's new state.
    pub(super) session: Option<SessionState>,
    /// How the proxy must rest.
    pub(super) rest: Option<Rest>,
    /// Targets that were answered through the pair.
    pub(super) ok: u64,
    /// What went wrong, and whose fault it was.
    pub(super) faults: Vec<(Class, Scope)>,
}

impl Lesson {
    /// What the answers, and the faults noted besides, say about the pair, which was used since
    /// then: the worst for the session, and one word on the proxy.
    pub(super) fn of(
        proxy: Option<&Arc<Proxy>>,
        answers: &[Result<Report, Fault>],
        noted: &[Fault],
        config: &EngineConfig,
        (since, now): (Timestamp, Timestamp),
    ) -> Self {
        let mut lesson = Self::default();
        // An answer that came through another proxy, or was only remembered, says nothing of it.
        let through = |report: &Report| {
            let used = report.evidence.proxy.as_ref();
            let ended = report.timings.ended;
            (ended >= since || ended == Timestamp::default())
                && used.is_none_or(|used| proxy.is_some_and(|proxy| proxy.id() == used))
        };
        lesson.ok = answers.iter().flatten().filter(|report| through(report)).count() as u64;
        let answered = answers.iter().filter_map(|answer| answer.as_ref().err());
        for fault in answered.chain(noted).filter(|fault| !fault.charged) {
            lesson.add(fault, config, now);
        }
        lesson
    }

    fn add(&mut self, fault: &Fault, config: &EngineConfig, now: Timestamp) {
        self.faults.push((fault.class, fault.scope));
        let charge = charge(fault.class, fault.scope);
        let reason = || fault.message.clone().into_owned();
        let until = |rest: Duration| fault.until.unwrap_or(now + rest);
        let state = match charge.session {
            SessionCharge::Challenge => Some(SessionState::Challenged { reason: reason() }),
            SessionCharge::NeedLogin => Some(SessionState::NeedsLogin { reason: reason() }),
            SessionCharge::Suspend => Some(SessionState::Suspended { reason: reason() }),
            SessionCharge::Cool => {
                let until = until(config.session_rest);
                Some(SessionState::CoolingDown { until, reason: reason() })
            }
            SessionCharge::Nothing => None,
        };
        if severity(state.as_ref()) > severity(self.session.as_ref()) {
            self.session = state;
        }
        if charge.proxy == ProxyCharge::Cool {
            self.rest = Some(Rest::new(fault.class, until(config.rest), reason()));
        }
    }
}

fn severity(state: Option<&SessionState>) -> u8 {
    match state {
        Some(SessionState::Challenged { .. }) => 4,
        Some(SessionState::Suspended { .. }) => 3,
        Some(SessionState::CoolingDown { .. }) => 1,
        Some(SessionState::Valid) | None => 0,
        Some(_) => 2,
    }
}
