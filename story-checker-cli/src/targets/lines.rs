//! Lines of a list, one at a time: a list of any size takes the memory of one line.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is read; what is longer is skipped to its end.
pub(crate) const MAX_LINE: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a whole list is refused.
pub(crate) const UTF_16: &str = "this is UTF-16 text; save the list as UTF-8";

/// What one line of a list holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Text without comment, surrounding blanks, quotes and line end; never empty.
    Text(Cow<'a, str>),
    /// Nothing that could be read, and why.
    Bad(String),
}

/// Reads lines of bounded length from anything.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(MAX_LINE, input), line: Vec::new(), number: 0 }
    }

    /// The next line that is not blank, with its number.
    ///
    /// # Errors
    /// What reading gave, or `InvalidData` if the list is UTF-16.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        let too_long = loop {
            let Some(too_long) = self.fill()? else { return Ok(None) };
            self.number += 1;
            if self.number == 1 {
                if is_utf16(&self.line) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, UTF_16));
                }
                if self.line.starts_with(BYTE_ORDER_MARK) {
                    self.line.drain(..BYTE_ORDER_MARK.len());
                }
            }
            if too_long || !std::str::from_utf8(&self.line).is_ok_and(is_blank) {
                break too_long;
            }
        };
        let line = if too_long {
            Line::Bad(format!("the line is longer than {} KiB", MAX_LINE / 1024))
        } else {
            match std::str::from_utf8(&self.line) {
                Ok(text) => content(text).map_or_else(|why| Line::Bad(why.into()), Line::Text),
                Err(error) => {
                    Line::Bad(format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1))
                }
            }
        };
        Ok(Some((self.number, line)))
    }

    /// Whether the next line may have to be waited for.
    pub(crate) fn may_block(&self) -> bool {
        !self.input.buffer().contains(&b'\n')
    }

    /// Reads one line into `self.line`, its end stripped. `Some(true)` if it was cut.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut too_long, mut any) = (false, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(any.then_some(too_long));
            }
            any = true;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = MAX_LINE - self.line.len();
            too_long |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

/// A line without its comment and the blanks around it. A `#` begins a comment where a line begins
/// or after a blank, so that URLs keep their fragment. A line in double quotes is taken as it is,
/// with `""` for a quote.
fn content(line: &str) -> Result<Cow<'_, str>, &'static str> {
    let line = line.trim();
    let Some(quoted) = line.strip_prefix('"') else { return Ok(before_comment(line).into()) };
    let mut text = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"').ok_or("the quote that begins it does not end")?;
        text.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                text.push('"');
                rest = after;
            }
            None if before_comment(after).is_empty() => return Ok(text.into()),
            None => return Err("something stands behind the quoted text"),
        }
    }
}

fn before_comment(text: &str) -> &str {
    let mut before = None;
    let comment = text.char_indices().find(|&(_, letter)| {
        let starts = letter == '#' && before.is_none_or(char::is_whitespace);
        before = Some(letter);
        starts
    });
    text[..comment.map_or(text.len(), |(at, _)| at)].trim()
}

fn is_blank(line: &str) -> bool {
    content(line).is_ok_and(|text| text.trim().is_empty())
}

/// Whether a list that begins like this is UTF-16: by its mark, or by a zero in every other byte.
pub(crate) fn is_utf16(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return true;
    }
    let head = &head[..head.len().min(64)];
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    head.len() >= 4 && (even.max(odd) * 2 + 2 >= head.len()) && even.min(odd) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out its bytes a few at a time, as a pipe may.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let many = self.1.min(self.0.len()).min(into.len());
            into[..many].copy_from_slice(&self.0[..many]);
            self.0 = &self.0[many..];
            Ok(many)
        }
    }

    fn lines(bytes: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let mut reader = LineReader::new(Drip(bytes, 7));
        let mut all = Vec::new();
        while let Some((number, line)) = reader.next_line().unwrap() {
            let line = match line {
                Line::Text(text) => Ok(text.into_owned()),
                Line::Bad(reason) => Err(reason),
            };
            all.push((number, line));
        }
        all
    }

    #[test]
    fn comments_blanks_and_every_line_end_are_understood() {
        let list = "\u{feff}one\r\n\n  # a comment\ntwo  # why\n https://a/#b \n\t\nlast";
        let text = |number, text: &str| (number, Ok(text.to_owned()));
        assert_eq!(
            lines(list.as_bytes()),
            [text(1, "one"), text(4, "two"), text(5, "https://a/#b"), text(7, "last")]
        );
        assert!(lines(b"").is_empty() && lines(b"#only").is_empty());
    }

    #[test]
    fn a_quoted_line_keeps_what_would_be_a_comment() {
        let list =
            "\"x/query/#tea OR #cake\"  # two\n\"a \"\"b\"\" #c\"\r\n\"open\n\"a\" b\n\"\"\nlast";
        let found = lines(list.as_bytes());
        assert_eq!(found[0], (1, Ok("x/query/#tea OR #cake".to_owned())));
        assert_eq!(found[1], (2, Ok("a \"b\" #c".to_owned())));
        assert_eq!(found[2], (3, Err("the quote that begins it does not end".to_owned())));
        assert_eq!(found[3], (4, Err("something stands behind the quoted text".to_owned())));
        assert_eq!(found[4..], [(6, Ok("last".to_owned()))]);
    }

    #[test]
    fn a_line_too_long_or_not_utf8_is_named_and_the_rest_is_read() {
        let mut list = b"one\n".to_vec();
        list.extend(std::iter::repeat_n(b'x', MAX_LINE + 1));
        list.extend(b"\nab\xffcd\nfour\n");
        let found = lines(&list);
        assert_eq!(found[0], (1, Ok("one".to_owned())));
        assert_eq!(found[1], (2, Err("the line is longer than 64 KiB".to_owned())));
        assert_eq!(found[2], (3, Err("byte 3 of the line is not UTF-8".to_owned())));
        assert_eq!(found[3], (4, Ok("four".to_owned())));
        let exact = vec![b'x'; MAX_LINE];
        assert_eq!(lines(&exact)[0].1.as_ref().unwrap().len(), MAX_LINE);
    }

    #[test]
    fn utf16_is_refused_with_and_without_its_mark() {
        for (bytes, little) in [(true, true), (true, false), (false, true), (false, false)]
            .map(|(mark, little)| (utf16(mark, little), little))
        {
            let error = LineReader::new(bytes.as_slice()).next_line().unwrap_err();
            assert_eq!(error.to_string(), UTF_16, "little endian: {little}");
        }
        assert!(!is_utf16(b"tea_house") && !is_utf16(b"\0\0\0\0\0\0") && !is_utf16(b""));
    }

    fn utf16(mark: bool, little: bool) -> Vec<u8> {
        let text = if mark { "\u{feff}tea_house\nx\n" } else { "tea_house\nx\n" };
        let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let mut reader = LineReader::new(bytes.as_slice());
            while let Ok(Some(_)) = reader.next_line() {}
        }

        #[test]
        fn valid_lines_among_garbage_are_all_found(
            parts in prop::collection::vec(
                prop_oneof![
                    "[a-z_]{1,30}".prop_map(|name| (name.clone().into_bytes(), Some(name))),
                    prop::collection::vec(128u8..=255, 1..80).prop_map(|garbage| (garbage, None)),
                ],
                0..40,
            ),
        ) {
            // A first line would decide about the encoding of all.
            let mut list = b"# list\n".to_vec();
            for (bytes, _) in &parts {
                list.extend_from_slice(bytes);
                list.push(b'\n');
            }
            let want: Vec<_> = parts.iter().enumerate().filter_map(|(at, (_, name))| {
                name.clone().map(|name| (at as u64 + 2, name))
            }).collect();
            let found: Vec<_> = lines(&list)
                .into_iter()
                .filter_map(|(number, line)| line.ok().map(|line| (number, line)))
                .filter(|(_, line)| line.is_ascii())
                .collect();
            prop_assert_eq!(found, want);
        }
    }
}
