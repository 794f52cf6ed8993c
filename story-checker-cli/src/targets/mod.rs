//! The targets of a run: from arguments, files and standard input.

mod lines;
mod order;
mod seen;
mod text;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use story_checker_core::Target;

use self::lines::{Line, LineReader};
pub(crate) use self::lines::{UTF_16, is_utf16};
pub(crate) use self::order::Order;
use self::seen::Seen;
pub(crate) use self::text::short;
use self::text::{is_misspelt, is_surely_target, read};
use crate::settings::BarePlatform;

/// Something in the lists that is no target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    list: Arc<str>,
    /// 0 where there is no line.
    line: u64,
    reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.list, self.reason),
            line => write!(f, "{}:{line}: {}", self.list, self.reason),
        }
    }
}

/// What comes next from the lists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A target that was not met before.
    Target(Target),
    /// A line that is none.
    Problem(Problem),
    /// The next entry may take its time: work on what there is.
    Wait,
}

/// Where targets are read from.
enum Source {
    Name(String),
    List { name: Arc<str>, lines: LineReader<Box<dyn Read + Send>> },
}

/// All lists of a run, in the order they were given; each target comes once.
pub(crate) struct TargetList {
    sources: VecDeque<Source>,
    bare: BarePlatform,
    seen: Seen,
    /// Those that an earlier run knows already.
    known: Option<Seen>,
    order: Order,
    duplicates: u64,
    expected: u64,
    waited: bool,
}

impl TargetList {
    /// Opens the lists. `names` are targets, files and `-`, by the rule of [`is_list`].
    ///
    /// # Errors
    /// If a file cannot be opened or is UTF-16; the text names it.
    pub(crate) fn open(
        names: &[String],
        files: &[PathBuf],
        bare: BarePlatform,
    ) -> anyhow::Result<Self> {
        let mut list = Self::new(bare);
        for name in names {
            if name == "-" || is_list(name) {
                list.add_file(Path::new(name))?;
            } else {
                list.expected += 1;
                list.sources.push_back(Source::Name(name.clone()));
            }
        }
        for file in files {
            list.add_file(file)?;
        }
        Ok(list)
    }

    /// A list from anything that can be read.
    #[cfg(test)]
    pub(crate) fn of_reader(name: &str, input: Box<dyn Read + Send>, bare: BarePlatform) -> Self {
        let mut list = Self::new(bare);
        list.sources.push_back(Source::List { name: name.into(), lines: LineReader::new(input) });
        list
    }

    fn new(bare: BarePlatform) -> Self {
        Self {
            sources: VecDeque::new(),
            bare,
            seen: Seen::new(),
            known: None,
            order: Order::default(),
            duplicates: 0,
            expected: 0,
            waited: false,
        }
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let (name, input): (Arc<str>, Box<dyn Read + Send>) = if path == "-" {
            ("standard input".into(), Box::new(stdin()))
        } else {
            let name: Arc<str> = path.display().to_string().into();
            let (file, lines) =
                open_list(path).with_context(|| format!("cannot read the list {name}"))?;
            self.expected += lines;
            (name, Box::new(file))
        };
        self.sources.push_back(Source::List { name, lines: LineReader::new(input) });
        Ok(())
    }

    /// How many targets there may be, as far as it can be seen without reading: for the progress.
    pub(crate) const fn expected(&self) -> u64 {
        self.expected
    }

    /// How many targets came more than once.
    pub(crate) const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The places of the targets in the lists, filled in as they are read.
    pub(crate) fn order(&self) -> Order {
        self.order.clone()
    }

    /// Leaves a target out that an earlier run has read already.
    pub(crate) fn leave_out(&mut self, target: &Target) {
        self.order.note(target);
        self.known.get_or_insert_with(Seen::new).insert(target);
    }

    fn accept(&mut self, target: Target) -> Option<Entry> {
        if self.known.as_mut().is_some_and(|known| !known.insert(&target)) {
            return None;
        }
        self.order.note(&target);
        if self.seen.insert(&target) {
            return Some(Entry::Target(target));
        }
        self.duplicates += 1;
        None
    }
}

impl Iterator for TargetList {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let parsed = match self.sources.front_mut()? {
                Source::Name(name) => {
                    let parsed = read(name, self.bare);
                    self.sources.pop_front();
                    parsed.map_err(|error| (Arc::from("argument"), 0, error.to_string()))
                }
                Source::List { lines, .. } if !self.waited && lines.may_block() => {
                    self.waited = true;
                    return Some(Entry::Wait);
                }
                Source::List { name, lines } => {
                    self.waited = false;
                    match lines.next_line() {
                        Ok(Some((number, Line::Text(text)))) => read(&text, self.bare)
                            .map_err(|error| (Arc::clone(name), number, error.to_string())),
                        Ok(Some((number, Line::Bad(reason)))) => {
                            Err((Arc::clone(name), number, reason))
                        }
                        Ok(None) => {
                            self.sources.pop_front();
                            continue;
                        }
                        Err(error) => {
                            let name = Arc::clone(name);
                            self.sources.pop_front();
                            Err((name, 0, error.to_string()))
                        }
                    }
                }
            };
            match parsed {
                Ok(target) => {
                    if let Some(entry) = self.accept(target) {
                        return Some(entry);
                    }
                }
                Err((list, line, reason)) => {
                    return Some(Entry::Problem(Problem { list, line, reason }));
                }
            }
        }
    }
}

/// Whether an argument is a list and not a target: it names an existing file, ends like one, or
/// looks like a path. `@name`, URLs and full forms are always targets.
fn is_list(argument: &str) -> bool {
    if is_surely_target(argument) {
        return false;
    }
    let path = Path::new(argument);
    let ends_like_a_list = path.extension().is_some_and(|extension| {
        ["txt", "csv", "list"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    });
    // A pipe made by the shell (`<(command)`) is no regular file, but it is no folder either.
    path.exists() && !path.is_dir()
        || ends_like_a_list
        || argument.contains(std::path::is_separator) && !is_misspelt(argument)
}

/// Opens a list, with its number of lines. Regular files are looked at first, so that a wrong
/// encoding is said before the run begins; what cannot be rewound is looked at when its first line
/// is read, and its lines are not counted.
fn open_list(path: &Path) -> anyhow::Result<(File, u64)> {
    let mut file = File::open(path)?;
    let kind = file.metadata()?;
    if kind.is_dir() {
        bail!("it is a folder");
    }
    let mut lines = 0;
    if kind.is_file() {
        let mut buffer = vec![0; 64 * 1024];
        for chunk in 0.. {
            let many = file.read(&mut buffer)?;
            let bytes = &buffer[..many];
            if chunk == 0 && is_utf16(bytes) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, UTF_16).into());
            }
            if many == 0 {
                break;
            }
            lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        }
        file.rewind()?;
    }
    Ok((file, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str], files: &[PathBuf]) -> (Vec<String>, u64) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut list = TargetList::open(&names, files, BarePlatform::default()).unwrap();
        let texts = list.by_ref().filter_map(|entry| match entry {
            Entry::Target(target) => Some(target.handle().to_owned()),
            Entry::Problem(problem) => Some(format!("! {problem}")),
            Entry::Wait => None,
        });
        (texts.collect(), list.duplicates())
    }

    #[test]
    fn arguments_and_files_come_in_order_without_duplicates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, "@Tea_House\ntwo words\ncafe\nTEA_HOUSE\n").unwrap();
        let (found, duplicates) = listed(&["cafe", "a b"], std::slice::from_ref(&path));
        let starts = ["cafe", "! argument: the Instagram account is \"a b\"", "tea_house"];
        assert!(found.iter().zip(starts).all(|(text, start)| text.starts_with(start)), "{found:?}");
        let line = format!("! {}:2: the Instagram account is \"two words\"", path.display());
        assert!(found[3].starts_with(&line), "{}", found[3]);
        assert_eq!(duplicates, 2);
        // The same file as an argument.
        assert_eq!(listed(&[path.to_str().unwrap()], &[]).0.len(), 3);
    }

    #[test]
    fn files_are_told_from_accounts() {
        for list in ["list.txt", "LIST.CSV", "a.list", "some/where", "./tea_house"] {
            assert!(is_list(list), "{list}");
        }
        for account in [
            "tea_house",
            "@list.txt",
            "https://www.instagram.com/tea_house/",
            "instagram.com/tea_house",
            "x.com/tea_house",
            "x/account/tea_house",
            "x/query/a.txt",
            "x:#tea",
            "tea.house",
            "no_such_file",
            "x/acount/foo",
        ] {
            assert!(!is_list(account), "{account}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_named_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| {
            let error =
                TargetList::open(&[], &[path.to_owned()], BarePlatform::default()).err().unwrap();
            format!("{error:#}")
        };
        assert!(open(folder.path()).ends_with("it is a folder"));
        let missing = folder.path().join("missing.txt");
        assert!(open(&missing).contains("missing.txt: "), "{}", open(&missing));
        let utf16 = folder.path().join("utf16.txt");
        std::fs::write(&utf16, b"\xff\xfea\0\n\0").unwrap();
        assert!(open(&utf16).ends_with(UTF_16));
    }
}
