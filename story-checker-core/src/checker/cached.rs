use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Checker;
use super::context::CheckContext;
use super::profile::CheckerProfile;
use crate::cache::CacheEntry;
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::report::{Report, Verdict};
use crate::target::Target;

/// For how long a report is believed without asking again, by its verdict. Zero: not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedTtl {
    /// Never past the end of its last story. Default 5 min.
    pub active: Duration,
    /// Default 1 min: this is what a new story changes.
    pub no_story: Duration,
    /// Default 1 h.
    pub not_found: Duration,
    /// Believed for the session that saw it only: another one may follow the account. Default 1 h.
    pub private: Duration,
    /// Believed for the session that saw it only: another one may be old enough. Default 1 h.
    pub gated: Duration,
    /// Default 6 h.
    pub suspended: Duration,
}

impl Default for CachedTtl {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            active: MINUTE * 5,
            no_story: MINUTE,
            not_found: MINUTE * 60,
            private: MINUTE * 60,
            gated: MINUTE * 60,
            suspended: MINUTE * 360,
        }
    }
}

impl CachedTtl {
    /// For how long this report is believed.
    const fn of(&self, verdict: &Verdict) -> Duration {
        match verdict {
            Verdict::Active => self.active,
            Verdict::Gated => self.gated,
            Verdict::NoStory => self.no_story,
            Verdict::NotFound => self.not_found,
            Verdict::Private => self.private,
            Verdict::Suspended => self.suspended,
            Verdict::Unknown { .. } => Duration::ZERO,
        }
    }

    /// Until when this report is believed.
    fn end(&self, report: &Report) -> Timestamp {
        let end = report.timings.ended + self.of(&report.verdict);
        let last_story = report.items.iter().map(|item| item.expires_at.unwrap_or(Timestamp::MAX));
        match report.verdict {
            Verdict::Active => last_story.max().map_or(end, |last| end.min(last)),
            _ => end,
        }
    }
}

/// Answers with what another checker reported a short while ago, and asks it only for the rest.
///
/// Reports are kept in [the cache of the check](CheckContext::cache). What is remembered says so as
/// a fact, and its timings are those of the check that made it. A cache that does not answer, or
/// holds something damaged, is as if empty.
#[derive(Debug)]
pub struct Cached {
    inner: Arc<dyn Checker>,
    ttl: CachedTtl,
}

impl Cached {
    /// Remembers the reports of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Checker>, ttl: CachedTtl) -> Self {
        Self { inner, ttl }
    }

    fn key(&self, target: &Target) -> String {
        format!("report/{}/{target}", self.inner)
    }

    /// What is remembered and still believed, per target.
    async fn remembered(&self, targets: &[Target], cx: &CheckContext) -> Vec<Option<Report>> {
        let keys: Vec<_> = targets.iter().map(|target| self.key(target)).collect();
        let values = cx.cache().get(&keys).await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the cache does not answer");
            Vec::new()
        });
        let mut values = values.into_iter();
        let read = |target: &Target| {
            let report: Report = serde_json::from_slice(&values.next()??).ok()?;
            (report.target == *target).then(|| self.believed(report, cx))?
        };
        targets.iter().map(read).collect()
    }

    fn believed(&self, mut report: Report, cx: &CheckContext) -> Option<Report> {
        let now = cx.now();
        let session = cx.session().map(|session| session.id());
        let by_session = matches!(report.verdict, Verdict::Private | Verdict::Gated);
        if self.ttl.end(&report) <= now
            || (by_session && report.evidence.session.as_ref() != session)
        {
            return None;
        }
        report.items.retain(|item| item.expires_at.is_none_or(|end| end > now));
        let age = now.since(report.timings.ended).as_secs();
        report.evidence.facts.push(format!("remembered: checked {age} s ago").into());
        Some(report)
    }

    async fn remember(&self, reports: impl Iterator<Item = &Report>, cx: &CheckContext) {
        let now = cx.now();
        let entry = |report: &Report| {
            let ttl = self.ttl.end(report).since(now);
            let value = serde_json::to_vec(report).ok().filter(|_| !ttl.is_zero())?;
            Some(CacheEntry::new(self.key(&report.target), value).with_ttl(ttl))
        };
        let entries: Vec<_> = reports.filter_map(entry).collect();
        if entries.is_empty() {
            return;
        }
        if let Err(error) = cx.cache().put(entries).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "reports were not remembered");
        }
    }
}

impl fmt::Display for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, remembered", self.inner)
    }
}

#[async_trait]
impl Checker for Cached {
    fn profile(&self) -> &CheckerProfile {
        self.inner.profile()
    }

    async fn check(&self, targets: &[Target], cx: &CheckContext) -> Vec<Result<Report, Fault>> {
        let remembered = self.remembered(targets, cx).await;
        let known =
            |(target, report): (&Target, &Option<Report>)| report.is_none().then(|| target.clone());
        let missing: Vec<_> = targets.iter().zip(&remembered).filter_map(known).collect();
        let mut answers = Vec::new();
        if !missing.is_empty() {
            answers = self.inner.check(&missing, cx).await;
            self.remember(answers.iter().flatten(), cx).await;
        }
        if missing.len() == targets.len() {
            return answers;
        }
        let mut answers = answers.into_iter();
        let known = remembered.into_iter().map(|report| report.map(Ok));
        let mut all: Vec<_> = known.filter_map(|known| known.or_else(|| answers.next())).collect();
        // Too many or too few are a bug of the inner checker, which the count must show.
        all.extend(answers);
        all
    }
}
