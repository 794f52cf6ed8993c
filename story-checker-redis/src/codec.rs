//! Bytes of jobs, as the scripts write and read them (docs/decisions/0013-redis-layout.md).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use story_checker_core::queue::{JobPast, JobState, NewJob, Outcome, Retention, Settlement};
use story_checker_core::retry::DeadReason;
use story_checker_core::{Error, JobId, Result, Timestamp};

/// The largest number of six bytes.
pub(crate) const MAX_48: u64 = (1 << 48) - 1;

/// Reasons by their number in a job; 0 is none.
const REASONS: [DeadReason; 6] = [
    DeadReason::Attempts,
    DeadReason::BadPayload,
    DeadReason::Crashed,
    DeadReason::Deadline,
    DeadReason::Deferrals,
    DeadReason::Permanent,
];

fn reason_number(reason: DeadReason) -> u8 {
    let index = REASONS.iter().position(|known| *known == reason);
    index.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(u8::MAX)
}

pub(crate) fn reason_of(number: u8) -> Option<DeadReason> {
    REASONS.get(usize::from(number).checked_sub(1)?).copied()
}

/// A span as milliseconds, at most what six bytes hold.
pub(crate) fn span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(MAX_48).min(MAX_48)
}

fn put_48(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.min(MAX_48).to_be_bytes()[2..]);
}

fn length(of: &[u8]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

pub(crate) fn retention(keep: &Retention) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    put_48(&mut bytes, keep.done as u64);
    put_48(&mut bytes, keep.dead as u64);
    put_48(&mut bytes, span(keep.done_for));
    put_48(&mut bytes, span(keep.dead_for));
    bytes
}

/// The head and the body of a job to be enqueued; queue and batch by their place in the call, from 1.
pub(crate) fn new_job(
    job: &NewJob,
    queue: u16,
    batch: u32,
    grows: bool,
) -> Result<(Vec<u8>, Bytes)> {
    let mut head = Vec::with_capacity(100);
    head.extend_from_slice(job.id.as_bytes());
    head.extend_from_slice(&queue.to_be_bytes());
    head.extend_from_slice(&batch.to_be_bytes());
    let unique = job.unique.as_deref().unwrap_or_default();
    let past = job.past.as_deref();
    head.push(job.priority);
    head.push(
        u8::from(job.deadline.is_some())
            | u8::from(!unique.is_empty()) << 1
            | u8::from(grows) << 3
            | u8::from(past.is_some()) << 4,
    );
    put_48(&mut head, span(job.delay));
    put_48(&mut head, job.deadline.map_or(0, span));
    for part in [&job.payload[..], unique] {
        if u32::try_from(part.len()).is_err() {
            return Err(Error::invalid("enqueue jobs", "a payload or key of 4 GiB or more"));
        }
        head.extend_from_slice(&length(part).to_be_bytes());
    }
    let Some(past) = past else {
        if unique.is_empty() {
            return Ok((head, job.payload.clone()));
        }
        let mut body = BytesMut::with_capacity(job.payload.len() + unique.len());
        body.put_slice(&job.payload);
        body.put_slice(unique);
        return Ok((head, body.freeze()));
    };
    put_past(&mut head, past)?;
    let result = past.result.as_deref().unwrap_or_default();
    let body = [&job.payload[..], unique, past.note.as_bytes(), result].concat();
    Ok((head, body.into()))
}

fn put_past(head: &mut Vec<u8>, past: &JobPast) -> Result<()> {
    if past.fence.get() > MAX_48 {
        let what = format!("fence {} is larger than {MAX_48}", past.fence);
        return Err(Error::invalid("enqueue jobs", what));
    }
    head.push(match past.state {
        JobState::Cancelled => b'C',
        JobState::Dead => b'F',
        JobState::Done => b'D',
        JobState::Scheduled => b'S',
        _ => b'R',
    });
    head.push(past.dead_reason.map_or(0, reason_number));
    for count in [past.attempt, past.crashes, past.deferrals] {
        head.extend_from_slice(&count.to_be_bytes());
    }
    put_48(head, past.fence.get());
    put_48(head, past.enqueued_at.as_millis());
    put_48(head, past.at.as_millis());
    put_48(head, past.deadline.map_or(0, Timestamp::as_millis));
    head.extend_from_slice(&length(past.note.as_bytes()).to_be_bytes());
    Ok(())
}

/// The head and the body of a settlement.
pub(crate) fn settlement(settlement: &Settlement) -> (Vec<u8>, &[u8]) {
    let mut head = Vec::with_capacity(30);
    head.extend_from_slice(settlement.lease.id.as_bytes());
    put_48(&mut head, settlement.lease.fence.get());
    let (outcome, reason, after, body): (u8, u8, Duration, &[u8]) = match &settlement.outcome {
        Outcome::Dead { reason, result } => (b'F', reason_number(*reason), Duration::ZERO, result),
        Outcome::Defer { after, note } => (b'P', 0, *after, note.as_bytes()),
        Outcome::Done { result } => (b'D', 0, Duration::ZERO, result),
        Outcome::Release { after } => (b'R', 0, *after, &[]),
        Outcome::Retry { after, note } => (b'T', 0, *after, note.as_bytes()),
        // Cancelled, and whatever a later version of the port adds: nothing runs again by mistake.
        _ => (b'C', 0, Duration::ZERO, &[]),
    };
    head.extend_from_slice(&[outcome, reason]);
    put_48(&mut head, span(after));
    (head, body)
}

/// A job as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) priority: u8,
    pub(crate) reason: Option<DeadReason>,
    pub(crate) attempt: u32,
    pub(crate) crashes: u32,
    pub(crate) deferrals: u32,
    pub(crate) fence: u64,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) payload: Bytes,
    pub(crate) unique: Option<Bytes>,
    pub(crate) note: String,
    pub(crate) result: Bytes,
}

/// Reads numbers and parts from the front.
struct Reader(Bytes);

impl Reader {
    fn part(&mut self, length: usize) -> Option<Bytes> {
        (self.0.len() >= length).then(|| self.0.split_to(length))
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        let bytes = self.part(N)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.number::<6>().map(Timestamp::from_millis)
    }

    fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.number::<4>()?).ok()
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number::<4>()?).ok()
    }
}

impl Stored {
    /// None for bytes that are none of ours.
    pub(crate) fn parse(bytes: Bytes) -> Option<Self> {
        let mut from = Reader(bytes);
        if !b"LBSXDFC".contains(&from.part(1)?[0]) {
            return None;
        }
        let flags = from.part(1)?[0];
        // Queue and batch.
        from.part(6)?;
        let priority = from.part(1)?[0];
        let reason = reason_of(from.part(1)?[0]);
        let (attempt, crashes, deferrals) = (from.u32()?, from.u32()?, from.u32()?);
        let fence = from.number::<6>()?;
        // The sequence number.
        from.part(6)?;
        let (enqueued_at, at) = (from.time()?, from.time()?);
        let (mut deadline, mut unique, mut note) = (None, None, String::new());
        let payload;
        if flags & 4 > 0 {
            let until = from.time()?;
            deadline = (flags & 1 > 0).then_some(until);
            let (payload_length, key, text) = (from.length()?, from.length()?, from.length()?);
            payload = from.part(payload_length)?;
            unique = Some(from.part(key)?).filter(|key| !key.is_empty());
            note = String::from_utf8_lossy(&from.part(text)?).into_owned();
        } else {
            payload = std::mem::take(&mut from.0);
        }
        let result = from.0;
        Some(Self {
            priority,
            reason,
            attempt,
            crashes,
            deferrals,
            fence,
            enqueued_at,
            at,
            deadline,
            payload,
            unique,
            note,
            result,
        })
    }
}

pub(crate) fn id(bytes: &[u8]) -> Option<JobId> {
    bytes.try_into().ok().map(JobId::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_no_job_and_never_a_panic() {
        for length in 0..120 {
            assert!(Stored::parse(Bytes::from(vec![0; length])).is_none());
            let mut bytes = vec![0xff; length];
            if length > 0 {
                bytes[0] = b'L';
            }
            let _ = Stored::parse(Bytes::from(bytes));
        }
    }

    #[test]
    fn every_reason_has_a_number_and_comes_back() {
        for reason in REASONS {
            assert_eq!(reason_of(reason_number(reason)), Some(reason));
        }
        assert_eq!(reason_of(0), None);
        assert_eq!(reason_of(u8::MAX), None);
    }
}
