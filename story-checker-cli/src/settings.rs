//! What a run is told: flags over environment over file over defaults.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Deserializer, de};
use story_checker_core::gate::Quota;

/// The file that is read if no other is named.
const DEFAULT_FILE: &str = "story-checker.toml";

/// What happens to sessions and proxies is told in the program's own words.
const DEFAULT_LOG: &str = "warn,story_checker_core::engine::pool=error";

/// A longer settings file is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One array of reports.
    Json,
    /// One report per line.
    Ndjson,
}

/// When a progress bar is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Progress {
    /// If standard error is a terminal.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Never.
    Never,
}

/// A length of time, as `90s` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A limit, as `75 per 11m` or `75 per 11m, burst 10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Quota);

/// The limits that can be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Requests of each session.
    #[serde(default, deserialize_with = "text")]
    pub(crate) session: Option<Limit>,
}

/// The settings of one layer: those that it says anything about.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) sessions: Option<Vec<PathBuf>>,
    pub(crate) proxies: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) deadline: Option<Span>,
    pub(crate) concurrency: Option<NonZeroUsize>,
    pub(crate) max_batch: Option<NonZeroUsize>,
    pub(crate) limits: Limits,
    #[serde(deserialize_with = "text")]
    pub(crate) format: Option<Format>,
    #[serde(deserialize_with = "text")]
    pub(crate) progress: Option<Progress>,
    pub(crate) quiet: Option<bool>,
    pub(crate) log: Option<String>,
}

/// What holds for a run.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) sessions: Vec<PathBuf>,
    pub(crate) proxies: Option<PathBuf>,
    pub(crate) base_url: Option<String>,
    pub(crate) deadline: Duration,
    pub(crate) concurrency: Option<NonZeroUsize>,
    pub(crate) max_batch: Option<NonZeroUsize>,
    pub(crate) session_limit: Option<Quota>,
    pub(crate) format: Format,
    pub(crate) progress: Progress,
    pub(crate) quiet: bool,
    pub(crate) log: String,
}

impl Settings {
    /// Puts the layers together: what was typed, the environment, the file.
    ///
    /// # Errors
    /// If a layer cannot be understood; the text names the variable, or file, line and column.
    pub(crate) fn resolve(flags: Layer, file: Option<&Path>) -> anyhow::Result<Self> {
        let environment = Layer::from_variables(|name| env::var_os(name))?;
        let file = match file.map(PathBuf::from).or_else(|| variable_path("STORY_CHECKER_CONFIG")) {
            Some(path) => Layer::from_file(&path)?
                .ok_or_else(|| anyhow!("there is no settings file {}", path.display()))?,
            None => Layer::from_file(Path::new(DEFAULT_FILE))?.unwrap_or_default(),
        };
        Ok(Self::from(flags.over(environment).over(file)))
    }
}

impl From<Layer> for Settings {
    fn from(layer: Layer) -> Self {
        Self {
            sessions: layer.sessions.unwrap_or_default(),
            proxies: layer.proxies,
            base_url: layer.base_url,
            deadline: layer.deadline.map_or(Duration::from_secs(600), |span| span.0),
            concurrency: layer.concurrency,
            max_batch: layer.max_batch,
            session_limit: layer.limits.session.map(|limit| limit.0),
            format: layer.format.unwrap_or_default(),
            progress: layer.progress.unwrap_or_default(),
            quiet: layer.quiet.unwrap_or_default(),
            log: layer.log.unwrap_or_else(|| DEFAULT_LOG.to_owned()),
        }
    }
}

impl Layer {
    /// This layer, and below it another one for what this says nothing about.
    fn over(self, below: Self) -> Self {
        Self {
            sessions: self.sessions.or(below.sessions),
            proxies: self.proxies.or(below.proxies),
            base_url: self.base_url.or(below.base_url),
            deadline: self.deadline.or(below.deadline),
            concurrency: self.concurrency.or(below.concurrency),
            max_batch: self.max_batch.or(below.max_batch),
            limits: Limits { session: self.limits.session.or(below.limits.session) },
            format: self.format.or(below.format),
            progress: self.progress.or(below.progress),
            quiet: self.quiet.or(below.quiet),
            log: self.log.or(below.log),
        }
    }

    /// Reads the `STORY_CHECKER_*` variables; an empty one says nothing.
    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
        let raw = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name| raw(name).map(PathBuf::from);
        Ok(Self {
            sessions: raw("STORY_CHECKER_SESSIONS")
                .map(|paths| env::split_paths(&paths).collect::<Vec<_>>()),
            proxies: path("STORY_CHECKER_PROXIES"),
            base_url: parsed(&raw, "STORY_CHECKER_BASE_URL")?,
            deadline: parsed(&raw, "STORY_CHECKER_DEADLINE")?,
            concurrency: parsed(&raw, "STORY_CHECKER_CONCURRENCY")?,
            max_batch: parsed(&raw, "STORY_CHECKER_MAX_BATCH")?,
            limits: Limits { session: parsed(&raw, "STORY_CHECKER_SESSION_LIMIT")? },
            format: parsed(&raw, "STORY_CHECKER_FORMAT")?,
            progress: parsed(&raw, "STORY_CHECKER_PROGRESS")?,
            quiet: parsed(&raw, "STORY_CHECKER_QUIET")?,
            log: parsed(&raw, "STORY_CHECKER_LOG")?,
        })
    }

    /// Reads a settings file; none if there is none. Its paths are relative to its folder.
    fn from_file(path: &Path) -> anyhow::Result<Option<Self>> {
        let shown = path.display();
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => {
                file.take(MAX_FILE + 1)
                    .read_to_end(&mut bytes)
                    .with_context(|| format!("cannot read the settings file {shown}"))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the settings file {shown}"));
            }
        }
        if bytes.len() as u64 > MAX_FILE {
            bail!("{shown}: the settings file is longer than 1 MiB");
        }
        let mut layer = Self::from_toml(&bytes).map_err(|error| anyhow!("{shown}:{error}"))?;
        if let Some(folder) = path.parent() {
            let paths = layer.sessions.iter_mut().flatten().chain(&mut layer.proxies);
            paths.for_each(|path| *path = folder.join(&*path));
        }
        Ok(Some(layer))
    }

    /// Reads settings; the error is `line:column: reason`. It never quotes the text, which may be
    /// any file.
    fn from_toml(bytes: &[u8]) -> Result<Self, String> {
        let place = |at: usize| {
            let before = &bytes[..at.min(bytes.len())];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            format!("{line}:{}", String::from_utf8_lossy(&before[start..]).chars().count() + 1)
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("{}: this is not UTF-8 text", place(error.valid_up_to())))?;
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let message: String = error.message().chars().take(300).collect();
            let clean = message.trim_end().replace('\n', "; ").replace(char::is_control, " ");
            format!("{}: {clean}", place(at))
        })
    }
}

fn variable_path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(
    raw: &impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> anyhow::Result<Option<T>> {
    let Some(value) = raw(name) else { return Ok(None) };
    let value = value.to_str().with_context(|| format!("the variable {name} is not UTF-8"))?;
    let value = value.parse().map_err(|error| anyhow!("the variable {name}: {error}"))?;
    Ok(Some(value))
}

/// Deserializes what is written as text.
fn text<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    String::deserialize(from)?.parse().map(Some).map_err(de::Error::custom)
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(span) if span > Duration::ZERO && span <= Duration::from_secs(366 * 86_400) => {
                Ok(Self(span))
            }
            Ok(_) => Err("a time must be more than 0 and at most a year".to_owned()),
            Err(_) => Err(format!("{:?} is no time such as 90s or 1h 30m", short(text))),
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "{:?} is no limit such as \"75 per 11m\" or \"75 per 11m, burst 10\"",
                short(text)
            )
        };
        let (requests, rest) = text.split_once(" per ").ok_or_else(form)?;
        let (window, burst) = match rest.split_once(',') {
            Some((window, burst)) => {
                (window, burst.trim().strip_prefix("burst").ok_or_else(form)?.trim())
            }
            None => (rest, "1"),
        };
        let requests = requests.trim().parse().map_err(|_| form())?;
        let burst = burst.parse().map_err(|_| form())?;
        let window = window.trim().parse::<Span>()?.0;
        Quota::with_burst(requests, window, burst).map(Self).map_err(|error| error.to_string())
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

macro_rules! word {
    ($($name:ident),+) => {$(
        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                clap::ValueEnum::from_str(text, false).map_err(|_| {
                    let words: Vec<_> = <Self as clap::ValueEnum>::value_variants()
                        .iter()
                        .filter_map(clap::ValueEnum::to_possible_value)
                        .map(|value| value.get_name().to_owned())
                        .collect();
                    format!("{:?} is none of {}", short(text), words.join(", "))
                })
            }
        }
    )+};
}
word!(Format, Progress);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer(text: &str) -> Layer {
        Layer::from_toml(text.as_bytes()).unwrap()
    }

    fn refusal(text: &str) -> String {
        Layer::from_toml(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_example_names_every_setting() {
        let settings = Settings::from(layer(include_str!("../../examples/story-checker.toml")));
        let want = Settings {
            sessions: vec!["cookies".into()],
            proxies: Some("proxies.txt".into()),
            base_url: Some("https://www.instagram.com".to_owned()),
            deadline: Duration::from_secs(600),
            concurrency: NonZeroUsize::new(256),
            max_batch: NonZeroUsize::new(50),
            session_limit: Quota::with_burst(75, Duration::from_secs(660), 15).ok(),
            format: Format::Table,
            progress: Progress::Auto,
            quiet: false,
            log: "warn".to_owned(),
        };
        assert_eq!(settings, want);
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let environment = |name: &str| match name {
            "STORY_CHECKER_DEADLINE" => Some("2m".into()),
            "STORY_CHECKER_CONCURRENCY" => Some("2".into()),
            "STORY_CHECKER_FORMAT" => Some("".into()),
            _ => None,
        };
        let flags = Layer { deadline: Some(Span(Duration::from_secs(1))), ..Layer::default() };
        let environment = Layer::from_variables(environment).unwrap();
        let file = layer("deadline = '3m'\nconcurrency = 3\nformat = 'json'");
        let settings = Settings::from(flags.over(environment).over(file));
        assert_eq!(settings.deadline, Duration::from_secs(1));
        assert_eq!(settings.concurrency, NonZeroUsize::new(2));
        assert_eq!(settings.format, Format::Json);
        assert_eq!(settings.log, DEFAULT_LOG);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, want) in [
            ("quiet = true\n\n  speed = 9\n", "3:3: unknown field `speed`"),
            ("deadline = 'soon'", "1:12: \"soon\" is no time such as 90s"),
            ("concurrency = 0", "1:15: invalid value"),
            ("[limits]\nsession = '9 per'", "2:11: \"9 per\" is no limit"),
            ("[limits]\nsession = '9 per 1h, burst 10'", "2:11: 9 requests per 3600s"),
            ("format = 'xml'", "1:10: \"xml\" is none of table, json, ndjson"),
            ("quiet = ", "1:9: "),
            ("quiet = true\nquiet = true", "2:1: duplicate key"),
        ] {
            let got = refusal(text);
            assert!(got.starts_with(want), "{text}: {got}");
            assert!(!got.contains('\n'), "{got}");
        }
        let wrong = |name: &str| (name == "STORY_CHECKER_MAX_BATCH").then(|| "many".into());
        let error = Layer::from_variables(wrong).unwrap_err().to_string();
        assert!(error.starts_with("the variable STORY_CHECKER_MAX_BATCH: "), "{error}");
    }

    #[test]
    fn a_file_that_is_none_gives_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        assert_eq!(Layer::from_file(&path).unwrap(), None);
        let mut number = 1u32;
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number.to_be_bytes()[0]
        })
        .take(1024 * 1024)
        .collect();
        for (bytes, want) in [
            (garbage.as_slice(), "a.toml:1:"),
            (&[b' '; 1024 * 1024 + 1], "longer than 1 MiB"),
            (b"\xff\xfeq\0", "a.toml:1:1: this is not UTF-8 text"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", Layer::from_file(&path).unwrap_err());
            assert!(error.contains(want) && error.len() < 800, "{error}");
        }
        assert!(Layer::from_file(folder.path()).is_err());
        std::fs::write(&path, "proxies = 'p.txt'").unwrap();
        let layer = Layer::from_file(&path).unwrap().unwrap();
        assert_eq!(layer.proxies, Some(folder.path().join("p.txt")));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = Layer::from_toml(&bytes);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
            let _ = Layer::from_toml(text.as_bytes());
            let _ = (text.parse::<Limit>(), text.parse::<Span>(), text.parse::<Format>());
        }
    }
}
