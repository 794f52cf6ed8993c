//! Results on standard output: a table or an explanation for people, JSON and CSV for programs.

mod csv;
mod explain;
mod table;
pub(crate) mod words;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use story_checker_core::Report;

use self::csv::CsvWriter;
use self::explain::ExplainWriter;
use self::table::TableWriter;
use crate::settings::Format;
use crate::targets::Order;

/// Writes reports one after the other.
pub(crate) trait ReportWriter: Send {
    /// Takes the next report.
    fn report(&mut self, report: &Report) -> io::Result<()>;

    /// Hands on what may be kept in a buffer, because nothing follows for a while.
    fn pause(&mut self) -> io::Result<()>;

    /// Writes what is still missing: called once, at the end, however the run ended.
    fn finish(&mut self) -> io::Result<()>;
}

/// The writer of a format to standard output. A table of no more than [`Order::MOST`] rows stands in
/// this order; all else is written as it comes.
pub(crate) fn standard(format: Format, order: Order) -> Box<dyn ReportWriter> {
    let out = io::stdout();
    let width = out.is_terminal().then(|| console::Term::stdout().size().1);
    match format {
        // For people, with colours.
        Format::Table | Format::Explain => {
            writer(format, anstream::AutoStream::auto(out), width, order)
        }
        Format::Json | Format::Ndjson | Format::Csv => writer(format, out, width, order),
    }
}

/// The writer of a format to a new file, or in place of an old one.
///
/// # Errors
/// If the file cannot be made.
pub(crate) fn to_file(format: Format, path: &Path) -> io::Result<Box<dyn ReportWriter>> {
    let out = anstream::StripStream::new(File::create(path)?);
    Ok(writer(format, out, None, Order::default()))
}

fn writer(
    format: Format,
    out: impl Write + Send + 'static,
    width: Option<u16>,
    order: Order,
) -> Box<dyn ReportWriter> {
    let out = BufWriter::new(out);
    match format {
        Format::Json => Box::new(JsonArray { out, any: false }),
        Format::Ndjson => Box::new(JsonLines { out }),
        Format::Csv => Box::new(CsvWriter::new(out)),
        Format::Table => Box::new(TableWriter::new(out, width, order)),
        Format::Explain => Box::new(ExplainWriter::new(out, width)),
    }
}

/// `[`, the reports, `]`: whole and valid JSON wherever the run ends.
struct JsonArray<W> {
    out: W,
    any: bool,
}

impl<W: Write + Send> ReportWriter for JsonArray<W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.out.write_all(if self.any { b",\n" } else { b"[\n" })?;
        self.any = true;
        Ok(serde_json::to_writer(&mut self.out, report)?)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(if self.any { b"\n]\n" } else { b"[]\n" })?;
        self.out.flush()
    }
}

struct JsonLines<W> {
    out: W,
}

impl<W: Write + Send> ReportWriter for JsonLines<W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, report)?;
        self.out.write_all(b"\n")
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use story_checker_core::{
        Cause, Class, Evidence, Item, MediaKind, Report, Scope, Target, Timestamp, Timings, Verdict,
    };

    use super::*;

    pub(crate) fn report(handle: &str, verdict: Verdict) -> Report {
        let target: Target = format!("instagram/account/{handle}").parse().unwrap();
        let now = Timestamp::from_secs(1_795_251_600);
        let timings = Timings::new(now, Duration::ZERO);
        let items = match verdict {
            Verdict::Active => [(3, 21), (1, 23)]
                .map(|(age, left)| {
                    let hour = Duration::from_secs(3600);
                    let mut item = Item::new("17", MediaKind::Image, now - hour * age);
                    item.expires_at = Some(now + hour * left);
                    item
                })
                .to_vec(),
            _ => Vec::new(),
        };
        let evidence = Evidence::new("test/1").with_fact("the profile is public");
        Report::new(target, verdict, evidence, timings).with_items(items)
    }

    pub(crate) fn unknown(message: &str) -> Verdict {
        let cause = Cause::new(Class::RateLimited, Scope::Session, message)
            .with_not_before(Some(Timestamp::from_secs(1_795_252_000)));
        Verdict::Unknown { cause }
    }

    pub(crate) fn reports() -> [Report; 3] {
        [
            report("tea_house", Verdict::Active),
            report("cafe", Verdict::NoStory),
            report("bakery", unknown("the platform asks to wait")),
        ]
    }

    #[test]
    fn an_array_is_valid_with_any_number_of_reports() {
        for many in 0..=3 {
            let mut out = Vec::new();
            let mut writer = JsonArray { out: &mut out, any: false };
            for report in &reports()[..many] {
                writer.report(report).unwrap();
            }
            writer.finish().unwrap();
            let read: Vec<Report> = serde_json::from_slice(&out).unwrap();
            assert_eq!(read, reports()[..many]);
        }
    }

    #[test]
    fn each_line_is_a_report_with_the_promised_fields() {
        let mut out = Vec::new();
        let mut writer = JsonLines { out: &mut out };
        reports().iter().for_each(|report| writer.report(report).unwrap());
        writer.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        for line in &lines {
            for field in ["target", "verdict", "items", "evidence", "timings"] {
                assert!(line.get(field).is_some(), "{field}: {line}");
            }
        }
        assert_eq!(lines[2]["cause"]["not_before"], "2026-11-21T09:06:40.000Z");
    }
}
