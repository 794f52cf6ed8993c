//! What came out of a run, in numbers.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use story_checker_core::{Report, TargetKind, Verdict};

/// Counts of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) active: u64,
    pub(crate) no_story: u64,
    pub(crate) private: u64,
    pub(crate) gated: u64,
    pub(crate) not_found: u64,
    pub(crate) suspended: u64,
    pub(crate) unknown: u64,
    /// There were also hashtags or queries.
    pub(crate) mixed: bool,
}

impl Tally {
    /// Counts a report.
    pub(crate) fn add(&mut self, report: &Report) {
        self.mixed |= report.target.kind() != TargetKind::Account;
        let count = match report.verdict {
            Verdict::Active => &mut self.active,
            Verdict::NoStory => &mut self.no_story,
            Verdict::Private => &mut self.private,
            Verdict::Gated => &mut self.gated,
            Verdict::NotFound => &mut self.not_found,
            Verdict::Suspended => &mut self.suspended,
            // A verdict that this program does not know yet is no answer it may vouch for.
            _ => &mut self.unknown,
        };
        *count += 1;
    }

    /// All reports.
    pub(crate) const fn total(&self) -> u64 {
        self.active
            + self.no_story
            + self.private
            + self.gated
            + self.not_found
            + self.suspended
            + self.unknown
    }
}

/// `23 active, 30 no story, 2 unknown`, without what did not occur.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (count, word) in [
            (self.active, "active"),
            (self.no_story, "no story"),
            (self.private, "private"),
            (self.gated, "gated"),
            (self.not_found, "not found"),
            (self.suspended, "suspended"),
            (self.unknown, "unknown"),
        ] {
            if count > 0 {
                let comma = if text.is_empty() { "" } else { ", " };
                write!(text, "{comma}{count} {word}")?;
            }
        }
        f.write_str(&text)
    }
}

/// Why there was no answer, counted by the cause's message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Causes(HashMap<String, u64>);

impl Causes {
    /// Messages may name times and places, so their number has an end.
    const MOST: usize = 1_000;
    /// How many are told.
    const TOLD: usize = 3;

    /// Counts the cause of a report that has one.
    pub(crate) fn add(&mut self, report: &Report) {
        let Verdict::Unknown { cause } = &report.verdict else { return };
        if let Some(count) = self.0.get_mut(&cause.message) {
            *count += 1;
        } else if self.0.len() < Self::MOST {
            self.0.insert(cause.message.clone(), 1);
        }
    }

    /// The most frequent ones as lines, in full: the table may have had to cut them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut causes: Vec<_> = self.0.iter().collect();
        causes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let line = |(message, count): (&String, &u64)| {
            format!("{count} unknown: {}", message.replace(char::is_control, " "))
        };
        causes.into_iter().take(Self::TOLD).map(line).collect()
    }
}

/// How a run went; printed as its last line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    pub(crate) causes: Causes,
    /// Requests that were sent.
    pub(crate) requests: Option<u64>,
    pub(crate) duplicates: u64,
    /// Lines that were no account.
    pub(crate) bad_lines: u64,
    /// Taken up, but not reported, because the run was interrupted.
    pub(crate) unanswered: u64,
    /// Not answered, and kept for a run that continues this one.
    pub(crate) left: u64,
    /// Some of the lists was not read.
    pub(crate) cut: bool,
    pub(crate) interrupted: bool,
    pub(crate) took: Duration,
}

impl Summary {
    /// Whether the lists held nothing at all.
    pub(crate) const fn is_empty(&self) -> bool {
        self.tally.total() == 0 && self.unanswered == 0 && self.left == 0 && self.bad_lines == 0
    }

    /// The exit code: 0 all answered, 1 not all or nothing to check, 130 interrupted.
    pub(crate) const fn exit_code(&self) -> u8 {
        if self.interrupted {
            130
        } else if self.tally.unknown > 0
            || self.bad_lines > 0
            || self.unanswered > 0
            || self.left > 0
            || self.is_empty()
        {
            1
        } else {
            0
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.tally.total();
        if self.interrupted {
            f.write_str("interrupted: ")?;
        }
        let word = if self.tally.mixed { "target" } else { "account" };
        write!(f, "{total} {word}{}", if total == 1 { "" } else { "s" })?;
        if total > 0 {
            write!(f, ": {}", self.tally)?;
        }
        for (count, what) in [
            (self.left, "left"),
            (self.unanswered, "taken up but not answered"),
            (self.duplicates, if self.duplicates == 1 { "duplicate" } else { "duplicates" }),
            (self.bad_lines, if self.bad_lines == 1 { "bad line" } else { "bad lines" }),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        if self.cut {
            f.write_str("; the list was not read to its end")?;
        }
        if let Some(requests) = self.requests {
            let word = if requests == 1 { "request" } else { "requests" };
            write!(f, "; {requests} {word}")?;
        }
        let seconds = self.took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = total as f64 / seconds.max(0.001);
        write!(f, "; {seconds:.1} s")?;
        if total > 0 { write!(f, ", {rate:.0}/s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::reports;

    fn summary() -> Summary {
        let mut tally = Tally::default();
        reports().iter().for_each(|report| tally.add(report));
        let mut causes = Causes::default();
        reports().iter().for_each(|report| causes.add(report));
        Summary {
            tally,
            causes,
            requests: Some(2),
            took: Duration::from_millis(1500),
            ..Summary::default()
        }
    }

    #[test]
    fn the_summary_is_one_line_without_what_did_not_occur() {
        let mut summary = summary();
        assert_eq!(
            summary.to_string(),
            "3 accounts: 1 active, 1 no story, 1 unknown; 2 requests; 1.5 s, 2/s"
        );
        assert_eq!(summary.causes.lines(), ["1 unknown: the platform asks to wait"]);
        summary.interrupted = true;
        summary.unanswered = 7;
        summary.duplicates = 1;
        summary.bad_lines = 2;
        summary.cut = true;
        summary.requests = None;
        assert_eq!(
            summary.to_string(),
            "interrupted: 3 accounts: 1 active, 1 no story, 1 unknown; 7 taken up but not \
             answered; 1 duplicate; 2 bad lines; the list was not read to its end; 1.5 s, 2/s"
        );
        summary.tally.mixed = true;
        assert!(summary.to_string().starts_with("interrupted: 3 targets: "));
        assert_eq!(Summary::default().to_string(), "0 accounts; 0.0 s");
    }

    #[test]
    fn the_exit_code_says_whether_all_was_answered() {
        let code = |change: fn(&mut Summary)| {
            let mut summary = summary();
            summary.tally.unknown = 0;
            change(&mut summary);
            summary.exit_code()
        };
        assert_eq!(code(|_| {}), 0);
        assert_eq!(code(|summary| summary.duplicates = 5), 0);
        assert_eq!(code(|summary| summary.tally.unknown = 1), 1);
        assert_eq!(code(|summary| summary.bad_lines = 1), 1);
        assert_eq!(code(|summary| summary.unanswered = 1), 1);
        assert_eq!(code(|summary| summary.left = 1), 1);
        assert_eq!(Summary::default().exit_code(), 1, "nothing to check");
        assert_eq!(code(|summary| summary.interrupted = true), 130);
    }
}
