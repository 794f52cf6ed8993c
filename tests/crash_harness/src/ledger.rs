//! The ledger of one process: what it asked the store, what the store said, what it executed.
//!
//! One line an entry, one `write(2)` a line: what was written before a SIGKILL is there after it.
//! Times are microseconds of the monotonic clock, which all processes of a machine share.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use story_checker_core::retry::DeadReason;
use story_checker_core::{Fence, JobId};

use crate::spot::Spot;

/// A lease as the ledger names it.
pub(crate) type Lease = (JobId, Fence);

/// Microseconds of the monotonic clock.
pub(crate) type Micros = u64;

/// The number of one call of a verb or of the checker, in its process.
pub(crate) type Call = u64;

/// What a settlement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sent {
    /// Deferred, released or tried again.
    Again,
    Cancelled,
    Dead(DeadReason),
    Done,
}

/// What the store says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    AlreadyDone,
    Applied,
    Gone,
    Stale,
}

/// What the store says to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pulse {
    Cancel,
    Held,
    Stale,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// A beat is sent.
    Beat { call: Call, lease: Micros, leases: Vec<Lease> },
    /// What the store says to it.
    Beaten { call: Call, replies: Vec<Pulse> },
    /// The checker is called.
    Begin { call: Call, leases: Vec<Lease> },
    /// The cancellation of a batch was acknowledged.
    Cancelled { changed: u64 },
    /// A claim is sent.
    Claim { call: Call, lease: Micros },
    /// What it brought: jobs and how often each has crashed.
    Claimed { call: Call, jobs: Vec<(JobId, Fence, u32)> },
    /// The process ends itself here.
    Died { spot: Spot },
    /// The checker has answered, or was stopped.
    End { call: Call },
    /// Jobs that the store has, by its own word.
    Enqueued { jobs: Vec<JobId> },
    /// A call has failed; it may have been applied.
    Failed { call: Call, error: String },
    /// A worker was stopped by SIGSTOP.
    Frozen { worker: String },
    /// The process leaves as it should.
    Left,
    /// What a round of maintenance did.
    Maintained { reaped: usize },
    /// The store was taken away.
    Outage,
    /// Settlements are sent.
    Settle { call: Call, items: Vec<(JobId, Fence, Sent)> },
    /// What the store says to them; `lost` if the engine was not told.
    Settled { call: Call, replies: Vec<Said>, lost: bool },
    /// A stopped worker goes on.
    Thawed { worker: String },
}

/// Writes the entries of one process.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    calls: AtomicU64,
}

impl Ledger {
    pub(crate) const SUFFIX: &str = "ledger";

    pub(crate) fn create(folder: &Path, process: &str) -> Result<Self> {
        let path = folder.join(format!("{process}.{}", Self::SUFFIX));
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.with_context(|| format!("could not create {}", path.display()))?;
        Ok(Self { file, calls: AtomicU64::new(0) })
    }

    /// A number for the next call.
    pub(crate) fn call(&self) -> Call {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes `entry` as of now. A ledger that cannot be written proves nothing, so that ends the
    /// process.
    pub(crate) fn write(&self, entry: &Entry) {
        let mut line = serde_json::to_vec(&(now(), entry)).expect("entries have plain fields");
        line.push(b'\n');
        (&self.file).write_all(&line).expect("the ledger can be written");
    }
}

pub(crate) fn now() -> Micros {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1_000
}

pub(crate) fn micros(span: Duration) -> Micros {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// What one process has written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// The process: a worker's name with its life, or the controller.
    pub(crate) process: String,
    pub(crate) lines: Vec<(Micros, Entry)>,
}

impl Book {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(name)?;
        let process = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Self::parse(process.unwrap_or_default(), &text).with_context(name)
    }

    /// A last line without its end was cut off by the death of the process: it was never there.
    fn parse(process: String, text: &str) -> Result<Self> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self { process, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_reads_as_it_was_written_and_a_torn_line_was_never_there() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(folder.path(), "w0.1").unwrap();
        let entries = [
            Entry::Claimed { call: 3, jobs: vec![(JobId::from_bytes([7; 16]), Fence::new(2), 1)] },
            Entry::Settled { call: 4, replies: vec![Said::Applied], lost: true },
            Entry::Left,
        ];
        let before = now();
        entries.iter().for_each(|entry| ledger.write(entry));
        (&ledger.file).write_all(b"[17,{\"Claim").unwrap();
        let book = Book::read(&folder.path().join("w0.1.ledger")).unwrap();
        assert_eq!(book.process, "w0.1");
        let (times, read): (Vec<_>, Vec<_>) = book.lines.into_iter().unzip();
        assert_eq!(read, entries);
        assert!(times.iter().all(|at| (before..=now()).contains(at)));
    }
}
