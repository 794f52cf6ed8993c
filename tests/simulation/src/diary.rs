//! What happened in a run, in order: the trace, its digest, and what was found to be wrong.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many findings of a run are told in words.
const TOLD: usize = 12;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A verdict that was true at no instant between request and answer.
    False,
    /// More requests in some window than allowed, or one before the time that the platform named.
    Limit,
    /// Two requests of one session in flight at once.
    Double,
    /// A request of a session through another proxy than its own, or past all of them.
    Foreign,
    /// A request of a session that was told of a challenge.
    Challenged,
    /// Something that is still held at the end.
    Leaked,
    /// A job that did not end, not in time, or twice.
    Lost,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::False,
        Self::Limit,
        Self::Double,
        Self::Foreign,
        Self::Challenged,
        Self::Leaked,
        Self::Lost,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::Limit => "limits",
            Self::Double => "double",
            Self::Foreign => "foreign",
            Self::Challenged => "challenged",
            Self::Leaked => "leaked",
            Self::Lost => "lost",
        }
    }
}

/// How often each of them happened.
pub(crate) type Counts = BTreeMap<Kind, u64>;

/// Takes down what happens in one run.
#[derive(Debug)]
pub(crate) struct Diary {
    started: Instant,
    trace: bool,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    line: String,
    digest: u64,
    counts: Counts,
    told: Vec<String>,
}

impl Diary {
    /// A diary that begins now.
    pub(crate) fn new(trace: bool) -> Self {
        Self { started: Instant::now(), trace, pages: Mutex::default() }
    }

    /// How long the run lasts by now, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// The instant at which the run has lasted so long.
    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.started + Duration::from_millis(at)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has happened.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let now = Span(self.now());
        let Pages { line, digest, .. } = &mut *self.pages();
        line.clear();
        _ = write!(line, "{now} {what}");
        // FNV-1a (Fowler, Noll, Vo), by words for speed.
        for word in line.as_bytes().chunks(8) {
            let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            *digest = (*digest ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        }
        if self.trace {
            println!("{line}");
        }
    }

    /// Something has happened that must not.
    pub(crate) fn find(&self, kind: Kind, what: fmt::Arguments<'_>) {
        let text = format!("{}: {what}", kind.word());
        self.note(format_args!("FOUND {text}"));
        let text = format!("{} {text}", Span(self.now()));
        let mut pages = self.pages();
        *pages.counts.entry(kind).or_default() += 1;
        if pages.told.len() < TOLD {
            pages.told.push(text);
        }
    }

    /// The digest of everything, how often what was found, and the first of that in words.
    pub(crate) fn close(&self) -> (u64, Counts, Vec<String>) {
        let mut pages = self.pages();
        (pages.digest, std::mem::take(&mut pages.counts), std::mem::take(&mut pages.told))
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time of a run as people read it: `13:05:07.250`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1_000, self.0 % 1_000);
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_digest_is_of_what_happened_when() {
        let digest = async |first: &str, pause: u64| {
            let diary = Diary::new(false);
            diary.note(format_args!("{first}"));
            tokio::time::sleep(Duration::from_millis(pause)).await;
            diary.note(format_args!("then"));
            diary.close().0
        };
        assert_eq!(digest("now", 5).await, digest("now", 5).await);
        assert_ne!(digest("now", 5).await, digest("now", 6).await);
        assert_ne!(digest("now", 5).await, digest("not", 5).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_found_is_counted_even_where_it_is_not_told() {
        let diary = Diary::new(false);
        tokio::time::sleep(Duration::from_secs(47_107)).await;
        (0..50).for_each(|n| diary.find(Kind::Lost, format_args!("job {n}")));
        let (_, counts, told) = diary.close();
        assert_eq!(counts[&Kind::Lost], 50);
        assert_eq!((told.len(), &*told[0]), (TOLD, "13:05:07.000 lost: job 0"));
    }
}
