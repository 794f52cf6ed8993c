//! The lines of an export.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Counts;
use crate::base64;
use crate::clock::Timestamp;
use crate::id::{BatchId, Fence, JobId, ProxyId, SessionId};
use crate::proxy::ProxyState;
use crate::queue::{JobPast, JobState, JobView, NewJob, QueueName};
use crate::retry::DeadReason;
use crate::session::{SessionKind, SessionState};

/// The format that is written, and the newest that is read.
pub(super) const FORMAT: u32 = 1;

/// One line: an object with one field, which says what it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The first line.
    StoryCheckerExport(Header),
    Config(String),
    Queue(Queue),
    Session(Session),
    Proxy(Proxy),
    Job(Box<Job>),
    Batch(Batch),
    /// The last line: a file without it was cut off.
    End(Counts),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) paused: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) max_len: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) kind: SessionKind,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) account: Option<String>,
    pub(super) state: SessionState,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) home_proxy: Option<ProxyId>,
    /// Base64 of the sealed credentials.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) sealed: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxy {
    pub(super) id: ProxyId,
    pub(super) state: ProxyState,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) cancelled: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) paused: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    id: JobId,
    queue: String,
    #[serde(default, skip_serializing_if = "is_default")]
    batch: Option<BatchId>,
    priority: u8,
    state: JobState,
    #[serde(default, skip_serializing_if = "is_default")]
    dead_reason: Option<DeadReason>,
    payload: Content,
    #[serde(default, skip_serializing_if = "is_default")]
    result: Option<Content>,
    #[serde(default, skip_serializing_if = "is_default")]
    note: String,
    #[serde(default, skip_serializing_if = "is_default")]
    attempt: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    crashes: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    deferrals: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    fence: Fence,
    enqueued_at: Timestamp,
    /// When it is due or has ended; a job that is due now has none.
    #[serde(default, skip_serializing_if = "is_default")]
    at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_default")]
    deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_default")]
    unique: Option<Content>,
}

impl Job {
    pub(super) fn of(view: JobView) -> Self {
        // Nobody holds it where it goes.
        let state = if view.state == JobState::Leased { JobState::Ready } else { view.state };
        Self {
            id: view.id,
            queue: view.queue.as_str().to_owned(),
            batch: view.batch,
            priority: view.priority,
            state,
            dead_reason: view.dead_reason,
            payload: Content(view.payload),
            result: view.result.map(Content),
            note: view.note,
            attempt: view.attempt,
            crashes: view.crashes,
            deferrals: view.deferrals,
            fence: view.fence,
            enqueued_at: view.enqueued_at,
            at: Some(view.at).filter(|_| state != JobState::Ready),
            deadline: view.deadline,
            unique: view.unique.map(Content),
        }
    }

    /// The job as it is enqueued elsewhere, or what is wrong with it.
    pub(super) fn into_new(self) -> Result<NewJob, &'static str> {
        if self.queue.is_empty() {
            return Err("`queue` is empty");
        }
        if self.at.is_none() && (self.state.is_final() || self.state == JobState::Scheduled) {
            return Err("a job that has ended or waits for a time needs `at`");
        }
        if self.dead_reason.is_some() != (self.state == JobState::Dead) {
            return Err("a dead job, and no other, has a `dead_reason`");
        }
        let past = JobPast {
            state: self.state,
            dead_reason: self.dead_reason,
            result: self.result.map(|Content(result)| result),
            note: self.note,
            attempt: self.attempt,
            crashes: self.crashes,
            deferrals: self.deferrals,
            fence: self.fence,
            enqueued_at: self.enqueued_at,
            at: self.at.unwrap_or(self.enqueued_at),
            deadline: self.deadline,
        };
        let Content(payload) = self.payload;
        let mut job = NewJob::new(self.id, QueueName::new(self.queue), payload);
        job.batch = self.batch;
        job.priority = self.priority;
        job.unique = self.unique.map(|Content(key)| key);
        job.past = Some(Box::new(past));
        Ok(job)
    }
}

/// Bytes: text where they are text, `{"base64": …}` where they are not.
#[derive(Debug, PartialEq, Eq)]
struct Content(Bytes);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Shown<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes { base64: String },
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Shown::Bytes { base64: base64::encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Shown::deserialize(deserializer)? {
            Shown::Text(text) => Ok(Self(Bytes::from(text.into_owned()))),
            Shown::Bytes { base64 } => match base64::decode(&base64) {
                Some(bytes) => Ok(Self(bytes.into())),
                None => Err(serde::de::Error::custom(NOT_BASE64)),
            },
        }
    }
}

pub(super) const NOT_BASE64: &str = "it is not base64";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
