//! The settings that there are, and layers of them.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use story_checker_core::engine::EngineConfig;
use story_checker_http::instagram::WebConfig;
use story_checker_http::x::XConfig;

use super::closest::did_you_mean;
use super::value::{
    BarePlatform, Format, Limit, LogFilter, Paths, Progress, Raw, Span, StoreAddress, Value, short,
};

/// What happens to sessions and proxies is told in the program's own words.
const DEFAULT_LOG: &str = "warn,story_checker_core::engine::pool=error";

/// What names a settings file, and is no setting itself.
pub(super) const CONFIG_VARIABLE: &str = "STORY_CHECKER_CONFIG";

/// What the variables of all settings begin with.
const PREFIX: &str = "STORY_CHECKER_";

/// Keys that seal what is secret in a store: no setting, because it must never be shown.
pub(crate) const KEY_VARIABLE: &str = "STORY_CHECKER_KEY";

/// Variables that are no settings; the rest are those of the scripts in this repository.
const FOREIGN: &[&str] = &[
    KEY_VARIABLE,
    "STORY_CHECKER_ADVISORY_DB",
    "STORY_CHECKER_ADVISORY_DBS",
    "STORY_CHECKER_REQUIRE_BACKENDS",
];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// A settings file and a line of it.
    File(String, usize),
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Variable(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file, line) => write!(f, "{file}:{line}"),
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A value that was set, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// What was typed behind a flag, if it was.
pub(crate) fn flag<T>(name: &'static str, value: Option<T>) -> Option<Set<T>> {
    value.map(|value| Set { value, origin: Origin::Flag(name) })
}

/// One setting, for people.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) key: &'static str,
    /// None if it is not set and has no default.
    pub(super) value: Option<toml::Value>,
    /// Where it comes from, or what it means that it is not set.
    pub(super) origin: String,
}

/// Makes the types from the table: a setting that is added there is read from all layers, shown,
/// and known to the check for misspelt names.
macro_rules! settings {
    (
        optional { $($free:ident: $free_type:ty, $free_key:literal, $free_variable:literal, $unset:literal;)+ }
        required { $($field:ident: $type:ty, $key:literal, $variable:literal, $default:expr;)+ }
    ) => {
        /// The settings of one layer: those that it says anything about.
        #[derive(Debug, Default, PartialEq)]
        pub(crate) struct Layer {
            $(pub(crate) $free: Option<Set<$free_type>>,)+
            $(pub(crate) $field: Option<Set<$type>>,)+
        }

        /// What holds for a run.
        #[derive(Debug, PartialEq)]
        pub(crate) struct Settings {
            $(pub(crate) $free: Option<$free_type>,)+
            $(pub(crate) $field: $type,)+
        }

        /// The names in a file; a point stands for a table.
        pub(super) const KEYS: &[&str] = &[$($free_key,)+ $($key,)+];

        const VARIABLES: &[&str] = &[$($free_variable,)+ $($variable,)+ CONFIG_VARIABLE];

        impl Layer {
            /// This layer, and below it another one for what this says nothing about.
            pub(super) fn over(self, below: Self) -> Self {
                Self {
                    $($free: self.$free.or(below.$free),)+
                    $($field: self.$field.or(below.$field),)+
                }
            }

            /// Reads a value of a file.
            pub(super) fn set(&mut self, key: &str, raw: Raw, origin: Origin) -> Result<(), String> {
                match key {
                    $($free_key => self.$free = Some(Set { value: Value::read(raw)?, origin }),)+
                    $($key => self.$field = Some(Set { value: Value::read(raw)?, origin }),)+
                    _ => return Err("there is no such setting".to_owned()),
                }
                Ok(())
            }

            /// Reads the values of the environment; an empty one says nothing.
            fn of_variables(raw: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
                Ok(Self {
                    $($free: variable($free_variable, &raw)?,)+
                    $($field: variable($variable, &raw)?,)+
                })
            }

            /// Takes all paths as relative to this folder.
            pub(super) fn move_to(&mut self, folder: &Path) {
                $(if let Some(set) = &mut self.$free { set.value.move_to(folder); })+
                $(if let Some(set) = &mut self.$field { set.value.move_to(folder); })+
            }

            /// All settings, tables last.
            pub(super) fn rows(&self) -> Vec<Row> {
                let mut rows = vec![
                    $(Row {
                        key: $free_key,
                        value: self.$free.as_ref().map(|set| set.value.write()),
                        origin: match &self.$free {
                            Some(set) => set.origin.to_string(),
                            None => $unset.to_owned(),
                        },
                    },)+
                    $(match &self.$field {
                        Some(set) => Row {
                            key: $key,
                            value: Some(set.value.write()),
                            origin: set.origin.to_string(),
                        },
                        None => Row {
                            key: $key,
                            value: Some(<$type as Value>::write(&$default)),
                            origin: Origin::Default.to_string(),
                        },
                    },)+
                ];
                rows.sort_by_key(|row| row.key.contains('.'));
                rows
            }
        }

        impl From<Layer> for Settings {
            fn from(layer: Layer) -> Self {
                Self {
                    $($free: layer.$free.map(|set| set.value),)+
                    $($field: layer.$field.map_or_else(|| $default, |set| set.value),)+
                }
            }
        }
    };
}

settings! {
    optional {
        sessions: Paths, "sessions", "STORY_CHECKER_SESSIONS", "none";
        proxies: PathBuf, "proxies", "STORY_CHECKER_PROXIES", "none: requests go out directly";
        ca_file: PathBuf, "ca_file", "STORY_CHECKER_CA_FILE", "none beside the system's";
        graph_base_url: String, "graph_base_url", "STORY_CHECKER_GRAPH_BASE_URL",
            "https://graph.facebook.com and https://graph.instagram.com";
        store: StoreAddress, "store", "STORY_CHECKER_STORE",
            "check: a temporary file; other commands must be told";
        key_file: PathBuf, "key_file", "STORY_CHECKER_KEY_FILE",
            "sqlite: the file beside it that ends in .key";
        max_batch: NonZeroUsize, "max_batch", "STORY_CHECKER_MAX_BATCH",
            "as many as the platform answers at once";
        session_limit: Limit, "limits.session", "STORY_CHECKER_SESSION_LIMIT",
            "that of each API";
        instagram_web_limit: Limit, "limits.instagram-web", "STORY_CHECKER_INSTAGRAM_WEB_LIMIT",
            "that of limits.session, else 75 per 11m, burst 15";
        instagram_graph_limit: Limit, "limits.instagram-graph",
            "STORY_CHECKER_INSTAGRAM_GRAPH_LIMIT",
            "that of limits.session, else 200 per 1h, burst 20";
        x_limit: Limit, "limits.x", "STORY_CHECKER_X_LIMIT",
            "that of limits.session, else what the API says";
    }
    required {
        platform: BarePlatform, "platform", "STORY_CHECKER_PLATFORM", BarePlatform::default();
        x_since: Span, "x_since", "STORY_CHECKER_X_SINCE", Span(Duration::from_secs(86_400));
        deadline: Span, "deadline", "STORY_CHECKER_DEADLINE", Span(Duration::from_secs(600));
        concurrency: NonZeroUsize, "concurrency", "STORY_CHECKER_CONCURRENCY",
            EngineConfig::default().max_in_flight;
        format: Format, "format", "STORY_CHECKER_FORMAT", Format::default();
        progress: Progress, "progress", "STORY_CHECKER_PROGRESS", Progress::default();
        quiet: bool, "quiet", "STORY_CHECKER_QUIET", false;
        log: LogFilter, "log", "STORY_CHECKER_LOG", LogFilter(DEFAULT_LOG.to_owned());
        base_url: String, "base_url", "STORY_CHECKER_BASE_URL", WebConfig::default().base_url;
        x_base_url: String, "x_base_url", "STORY_CHECKER_X_BASE_URL",
            XConfig::default().base_url;
    }
}

impl Layer {
    /// Reads the `STORY_CHECKER_*` variables among all.
    ///
    /// # Errors
    /// If a variable is no setting, or its value cannot be understood; the text names it.
    pub(super) fn from_environment(
        all: impl Iterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<Self> {
        let mut ours = Vec::new();
        for (name, value) in all {
            // A name that is not UTF-8 is not ours.
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if value.is_empty() || FOREIGN.contains(&name) {
                continue;
            }
            if !VARIABLES.contains(&name) {
                let hint = did_you_mean(name, VARIABLES.iter().copied());
                bail!("the variable {} is no setting{hint}", short(name));
            }
            ours.push((name.to_owned(), value));
        }
        Self::of_variables(|name| {
            let found = ours.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        })
    }
}

fn variable<T: Value>(
    name: &'static str,
    raw: &impl Fn(&str) -> Option<OsString>,
) -> anyhow::Result<Option<Set<T>>> {
    let Some(text) = raw(name) else { return Ok(None) };
    let value =
        T::read(Raw::Variable(text)).map_err(|reason| anyhow!("the variable {name}: {reason}"))?;
    Ok(Some(Set { value, origin: Origin::Variable(name) }))
}
