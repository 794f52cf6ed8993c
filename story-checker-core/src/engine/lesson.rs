use crate::clock::Timestamp;
use crate::session::SessionState;

/// What a check has taught about its pair.
#[derive(Debug, Default)]
pub(super) struct Lesson {
    /// The session's new state.
    pub(super) session: Option<SessionState>,
    /// What to do with the proxy.
    pub(super) proxy: ProxyLesson,
}

#[derive(Debug, Default)]
pub(super) enum ProxyLesson {
    /// It let an answer through.
    Good,
    /// Nothing can be said.
    #[default]
    Nothing,
    /// It must rest until then.
    Rest { until: Timestamp, reason: String },
    /// It failed once more; after several in a row it rests until then.
    Failed { until: Timestamp, reason: String },
}
