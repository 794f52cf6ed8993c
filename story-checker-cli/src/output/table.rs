//! The table for people.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{ColumnConstraint, Table, TableStyle, Width};
use console::{measure_text_width, truncate_str};
use story_checker_core::{MediaKind, Platform, Report, Timestamp, Verdict};

use super::ReportWriter;
use super::words::{clean, media, span, style};
use crate::targets::{Order, short};

/// Rows that are kept to bring them in order and to find the widths of the columns; those after them
/// are written at once.
const KEPT: usize = Order::MOST;

const HEADER: [&str; 6] = ["ACCOUNT", "VERDICT", "STORIES", "NEWEST", "EXPIRES", "WHY"];
const WHY: usize = HEADER.len() - 1;
const GAP: u16 = 2;

type Row = [String; HEADER.len()];

/// Collects rows until the widths of the columns are known, then streams.
pub(super) struct TableWriter<W> {
    out: W,
    terminal_width: Option<u16>,
    order: Order,
    kept: Vec<(usize, Row)>,
    /// Known once the first rows are written.
    widths: Option<[u16; HEADER.len()]>,
}

impl<W: Write + Send> TableWriter<W> {
    pub(super) const fn new(out: W, terminal_width: Option<u16>, order: Order) -> Self {
        Self { out, terminal_width, order, kept: Vec::new(), widths: None }
    }

    fn write_kept(&mut self) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.kept);
        rows.sort_by_key(|(place, _)| *place);
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        let widths = self.widths(&rows);
        self.widths = Some(widths);
        let header = HEADER.map(str::to_owned);
        let bold = Style::new().bold();
        if let Some(line) = lines(std::slice::from_ref(&header), &widths).next() {
            writeln!(self.out, "{bold}{line}{bold:#}")?;
        }
        self.write_rows(&rows, &widths)
    }

    fn write_rows(&mut self, rows: &[Row], widths: &[u16; HEADER.len()]) -> io::Result<()> {
        for (row, line) in rows.iter().zip(lines(rows, widths)) {
            let verdict = row[1].as_str();
            let style = style(verdict);
            // The account stands before the verdict and may read like one.
            let account = line.len().min(row[0].len());
            let (before, after) = line.split_at(account);
            match after.split_once(verdict) {
                Some((gap, rest)) => {
                    writeln!(self.out, "{before}{gap}{style}{verdict}{style:#}{rest}")?;
                }
                None => writeln!(self.out, "{line}")?,
            }
        }
        Ok(())
    }

    fn widths(&self, rows: &[Row]) -> [u16; HEADER.len()] {
        let mut widths = HEADER.map(width);
        for row in rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width(cell).max(*widest);
            }
        }
        let before: u16 = widths[..WHY].iter().map(|width| width + GAP).sum();
        // Nothing stands after the reason, so only a terminal limits it.
        widths[WHY] = match self.terminal_width {
            Some(all) => widths[WHY].min(all.saturating_sub(before).max(20)),
            None => u16::MAX,
        };
        widths
    }
}

impl<W: Write + Send> ReportWriter for TableWriter<W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        let row = row(report);
        if let Some(widths) = self.widths {
            return self.write_rows(&[row], &widths);
        }
        self.kept.push((self.order.place(&report.target), row));
        if self.kept.len() >= KEPT { self.write_kept() } else { Ok(()) }
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_kept()?;
        self.out.flush()
    }
}

/// Rows as lines of columns, cut to the widths.
fn lines(rows: &[Row], widths: &[u16; HEADER.len()]) -> impl Iterator<Item = String> {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    for row in rows {
        let cut = |(cell, width): (&String, &u16)| {
            truncate_str(cell, usize::from(*width), "…").into_owned()
        };
        table.add_row(row.iter().zip(widths).map(cut).collect::<Vec<_>>());
    }
    for (column, width) in table.column_iter_mut().zip(&widths[..WHY]) {
        column.set_padding((0, GAP));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + GAP)));
    }
    if let Some(why) = table.column_mut(WHY) {
        why.set_padding((0, 0));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().into_iter()
}

fn row(report: &Report) -> Row {
    let now = report.timings.ended;
    let newest = report.items.iter().map(|item| item.taken_at).max();
    let last = report.items.iter().filter_map(|item| item.expires_at).max();
    let stories = report.items.len();
    [
        clean(&short(&report.target)),
        report.verdict.as_str().replace('_', " "),
        if stories == 0 { String::new() } else { stories.to_string() },
        newest.map_or_else(String::new, |at| format!("{} ago", span(now.since(at)))),
        last.map_or_else(String::new, |at| format!("in {}", span(at.since(now)))),
        clean(&why(report, now)),
    ]
}

/// In a few words; all of the evidence is in the JSON formats.
fn why(report: &Report, now: Timestamp) -> String {
    let fact = report.evidence.facts.first().map_or("", |fact| fact);
    match &report.verdict {
        Verdict::Unknown { cause } => {
            let mut text = format!("{} [{}, {}]", cause.message, cause.class, cause.scope);
            if let Some(at) = cause.not_before.filter(|&at| at > now) {
                text.push_str(&format!("; could go in {}", span(at.since(now))));
            }
            text
        }
        Verdict::Active => {
            let count = |kind| report.items.iter().filter(|item| item.kind == kind).count();
            let words = [MediaKind::Image, MediaKind::Video].map(|kind| (count(kind), media(kind)));
            let words = words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| {
                format!("{count} {word}{}", if *count == 1 { "" } else { "s" })
            });
            words.collect::<Vec<_>>().join(", ")
        }
        Verdict::NoStory if fact.is_empty() => "no live item".to_owned(),
        Verdict::NoStory if *report.target.platform() == Platform::INSTAGRAM => {
            let weak = if report.evidence.weak { ", as far as this API shows" } else { "" };
            format!("{fact}; no live item{weak}")
        }
        _ => fact.to_owned(),
    }
}

fn width(text: &str) -> u16 {
    u16::try_from(measure_text_width(text)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{report, reports, unknown};
    use super::*;

    fn table(reports: &[Report], terminal_width: Option<u16>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        let mut writer = TableWriter::new(&mut out, terminal_width, Order::default());
        reports.iter().for_each(|report| writer.report(report).unwrap());
        writer.finish().unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn a_small_table_looks_like_this() {
        let want = "\
ACCOUNT    VERDICT   STORIES  NEWEST  EXPIRES  WHY
tea_house  active    2        1h ago  in 23h   2 pictures
cafe       no story                            the profile is public; no live item
bakery     unknown                             the platform asks to wait [rate_limited, session]; could go in 6m
";
        assert_eq!(table(&reports(), None), want);
        assert_eq!(table(&[], None), "");
    }

    #[test]
    fn rows_stand_in_the_order_of_the_list() {
        let order = Order::default();
        reports().iter().rev().for_each(|report| order.note(&report.target));
        let mut out = anstream::StripStream::new(Vec::new());
        let mut writer = TableWriter::new(&mut out, None, order);
        reports().iter().for_each(|report| writer.report(report).unwrap());
        writer.finish().unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, ["ACCOUNT", "bakery", "cafe", "tea_house"]);
    }

    #[test]
    fn a_weak_no_says_so() {
        let mut weak = report("cafe", Verdict::NoStory);
        weak.evidence.weak = true;
        let text = table(&[weak], None);
        assert!(text.ends_with("public; no live item, as far as this API shows\n"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_cuts_the_reason_only() {
        let text = table(&reports(), Some(80));
        assert!(text.lines().all(|line| measure_text_width(line) <= 80), "{text}");
        assert!(text.contains("tea_house  active") && text.contains('…'), "{text}");
    }

    #[test]
    fn rows_after_the_kept_ones_stand_in_the_same_columns() {
        let mut reports = vec![report("tea", Verdict::NoStory); KEPT];
        reports.push(report("a_name_longer_than_any", Verdict::NoStory));
        reports.push(report("active", Verdict::Active));
        let text = table(&reports, None);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), KEPT + 3);
        assert_eq!(
            lines[1],
            "tea      no story                            the profile is public; no live item"
        );
        let cut = lines[KEPT + 1];
        assert!(cut.starts_with("a_name…  no story"), "{cut}");
        assert!(lines[KEPT + 2].starts_with("active   active"), "{}", lines[KEPT + 2]);
    }

    #[test]
    fn only_the_verdict_is_coloured_and_nothing_steers_the_terminal() {
        let mut out = Vec::new();
        let mut writer = TableWriter::new(&mut out, None, Order::default());
        writer.report(&report("active", Verdict::Active)).unwrap();
        writer.report(&report("evil", unknown("\u{1b}]0;owned\u{7}"))).unwrap();
        writer.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("active   \u{1b}[1m\u{1b}[32mactive\u{1b}[0m"), "{text:?}");
        assert!(!text.contains("\u{1b}]") && !text.contains('\u{7}'), "{text:?}");
    }
}
