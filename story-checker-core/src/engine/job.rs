use bytes::Bytes;

use crate::id::JobId;
use crate::queue::{NewJob, QueueName};
use crate::target::{Platform, Target, TargetKind};

/// The queue of all checks of a platform and kind.
#[must_use]
pub fn check_queue(platform: &Platform, kind: TargetKind) -> QueueName {
    QueueName::new(format!("check/{platform}/{}", kind.as_str()))
}

/// The job that checks `target`, as an engine enqueues it: for those who enqueue without one.
#[must_use]
pub fn check_job(id: JobId, target: &Target) -> NewJob {
    let queue = check_queue(target.platform(), target.kind());
    NewJob::new(id, queue, Bytes::from(target.to_string()))
}

/// The target of a job that [`check_job`] made.
///
/// # Errors
/// If the payload cannot be understood; the text says why.
pub fn read_check(payload: &[u8]) -> Result<Target, String> {
    let text = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
    text.parse().map_err(|error: crate::InvalidTarget| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_enqueued_where_engines_look_for_it_and_can_be_read_again() {
        let target: Target = "x/query/from:a has:media".parse().unwrap();
        let job = check_job(JobId::from_bytes([7; 16]), &target);
        assert_eq!(job.queue.as_str(), "check/x/query");
        assert_eq!(read_check(&job.payload), Ok(target));
        assert!(read_check(b"\xff").is_err() && read_check(b"tea").is_err());
    }
}
