use std::borrow::Cow;
use std::num::NonZeroUsize;

use crate::gate::Limits;
use crate::session::SessionKind;
use crate::target::{Platform, TargetKind};

/// What a checker answers for, and what it needs to do so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckerProfile {
    /// The platform of all its targets.
    pub platform: Platform,
    /// The name under which all its requests are counted together. The platform's own name by
    /// default; a platform that counts by application or API gives each of them a name, so that one
    /// that is blocked does not block the others.
    pub app: Cow<'static, str>,
    /// The kinds of targets it can answer for.
    pub kinds: Vec<TargetKind>,
    /// The most targets in one call. 1 is fine; a platform that answers for many in one request
    /// saves requests with more.
    pub max_batch: NonZeroUsize,
    /// The kind of session it needs; none if it asks without an identity.
    pub session: Option<SessionKind>,
    /// It answers for some targets without a session too. Then a check runs on a pair without one
    /// while no session can be had: none is in use, and none may go soon. Default no.
    pub session_optional: bool,
    /// The endpoints its requests go to, by the names given to [`CheckContext::pass`](super::CheckContext::pass).
    pub endpoints: Vec<&'static str>,
    /// Those of them without which hardly any check gets an answer: while the breaker of one is
    /// open, no job is claimed. If none is named and there is one endpoint only, it is that.
    pub vital: Vec<&'static str>,
    /// Who is asked in its place, if it is made of checkers: while one of them can answer, jobs are
    /// claimed.
    pub(super) made_of: Vec<Self>,
    /// The quotas it keeps unless the engine is given others.
    pub limits: Limits,
}

impl CheckerProfile {
    /// A checker for accounts of one platform, one at a time, without sessions, endpoints or limits.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        Self {
            app: platform.as_str().to_owned().into(),
            platform,
            kinds: vec![TargetKind::Account],
            max_batch: NonZeroUsize::MIN,
            session: None,
            session_optional: false,
            endpoints: Vec::new(),
            vital: Vec::new(),
            made_of: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// The checkers that it is made of; itself if it is made of none.
    pub(super) fn parts(&self) -> &[Self] {
        match self.made_of.as_slice() {
            [] => std::slice::from_ref(self),
            parts => parts,
        }
    }
}
