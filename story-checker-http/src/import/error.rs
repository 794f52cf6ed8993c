use std::fmt;

use super::format::Format;

/// A file that makes no session. Says where and what to do, and never quotes the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    format: Option<Format>,
    place: Place,
    what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Byte(usize),
    Entry(usize),
    File,
    Line(usize),
}

impl ImportError {
    pub(super) fn file(what: impl Into<String>) -> Self {
        Self { format: None, place: Place::File, what: what.into() }
    }

    /// Lines count from 1.
    pub(super) fn line(line: usize, what: impl Into<String>) -> Self {
        Self::file(what).in_line(line)
    }

    /// Bytes count from 0, as in every tool that shows them.
    pub(super) fn byte(offset: usize, what: impl Into<String>) -> Self {
        Self { place: Place::Byte(offset), ..Self::file(what) }
    }

    #[must_use]
    pub(super) fn in_format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    #[must_use]
    pub(super) fn in_line(mut self, line: usize) -> Self {
        self.place = Place::Line(line);
        self
    }

    /// Entries of a list count from 1.
    #[must_use]
    pub(super) fn in_entry(mut self, entry: usize) -> Self {
        self.place = Place::Entry(entry);
        self
    }

    /// What the file was taken for; none if it was not recognised.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// The line that is wrong, from 1; none if the whole file is, or it has no lines.
    #[must_use]
    pub fn line_number(&self) -> Option<usize> {
        match self.place {
            Place::Line(line) => Some(line),
            _ => None,
        }
    }

    /// The byte that is wrong, from 0; none if the whole file is, or it is text.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        match self.place {
            Place::Byte(offset) => Some(offset),
            _ => None,
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Byte(offset) => write!(f, "byte {offset} of the ")?,
            Place::Entry(entry) => write!(f, "entry {entry} of the ")?,
            Place::File => f.write_str("the ")?,
            Place::Line(line) => write!(f, "line {line} of the ")?,
        }
        match self.format {
            Some(format) => write!(f, "{format}: {}", self.what),
            None => write!(f, "file: {}", self.what),
        }
    }
}

impl std::error::Error for ImportError {}
