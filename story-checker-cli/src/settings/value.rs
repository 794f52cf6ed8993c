//! What a setting may be, and how it is written.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use story_checker_core::Secret;
use story_checker_core::gate::{Limit as GateLimit, Quota};
use tracing_subscriber::EnvFilter;

use super::shown::shown;

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
    /// One line per report, for spreadsheets.
    Csv,
    /// All there is to say about each target, for people.
    Explain,
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

/// The platform of names that do not say theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BarePlatform {
    /// Instagram.
    #[default]
    Instagram,
    /// X, formerly Twitter.
    X,
}

/// A length of time, as `90s` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A limit, as `75 per 11m`, `200 per 1h, burst 4, 20 per 1m` or `learned 50 per 1m, least 5, most
/// 200`. For `per` a `/` will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) GateLimit);

/// What is logged, as `info` or `warn,story_checker_http=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter(pub(crate) String);

/// Files and folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths(pub(crate) Vec<PathBuf>);

/// Where jobs and sessions are kept, as `sqlite:jobs.db` or `redis://localhost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreAddress {
    /// In this process, and gone with it.
    Memory,
    /// On a Redis server or cluster; the URL may hold a password.
    Redis(Secret),
    /// In a file.
    Sqlite(PathBuf),
}

/// What stands in a layer, before it is known what it should be.
#[derive(Debug)]
pub(super) enum Raw {
    Boolean(bool),
    List(Vec<String>),
    Number(u64),
    Text(String),
    /// Of the environment, which has no types.
    Variable(OsString),
}

/// Something that a setting can hold.
pub(super) trait Value: Sized {
    /// Reads what stands in a layer; the error is a reason without the name of the setting.
    fn read(raw: Raw) -> Result<Self, String>;

    /// The value as TOML, without secrets.
    fn write(&self) -> toml::Value;

    /// Takes paths as relative to this folder.
    fn move_to(&mut self, _folder: &Path) {}
}

impl Raw {
    /// The text that is needed, or what is wrong with it.
    fn text(self, form: &str) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Variable(text) => text.into_string().map_err(|_| "it is not UTF-8".to_owned()),
            Self::Boolean(_) | Self::List(_) | Self::Number(_) => {
                Err(format!("it must be {form}, in quotes"))
            }
        }
    }
}

impl Value for bool {
    fn read(raw: Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(value) => Ok(value),
            Raw::Variable(text) if text == "true" => Ok(true),
            Raw::Variable(text) if text == "false" => Ok(false),
            _ => Err("it must be true or false".to_owned()),
        }
    }

    fn write(&self) -> toml::Value {
        (*self).into()
    }
}

impl Value for NonZeroUsize {
    fn read(raw: Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Number(number) => usize::try_from(number).ok(),
            Raw::Variable(text) => text.to_str().and_then(|text| text.parse().ok()),
            _ => None,
        };
        number.and_then(Self::new).ok_or_else(|| "it must be a number from 1 up".to_owned())
    }

    fn write(&self) -> toml::Value {
        i64::try_from(self.get()).unwrap_or(i64::MAX).into()
    }
}

impl Value for String {
    fn read(raw: Raw) -> Result<Self, String> {
        raw.text("a text")
    }

    fn write(&self) -> toml::Value {
        shown(self).into()
    }
}

impl Value for PathBuf {
    fn read(raw: Raw) -> Result<Self, String> {
        match raw {
            Raw::Variable(path) => Ok(path.into()),
            raw => raw.text("a path").map(Self::from),
        }
    }

    fn write(&self) -> toml::Value {
        shown(&self.display().to_string()).into()
    }

    fn move_to(&mut self, folder: &Path) {
        *self = folder.join(&*self);
    }
}

impl Value for Paths {
    fn read(raw: Raw) -> Result<Self, String> {
        match raw {
            Raw::List(paths) => Ok(Self(paths.into_iter().map(PathBuf::from).collect())),
            Raw::Variable(paths) => Ok(Self(std::env::split_paths(&paths).collect())),
            _ => Err("it must be a list of paths, such as [\"cookies.txt\"]".to_owned()),
        }
    }

    fn write(&self) -> toml::Value {
        self.0.iter().map(Value::write).collect::<Vec<_>>().into()
    }

    fn move_to(&mut self, folder: &Path) {
        self.0.iter_mut().for_each(|path| path.move_to(folder));
    }
}

impl Value for StoreAddress {
    fn read(raw: Raw) -> Result<Self, String> {
        raw.text("a store such as \"sqlite:jobs.db\"")?.parse()
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }

    fn move_to(&mut self, folder: &Path) {
        if let Self::Sqlite(path) = self {
            path.move_to(folder);
        }
    }
}

/// No message quotes more than the beginning of a text that is no URL: it may hold a password.
impl FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "sqlite:PATH, redis://HOST, rediss://HOST, redis+cluster://HOST,HOST \
                             or memory:";
        let Some((scheme, rest)) = text.split_once(':') else {
            let path = Path::new(text);
            if path.extension().is_some() || text.contains(std::path::is_separator) {
                return Err(format!("a file is named as sqlite:{}", short(&shown(text))));
            }
            return Err(format!("{:?} is no store: it must be {FORMS}", short(text)));
        };
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("nothing stands behind memory:".to_owned()),
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err("a path must follow, such as sqlite:jobs.db".to_owned()),
                ":memory:" => Err("without a file it is memory:".to_owned()),
                path => Ok(Self::Sqlite(path.into())),
            },
            "redis" | "rediss" | "redis+cluster" => {
                let host = rest.strip_prefix("//").unwrap_or_default();
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                if host.is_empty() || host.starts_with(['/', ':', '?']) {
                    return Err(format!("a host must follow, such as {scheme}://localhost"));
                }
                Ok(Self::Redis(text.into()))
            }
            _ => Err(format!(
                "there is no store of the kind {:?}: it must be {FORMS}",
                short(scheme)
            )),
        }
    }
}

/// Without passwords.
impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redis(url) => f.write_str(&shown(url.expose())),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

macro_rules! by_text {
    ($($name:ident: $form:literal),+ $(,)?) => {$(
        impl Value for $name {
            fn read(raw: Raw) -> Result<Self, String> {
                raw.text($form)?.parse()
            }

            fn write(&self) -> toml::Value {
                self.to_string().into()
            }
        }
    )+};
}
by_text! {
    BarePlatform: "a word",
    Format: "a word",
    LogFilter: "a filter such as \"info\"",
    Limit: "a limit such as \"75 per 11m\"",
    Progress: "a word",
    Span: "a time such as \"90s\"",
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

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{:?} is no filter for the log: {error}", short(text))),
        }
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "{:?} is no limit such as \"75 per 11m\", \"75 per 11m, burst 10\" or \
                 \"200 per 1h, 20 per 1m\"",
                short(text)
            )
        };
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| form());
        let (text, learned) = match text.trim().strip_prefix("learned ") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut quotas: Vec<Quota> = Vec::new();
        let (mut least, mut most) = (1, None);
        for part in text.split(',').map(str::trim) {
            let new = match part.split_once(' ') {
                Some(("burst", burst)) => {
                    let quota = quotas.pop().ok_or_else(form)?;
                    let new = Quota::with_burst(quota.requests(), quota.window(), number(burst)?);
                    new.and_then(|new| new.with_slack(quota.slack()))
                }
                Some(("slack", slack)) => {
                    let quota = quotas.pop().ok_or_else(form)?;
                    quota.with_slack(slack.trim().parse::<Span>()?.0)
                }
                Some(("least", requests)) if learned => {
                    least = number(requests)?;
                    continue;
                }
                Some(("most", requests)) if learned => {
                    most = Some(number(requests)?);
                    continue;
                }
                _ => {
                    let pair = part.split_once(" per ").or_else(|| part.split_once('/'));
                    let (requests, window) = pair.ok_or_else(form)?;
                    Quota::new(number(requests)?, window.trim().parse::<Span>()?.0)
                }
            };
            quotas.push(new.map_err(|error| error.to_string())?);
        }
        let limit = match (learned, &quotas[..]) {
            (false, _) => GateLimit::new(quotas),
            (true, [start]) => {
                let most = Quota::new(most.ok_or_else(form)?, start.window());
                let most = most.and_then(|most| most.with_slack(start.slack()));
                GateLimit::learned(start.requests(), least, most.map_err(|it| it.to_string())?)
            }
            (true, _) => return Err(form()),
        };
        limit.map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let learned = self.0.learns_from();
        if learned.is_some() {
            f.write_str("learned ")?;
        }
        for (index, quota) in self.0.quotas().iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let requests = learned.map_or(quota.requests(), |(start, _)| start);
            write!(f, "{comma}{requests} per {}", Span(quota.window()))?;
            if quota.burst() > 1 {
                write!(f, ", burst {}", quota.burst())?;
            }
            if !quota.slack().is_zero() {
                write!(f, ", slack {}", Span(quota.slack()))?;
            }
            if let Some((_, least)) = learned {
                write!(f, ", least {least}, most {}", quota.requests())?;
            }
        }
        Ok(())
    }
}

/// The beginning of a text, for messages.
pub(super) fn short(text: &str) -> String {
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
                        .map(Self::to_string)
                        .collect();
                    format!("{:?} is none of {}", short(text), words.join(", "))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match clap::ValueEnum::to_possible_value(self) {
                    Some(word) => f.write_str(word.get_name()),
                    None => Ok(()),
                }
            }
        }
    )+};
}
word!(BarePlatform, Format, Progress);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        for text in [
            "75 per 11m",
            "75 per 11m, burst 10",
            "1 per 1s 500ms",
            "200 per 1h, burst 4, slack 2s, 20 per 1m",
            "learned 50 per 1m, least 5, most 200",
        ] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        let short: Limit = "200/1h,20/1m".parse().unwrap();
        assert_eq!(short.to_string(), "200 per 1h, 20 per 1m");
        for (text, want) in [
            ("burst 3", "is no limit"),
            ("5 per 1m, least 3", "is no limit"),
            ("learned 5 per 1m", "is no limit"),
            ("learned 5 per 1m, most 4", "not above the most"),
            ("1/1s,1/2s,1/3s,1/4s,1/5s", "more than four"),
            ("5 per 1m, slack 2m", "must not be longer"),
        ] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
        for text in ["90s", "1h 30m", "1ms"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        assert_eq!("csv".parse::<Format>().unwrap().to_string(), "csv");
    }

    #[test]
    fn stores_are_read_and_shown_without_their_passwords() {
        for (text, want) in [
            ("memory:", "memory:"),
            ("sqlite:jobs.db", "sqlite:jobs.db"),
            ("sqlite:///var/lib/jobs.db", "sqlite:/var/lib/jobs.db"),
            ("redis://localhost:6379/3", "redis://localhost:6379/3"),
            ("rediss://me:PLANTED@a.test", "rediss://[redacted]@a.test"),
            ("redis+cluster://:PLANTED@a:1,b:2", "redis+cluster://[redacted]@a:1,b:2"),
        ] {
            let store: StoreAddress = text.parse().unwrap();
            assert_eq!(store.to_string(), want);
            assert!(!format!("{store:?}").contains("PLANTED"));
        }
        for (text, want) in [
            ("jobs.db", "a file is named as sqlite:jobs.db"),
            ("sqlite:", "a path must follow"),
            ("sqlite::memory:", "without a file it is memory:"),
            ("memory:x", "nothing stands behind memory:"),
            ("redis:localhost", "a host must follow, such as redis://localhost"),
            ("redis://me:PLANTED@", "a host must follow"),
            ("postgres://me:PLANTED@a", "there is no store of the kind \"postgres\": it must be"),
            ("store", "\"store\" is no store: it must be sqlite:PATH, redis://HOST,"),
        ] {
            let error = text.parse::<StoreAddress>().unwrap_err();
            assert!(error.starts_with(want) && !error.contains("PLANTED"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<StoreAddress>();
            let _ = (text.parse::<Limit>(), text.parse::<Span>(), text.parse::<Format>());
        }
    }
}
