//! Takes everything out of one store and into another: for moves, and as a backup.
//!
//! An export is text, one JSON object per line: a header, the settings of queues, sessions, states
//! of proxies, jobs with all that they went through, the flags of batches, and an end. What is as
//! it always is, is left out. Two exports of the same content are the same text.
//!
//! [`import`] reads any part of it, in one pass, and may be repeated: what is there already is
//! counted and left alone. Neither holds more than a few pages in memory.
//!
//! A job that is being worked on is exported as one that waits: nobody holds it elsewhere. Let no
//! worker run on either side meanwhile; otherwise it is done twice, and batches that are paused or
//! cancelled are so only at the end.
//!
//! Where nothing keeps states of proxies, they are left out and counted: which proxies rest is learnt
//! anew.
//!
//! Secrets stay out, unless they are asked for (feature `seal`), and then they are sealed: with the
//! same key ring they come in again. A session that comes in without its secrets waits for its
//! login.

mod line;
mod read;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::read::import;
pub use self::write::export;
use crate::proxy::ProxySource;
use crate::queue::JobQueue;
#[cfg(feature = "seal")]
use crate::seal::Keyring;
use crate::session::SessionStore;

/// What is exported from, or imported into.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stores<'a> {
    /// Jobs, batches, and the settings of queues.
    pub queue: &'a dyn JobQueue,
    /// Sessions, if they are meant.
    pub sessions: Option<&'a dyn SessionStore>,
    /// What is known of proxies, if that is meant. Their list stays where it comes from.
    pub proxies: Option<&'a dyn ProxySource>,
    /// Seals the secrets of sessions; without it they stay out.
    #[cfg(feature = "seal")]
    pub keys: Option<&'a Keyring>,
}

impl<'a> Stores<'a> {
    /// Only jobs.
    #[must_use]
    pub fn new(queue: &'a dyn JobQueue) -> Self {
        Self {
            queue,
            sessions: None,
            proxies: None,
            #[cfg(feature = "seal")]
            keys: None,
        }
    }

    /// Sessions as well.
    #[must_use]
    pub const fn with_sessions(mut self, sessions: &'a dyn SessionStore) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// What is known of proxies as well.
    #[must_use]
    pub const fn with_proxies(mut self, proxies: &'a dyn ProxySource) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// The secrets of sessions as well, sealed with these keys.
    #[cfg(feature = "seal")]
    #[must_use]
    pub const fn with_secrets(mut self, keys: &'a Keyring) -> Self {
        self.keys = Some(keys);
        self
    }
}

/// How many lines of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Counts {
    /// Batches that are cancelled or paused.
    pub batches: u64,
    /// Jobs.
    pub jobs: u64,
    /// States of proxies.
    pub proxies: u64,
    /// Queues with settings.
    pub queues: u64,
    /// Sessions.
    pub sessions: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.jobs, "jobs"),
            (self.sessions, "sessions"),
            (self.proxies, "states of proxies"),
            (self.batches, "flags of batches"),
            (self.queues, "settings of queues"),
        ];
        let mut any = false;
        for (count, word) in words.iter().filter(|(count, _)| *count > 0) {
            write!(f, "{}{count} {word}", if any { ", " } else { "" })?;
            any = true;
        }
        if any { Ok(()) } else { f.write_str("nothing") }
    }
}

/// A line that was not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it; quotes no payload and no secret.
    pub what: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Lines that were taken in.
    pub taken: Counts,
    /// Lines whose job or session was there already; it is as it was.
    pub known: Counts,
    /// Lines that were not taken in.
    pub bad: u64,
    /// The first of them, at most [`BAD_LINES_KEPT`].
    pub bad_lines: Vec<BadLine>,
    /// Sessions that came without their secrets and need a login.
    pub without_secrets: u64,
    /// States of proxies that were left out, for nothing keeps them here.
    pub proxies_left_out: u64,
    /// Configuration, as text, if the export has it: it is the caller's to put it somewhere.
    pub config: Option<String>,
    /// Whether the end was seen: if not, the export was cut off, and more was in the store.
    pub complete: bool,
}

/// So many lines that were not taken in are described.
pub const BAD_LINES_KEPT: usize = 100;

#[cfg(test)]
mod tests;
