//! What the platform saw: counters that are always exact, and the latest requests one by one.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::request::{ProxyId, Route};
use crate::time::Timestamp;

/// One request as the platform saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When it arrived.
    pub time: Timestamp,
    /// What it asked for.
    pub route: Route,
    /// The session that sent it, or the number of the token, if it is a known one.
    pub session: Option<u32>,
    /// The proxy that it came through, if any.
    pub proxy: Option<ProxyId>,
    /// The status of the answer.
    pub status: u16,
}

/// Which requests to look at; the default is all of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestFilter {
    /// Only those for this endpoint.
    pub route: Option<Route>,
    /// Only those of this session.
    pub session: Option<u32>,
    /// Only those through this proxy.
    pub proxy: Option<ProxyId>,
    /// Only those answered with this status.
    pub status: Option<u16>,
}

impl RequestFilter {
    /// All requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps those for this endpoint.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    /// Keeps those of this session.
    #[must_use]
    pub fn with_session(mut self, session: u32) -> Self {
        self.session = Some(session);
        self
    }

    /// Keeps those through this proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyId) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Keeps those answered with this status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    fn keeps(&self, record: &AuditRecord) -> bool {
        self.route.is_none_or(|route| route == record.route)
            && self.session.is_none_or(|session| record.session == Some(session))
            && self.proxy.is_none_or(|proxy| record.proxy == Some(proxy))
            && self.status.is_none_or(|status| status == record.status)
    }
}

/// The counters of the audit. All count from the start or from the last reset.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditSummary {
    /// Requests seen.
    pub total: u64,
    /// Requests per endpoint.
    pub by_route: BTreeMap<&'static str, u64>,
    /// Answers per status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that arrived over a limit.
    pub limits_broken: u64,
    /// Requests of a session that had another one in flight.
    pub session_overlaps: u64,
    /// Requests of a session from another address than the one before.
    pub session_address_changes: u64,
    /// Requests that came past every proxy, although one was expected.
    pub direct_requests: u64,
    /// Requests of a session that had already been told of a challenge, or of its suspension.
    pub requests_after_challenge: u64,
    /// Requests of a session that had already been told that its actions are blocked.
    pub requests_after_block: u64,
    /// What the rules did, and how often.
    pub faults: BTreeMap<String, u64>,
    /// Requests remembered one by one.
    pub recorded: u64,
    /// Requests no longer remembered one by one.
    pub dropped: u64,
}

/// What was wrong about one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Violations {
    pub(crate) limit: bool,
    pub(crate) overlap: bool,
    pub(crate) address_changed: bool,
    pub(crate) direct: bool,
    pub(crate) after_challenge: bool,
    pub(crate) after_block: bool,
}

#[derive(Debug)]
pub(crate) struct Audit {
    capacity: usize,
    records: VecDeque<AuditRecord>,
    by_route: [u64; Route::ALL.len()],
    /// Everything that is not counted per route; maps and sums are filled in by `summary`.
    counters: AuditSummary,
}

impl Audit {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            records: VecDeque::new(),
            by_route: [0; Route::ALL.len()],
            counters: AuditSummary::default(),
        }
    }

    pub(crate) fn record(&mut self, record: AuditRecord, violations: Violations) {
        let counters = &mut self.counters;
        counters.total += 1;
        counters.limits_broken += u64::from(violations.limit);
        counters.session_overlaps += u64::from(violations.overlap);
        counters.session_address_changes += u64::from(violations.address_changed);
        counters.direct_requests += u64::from(violations.direct);
        counters.requests_after_challenge += u64::from(violations.after_challenge);
        counters.requests_after_block += u64::from(violations.after_block);
        *counters.by_status.entry(record.status).or_default() += 1;
        self.by_route[record.route as usize] += 1;
        if self.records.len() >= self.capacity {
            counters.dropped += 1;
            self.records.pop_front();
        }
        if self.capacity > 0 {
            self.records.push_back(record);
        }
    }

    /// Counts what a rule did.
    pub(crate) fn count_fault(&mut self, label: &str) {
        match self.counters.faults.get_mut(label) {
            Some(count) => *count += 1,
            None => {
                self.counters.faults.insert(label.to_owned(), 1);
            }
        }
    }

    pub(crate) fn summary(&self) -> AuditSummary {
        AuditSummary {
            by_route: Route::ALL.iter().map(|route| route.name()).zip(self.by_route).collect(),
            recorded: self.records.len() as u64,
            ..self.counters.clone()
        }
    }

    /// The latest requests that the filter keeps, oldest first.
    pub(crate) fn requests(&self, filter: &RequestFilter, limit: usize) -> Vec<AuditRecord> {
        let latest = self.records.iter().rev().filter(|record| filter.keeps(record));
        let mut records: Vec<_> = latest.take(limit).copied().collect();
        records.reverse();
        records
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: u64, status: u16) -> AuditRecord {
        AuditRecord {
            time: Timestamp::from_unix_millis(time),
            route: Route::Reels,
            session: Some(3),
            proxy: Some(ProxyId::new(9)),
            status,
        }
    }

    #[test]
    fn counters_go_on_where_records_are_dropped() {
        let mut audit = Audit::new(2);
        for time in 0..5 {
            audit.record(record(time, 200), Violations::default());
        }
        let summary = audit.summary();
        assert_eq!((summary.total, summary.recorded, summary.dropped), (5, 2, 3));
        assert_eq!(summary.by_route["reels"], 5);
        let times: Vec<_> = audit.requests(&RequestFilter::new(), 10);
        assert_eq!(times, [record(3, 200), record(4, 200)]);
        audit.reset();
        assert_eq!(audit.summary().total, 0);
    }

    #[test]
    fn filters_keep_what_they_name() {
        let mut audit = Audit::new(10);
        audit.record(record(1, 200), Violations::default());
        audit.record(record(2, 429), Violations { limit: true, ..Violations::default() });
        let all = RequestFilter::new();
        let count = |filter: RequestFilter| audit.requests(&filter, 10).len();
        assert_eq!(count(all), 2);
        assert_eq!(count(all.with_status(429)), 1);
        assert_eq!(count(all.with_session(3)), 2);
        assert_eq!(count(all.with_session(4)), 0);
        assert_eq!(count(all.with_proxy(ProxyId::new(9))), 2);
        assert_eq!(count(all.with_proxy(ProxyId::new(8))), 0);
        assert_eq!(count(all.with_route(Route::Profile)), 0);
        assert_eq!(audit.requests(&all, 1), [record(2, 429)]);
        assert_eq!(audit.summary().limits_broken, 1);
    }

    #[test]
    fn an_audit_without_memory_still_counts() {
        let mut audit = Audit::new(0);
        audit.record(record(1, 200), Violations::default());
        assert_eq!((audit.summary().total, audit.summary().recorded), (1, 0));
    }
}
