//! `--explain`: all there is to say about each target, for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use console::measure_text_width;
use story_checker_core::charge::{Fate, charge};
use story_checker_core::{Cause, Evidence, Item, Report, RequestRecord, Timestamp, Verdict};

use super::ReportWriter;
use super::words::{self, clean, short_span, size, span, time, time_of_day};
use crate::targets::short;

/// The column of the labels.
const LABEL: usize = 11;
/// Where there is no terminal that says how wide it is.
const WIDTH: u16 = 100;
/// Lines do not get shorter than this.
const NARROWEST: usize = 20;

/// Before what is left of a text that is too long for a line.
const INDENT: &str = "  ";

/// Writes a block of lines per report.
pub(super) struct ExplainWriter<W> {
    out: W,
    /// Of the text beside the labels.
    width: usize,
    begun: bool,
}

impl<W: Write + Send> ExplainWriter<W> {
    pub(super) fn new(out: W, terminal_width: Option<u16>) -> Self {
        let all = usize::from(terminal_width.unwrap_or(WIDTH));
        Self { out, width: all.saturating_sub(2 + LABEL).max(NARROWEST), begun: false }
    }

    /// Writes texts beside a label, each from a new line.
    fn part<T: AsRef<str>>(
        &mut self,
        label: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        let mut label = label;
        for text in texts {
            for line in wrap(&clean(text.as_ref()), self.width) {
                let style = AnsiColor::Cyan.on_default();
                writeln!(self.out, "  {style}{label:LABEL$}{style:#}{line}")?;
                label = "";
            }
        }
        Ok(())
    }

    fn believed(&mut self, report: &Report) -> io::Result<()> {
        let mut facts: Vec<&str> = report.evidence.facts.iter().map(AsRef::as_ref).collect();
        if facts.is_empty() {
            facts.push("the checker gave no reasons");
        }
        if report.evidence.weak {
            facts.push("this holds only as far as its source shows");
        }
        self.part("because", facts)?;
        let now = report.evidence.server_time.unwrap_or(report.timings.ended);
        self.part("stories", report.items.iter().map(|item| story(item, now)))
    }

    fn missing(&mut self, report: &Report, cause: &Cause) -> io::Result<()> {
        let charge = charge(cause.class, cause.scope);
        self.part("because", [&cause.message])?;
        self.part("class", [format!("{}: {}", cause.class, words::class(cause.class))])?;
        self.part("scope", [format!("{}: {}", cause.scope, words::scope(cause.scope))])?;
        self.part("charged", [words::charged(charge)])?;
        // The charge is of the fault; that the job has ended all the same is what the report says.
        let given_up = if charge.job == Fate::Dead { "" } else { ", until it was given up" };
        self.part("the job", [format!("{}{given_up}", words::fate(charge.job))])?;
        self.part("to do", [words::advice(cause.class, cause.scope)])?;
        if let Some(at) = cause.not_before {
            let left = at.since(report.timings.ended);
            let when = if left.is_zero() { "now".to_owned() } else { format!("in {}", span(left)) };
            self.part("can go", [format!("{when}, at {}", time(at))])?;
        }
        self.part("seen", &report.evidence.facts)
    }

    fn way(&mut self, evidence: &Evidence) -> io::Result<()> {
        let mut source = evidence.source.to_string();
        if let Some(subject) = &evidence.subject {
            source.push_str(&format!(", which knows the target as {subject}"));
        }
        if !source.is_empty() {
            self.part("source", [source])?;
        }
        self.part("session", evidence.session.as_ref().map(ToString::to_string))?;
        let proxy = evidence.proxy.as_ref().map(ToString::to_string);
        let direct = || "none: a direct connection".to_owned();
        self.part("proxy", (!evidence.requests.is_empty()).then(|| proxy.unwrap_or_else(direct)))
    }
}

impl<W: Write + Send> ReportWriter for ExplainWriter<W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            writeln!(self.out)?;
        }
        let name = clean(&short(&report.target));
        let verdict = report.verdict.as_str().replace('_', " ");
        let (bold, style) = (Style::new().bold(), words::style(&verdict));
        writeln!(self.out, "{bold}{name}{bold:#}: {style}{verdict}{style:#}")?;
        match &report.verdict {
            Verdict::Unknown { cause } => self.missing(report, cause)?,
            _ => self.believed(report)?,
        }
        let evidence = &report.evidence;
        self.way(evidence)?;
        let (ended, took) = (time(report.timings.ended), short_span(report.timings.took));
        self.part("checked", [format!("{ended} by our clock; it took {took}")])?;
        self.part("server", evidence.server_time.map(|at| format!("{} by its clock", time(at))))?;
        self.part("requests", requests(&evidence.requests))?;
        // The first of its kind, without secrets: what a report of the problem needs.
        self.part("specimen", evidence.specimen.as_deref().map(str::lines).into_iter().flatten())
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One story in a line.
fn story(item: &Item, now: Timestamp) -> String {
    let mut text = format!("{} {}", words::media(item.kind), item.id);
    if let Some(duration) = item.duration {
        text.push_str(&format!(" of {}", short_span(duration)));
    }
    if let Some(at) = item.expires_at {
        text.push_str(&format!(", ends in {} at {}", span(at.since(now)), time(at)));
    }
    text.push_str(&format!(", posted {} ago", span(now.since(item.taken_at))));
    match item.media.first() {
        None => text.push_str(", media withheld"),
        Some(first) if first.width > 0 => {
            text.push_str(&format!(", {}×{}", first.width, first.height));
        }
        Some(_) => {}
    }
    text
}

/// The requests in columns.
fn requests(records: &[RequestRecord]) -> Vec<String> {
    const COLUMNS: usize = 6;
    let cells = |record: &RequestRecord| -> [String; COLUMNS] {
        let first = record.first_byte;
        let first = if first.is_zero() { String::new() } else { short_span(first) };
        [
            record.route.to_string(),
            format!("status {}", record.status),
            short_span(record.took),
            if first.is_empty() { first } else { format!("first byte {first}") },
            size(record.bytes),
            format!("sent {}", time_of_day(record.at)),
        ]
    };
    let rows: Vec<_> = records.iter().map(cells).collect();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or_default()
    });
    let row = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).enumerate().filter(|(_, (_, width))| *width > 0);
        let cells = cells.map(|(column, (text, width))| match column {
            // Words to the left, numbers to the right.
            0 => format!("{text:width$}"),
            _ => format!("{text:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(row).collect()
}

/// Breaks a text at blanks, and moves all lines but the first a little in. Blanks inside a line stay, because they may make columns; a word that is
/// longer than a line stays whole, because people copy it.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim_end().to_owned();
    while measure_text_width(&rest) > width {
        let begun = rest.len() - rest.trim_start().len();
        let mut used = 0;
        let mut last = None;
        for (at, letter) in rest.char_indices() {
            if letter == ' ' && at > begun {
                last = Some(at);
            }
            used += measure_text_width(letter.encode_utf8(&mut [0; 4]));
            if used > width && last.is_some() {
                break;
            }
        }
        let Some(at) = last else { break };
        let after = format!("{INDENT}{}", rest[at..].trim_start());
        rest.truncate(at);
        lines.push(rest.trim_end().to_owned());
        rest = after;
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::tests::{report, reports, unknown};
    use super::*;

    fn explained(reports: &[Report], width: Option<u16>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        let mut writer = ExplainWriter::new(&mut out, width);
        reports.iter().for_each(|report| writer.report(report).unwrap());
        writer.finish().unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn an_active_account_is_explained_like_this() {
        let mut report = report("tea_house", Verdict::Active);
        let at = report.timings.ended;
        report.evidence.subject = Some("4200000017".to_owned());
        report.evidence.session = Some("main".into());
        report.evidence.server_time = Some(at);
        report.items[1].duration = Some(Duration::from_millis(9_500));
        for (route, millis, bytes) in [("web_profile_info", 53, 1_240), ("reels_media", 8, 912)] {
            let took = Duration::from_millis(millis);
            let record = RequestRecord::new(route, 200, at, took, bytes);
            let record = record.with_first_byte(Duration::from_millis(millis - 3));
            report.evidence.requests.push(record);
        }
        let want = "\
tea_house: active
  because    the profile is public
  stories    picture 17, ends in 21h at 2026-11-22 06:00:00Z, posted 3h ago, media withheld
             picture 17 of 9.5 s, ends in 23h at 2026-11-22 08:00:00Z, posted 1h ago, media withheld
  source     test/1, which knows the target as 4200000017
  session    main
  proxy      none: a direct connection
  checked    2026-11-21 09:00:00Z by our clock; it took 0 µs
  server     2026-11-21 09:00:00Z by its clock
  requests   web_profile_info  status 200  53 ms  first byte 50 ms  1.2 kB  sent 09:00:00.000Z
             reels_media       status 200   8 ms   first byte 5 ms   912 B  sent 09:00:00.000Z
";
        assert_eq!(explained(&[report], None), want);
    }

    #[test]
    fn an_unknown_account_is_explained_like_this() {
        let want = "\
bakery: unknown
  because    the platform asks to wait
  class      rate_limited: too many requests
  scope      session: the session
  charged    the session: it rests
  the job    put off, without using an attempt, until it was given up
  to do      Wait, or add another session.
  can go     in 6m, at 2026-11-21 09:06:40Z
  seen       the profile is public
  source     test/1
  checked    2026-11-21 09:00:00Z by our clock; it took 0 µs
";
        assert_eq!(explained(&reports()[2..], None), want);
    }

    #[test]
    fn long_texts_are_wrapped_and_nothing_steers_the_terminal() {
        let long = "the platform asks to wait ".repeat(9) + "\u{1b}]0;owned\u{7}";
        let text = explained(&[report("evil", unknown(&long))], Some(60));
        assert!(text.lines().all(|line| measure_text_width(line) <= 60), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
        assert!(text.matches("the platform").count() > 7, "{text}");
    }

    proptest! {
        #[test]
        fn wrapping_loses_no_word(text in "[a-zé ]{0,80}", width in 1..30usize) {
            let lines = wrap(&text, width);
            let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
            for line in lines {
                prop_assert!(line.chars().count() <= width || !line.trim().contains(' '), "{line}");
            }
        }
    }
}
