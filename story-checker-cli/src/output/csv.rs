//! One line per report, for spreadsheets: CSV by RFC 4180.

use std::io::{self, Write};

use story_checker_core::{Report, Timestamp, Verdict};

use super::ReportWriter;
use super::words::clean;

const COLUMNS: [&str; 14] = [
    "target",
    "verdict",
    "stories",
    "newest",
    "expires",
    "source",
    "session",
    "proxy",
    "checked_at",
    "took_ms",
    "cause_class",
    "cause_scope",
    "cause",
    "not_before",
];

/// Writes the names of the columns, then a line per report.
pub(super) struct CsvWriter<W> {
    out: W,
    begun: bool,
}

impl<W: Write + Send> CsvWriter<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, begun: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        line(&mut self.out, COLUMNS.map(str::to_owned))
    }
}

impl<W: Write + Send> ReportWriter for CsvWriter<W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.begin()?;
        line(&mut self.out, fields(report))
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin()?;
        self.out.flush()
    }
}

fn fields(report: &Report) -> [String; COLUMNS.len()] {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let evidence = &report.evidence;
    let cause = match &report.verdict {
        Verdict::Unknown { cause } => Some(cause),
        _ => None,
    };
    [
        report.target.to_string(),
        report.verdict.as_str().to_owned(),
        report.items.len().to_string(),
        time(report.items.iter().map(|item| item.taken_at).max()),
        time(report.items.iter().filter_map(|item| item.expires_at).max()),
        evidence.source.to_string(),
        evidence.session.as_ref().map_or_else(String::new, ToString::to_string),
        evidence.proxy.as_ref().map_or_else(String::new, ToString::to_string),
        time(Some(report.timings.ended)),
        report.timings.took.as_millis().to_string(),
        cause.map_or("", |cause| cause.class.as_str()).to_owned(),
        cause.map_or("", |cause| cause.scope.as_str()).to_owned(),
        cause.map_or("", |cause| &cause.message).to_owned(),
        time(cause.and_then(|cause| cause.not_before)),
    ]
}

fn line<W: Write>(out: &mut W, fields: [String; COLUMNS.len()]) -> io::Result<()> {
    let fields = fields.map(|field| {
        let field = clean(&field);
        let bare = !field.contains([',', '"']) && field.trim() == field;
        if bare { field } else { format!("\"{}\"", field.replace('"', "\"\"")) }
    });
    write!(out, "{}\r\n", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{report, reports, unknown};
    use super::*;

    fn csv(reports: &[Report]) -> String {
        let mut out = Vec::new();
        let mut writer = CsvWriter::new(&mut out);
        reports.iter().for_each(|report| writer.report(report).unwrap());
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reports_are_lines_below_the_names_of_the_columns() {
        let want = "\
target,verdict,stories,newest,expires,source,session,proxy,checked_at,took_ms,cause_class,cause_scope,cause,not_before\r
instagram/account/tea_house,active,2,2026-11-21T08:00:00.000Z,2026-11-22T08:00:00.000Z,test/1,,,2026-11-21T09:00:00.000Z,0,,,,\r
instagram/account/cafe,no_story,0,,,test/1,,,2026-11-21T09:00:00.000Z,0,,,,\r
instagram/account/bakery,unknown,0,,,test/1,,,2026-11-21T09:00:00.000Z,0,rate_limited,session,the platform asks to wait,2026-11-21T09:06:40.000Z\r
";
        assert_eq!(csv(&reports()), want);
        assert_eq!(csv(&[]), want.split_inclusive('\n').next().unwrap());
    }

    #[test]
    fn commas_and_quotes_are_quoted_and_control_characters_are_not_written() {
        let text = csv(&[report("a", unknown("a, \"b\"\r\n\u{1b}[1mc\0"))]);
        assert!(text.contains(",session,\"a, \"\"b\"\"   [1mc \",2026"), "{text:?}");
        assert_eq!(text.lines().count(), 2);
    }
}
