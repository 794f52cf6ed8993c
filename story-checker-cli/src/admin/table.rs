//! A table of what was found.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use console::{Alignment, Term, measure_text_width, pad_str, truncate_str};

use crate::output::words::clean;

const GAP: usize = 2;

/// Writes rows below their names. The last column is cut where the terminal ends.
pub(super) fn print(header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let out = io::stdout();
    let width = out.is_terminal().then(|| usize::from(Term::stdout().size().1));
    let text = lines(header, rows, width);
    let mut out = anstream::AutoStream::auto(out);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Who reads it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn lines(header: &[&str], rows: &[Vec<String>], terminal: Option<usize>) -> String {
    let header: Vec<_> = header.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<_>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths: Vec<_> = header.iter().map(|name| measure_text_width(name)).collect();
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = measure_text_width(cell).max(*widest);
        }
    }
    if let (Some(terminal), Some((last, before))) = (terminal, widths.split_last_mut()) {
        let taken: usize = before.iter().map(|width| width + GAP).sum();
        *last = (*last).min(terminal.saturating_sub(taken).max(20));
    }
    let line = |row: &[String]| {
        let cell = |(cell, width): (&String, &usize)| {
            let cell = truncate_str(cell, *width, "…");
            pad_str(&cell, width + GAP, Alignment::Left, None).into_owned()
        };
        let line: String = row.iter().zip(&widths).map(cell).collect();
        line.trim_end().to_owned()
    };
    let bold = Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}\n", line(&header));
    for row in &rows {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

/// Names and values below each other; an empty value is left out.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let shown = || pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.len()).max().unwrap_or_default() + GAP;
    shown().map(|(name, value)| format!("{name:width$}{}\n", clean(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_names_and_the_last_is_cut() {
        let rows = [["a", "long text", "x"], ["bcd", "\u{1b}[2Jk", "a note that does not fit"]];
        let rows: Vec<Vec<_>> = rows.iter().map(|row| row.map(str::to_owned).into()).collect();
        let text = lines(&["ID", "WHAT", "NOTE"], &rows, Some(20));
        let text = anstream::adapter::strip_str(&text).to_string();
        let want = "\
ID   WHAT       NOTE
a    long text  x
bcd   [2Jk      a note that does no…
";
        assert_eq!(text, want);
        let pairs = pairs(&[
            ("id", "1".to_owned()),
            ("longer", "2".to_owned()),
            ("left out", String::new()),
        ]);
        assert_eq!(pairs, "id      1\nlonger  2\n");
    }
}
