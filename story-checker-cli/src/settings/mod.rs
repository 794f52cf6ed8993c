//! What a run is told: flags over environment over file over defaults.

mod closest;
mod file;
mod layer;
mod shown;
mod value;

use std::env;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use story_checker_core::gate;

pub(crate) use self::layer::{KEY_VARIABLE, Layer, Settings, flag};
pub(crate) use self::shown::shown;
pub(crate) use self::value::{
    BarePlatform, Format, Limit, LogFilter, Paths, Progress, Span, StoreAddress,
};

/// The file that is read if no other is named.
const DEFAULT_FILE: &str = "story-checker.toml";

impl Settings {
    /// Puts the layers together: what was typed, the environment, the file.
    ///
    /// # Errors
    /// If a layer cannot be understood; the text names the variable, or file, line and column.
    pub(crate) fn resolve(flags: Layer, file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self::from(layers(flags, file)?))
    }

    /// Requests of each session of an app, if the settings say anything about it.
    pub(crate) fn limit(&self, app: &str) -> Option<gate::Limit> {
        let own = match app {
            "instagram-web" => self.instagram_web_limit.as_ref(),
            "instagram-graph" => self.instagram_graph_limit.as_ref(),
            "x" => self.x_limit.as_ref(),
            _ => None,
        };
        own.or(self.session_limit.as_ref()).map(|limit| limit.0.clone())
    }
}

/// Everything that was said, in one layer.
fn layers(flags: Layer, file: Option<&Path>) -> anyhow::Result<Layer> {
    let environment = Layer::from_environment(env::vars_os())?;
    let named = file.map(PathBuf::from).or_else(|| {
        let path = env::var_os(layer::CONFIG_VARIABLE)?;
        (!path.is_empty()).then(|| path.into())
    });
    let file = match named {
        Some(path) => file::read(&path)?
            .ok_or_else(|| anyhow!("there is no settings file {}", path.display()))?,
        None => file::read(Path::new(DEFAULT_FILE))?.unwrap_or_default(),
    };
    Ok(flags.over(environment).over(file))
}

/// All settings as TOML, each with the place that it comes from.
#[derive(Debug)]
pub(crate) struct Shown(Layer);

impl Shown {
    /// What would hold for a run.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub(crate) fn resolve(flags: Layer, file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self(layers(flags, file)?))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        let mut table = "";
        for row in self.0.rows() {
            let (inside, key) = row.key.rsplit_once('.').unwrap_or(("", row.key));
            if inside != table {
                table = inside;
                lines.push((format!("\n[{table}]"), String::new()));
            }
            lines.push(match row.value {
                Some(value) => (format!("{key} = {value}"), row.origin),
                // Not set: the line stays valid TOML.
                None => (format!("# {key}"), row.origin),
            });
        }
        let width = |line: &str| console::measure_text_width(line);
        // One long list must not push all origins out of sight.
        let column = lines.iter().map(|(line, _)| width(line)).filter(|&width| width <= 50).max();
        let column = column.unwrap_or_default();
        let mut text = String::new();
        for (line, origin) in lines {
            text.push_str(&line);
            if !origin.is_empty() {
                let gap = column.saturating_sub(width(&line));
                write!(text, "{:gap$}  # {origin}", "")?;
            }
            text.push('\n');
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests;
