//! Settings files.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::closest::did_you_mean;
use super::layer::{KEYS, Layer, Origin};
use super::value::{Raw, short};

/// A longer settings file is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads a settings file; none if there is none. Its paths are relative to its folder.
///
/// # Errors
/// If it cannot be read or understood; the text names file, line and column.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Layer>> {
    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(MAX_FILE + 1)
                .read_to_end(&mut bytes)
                .with_context(|| format!("cannot read the settings file {shown}"))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the settings file {shown}"));
        }
    }
    if bytes.len() as u64 > MAX_FILE {
        bail!("{shown}: the settings file is longer than 1 MiB");
    }
    let mut layer = parse(&bytes, &shown).map_err(|error| anyhow!("{shown}:{error}"))?;
    if let Some(folder) = path.parent() {
        layer.move_to(folder);
    }
    Ok(Some(layer))
}

/// Reads settings; the error is `line:column: reason`. It quotes no more than the beginning of a
/// name or value, because the text may be any file.
pub(super) fn parse(bytes: &[u8], file: &str) -> Result<Layer, String> {
    let place = |at: usize| {
        let (line, column) = place(bytes, at);
        format!("{line}:{column}")
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("{}: this is not UTF-8 text", place(error.valid_up_to())))?;
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message: String = error.message().chars().take(300).collect();
        let clean = message.trim_end().replace('\n', "; ").replace(char::is_control, " ");
        format!("{}: {clean}", place(at))
    })?;
    let mut layer = Layer::default();
    read_table(&mut layer, table.get_ref(), "", &|at| {
        Origin::File(file.to_owned(), self::place(bytes, at).0)
    })
    .map_err(|(at, reason)| format!("{}: {reason}", place(at)))?;
    Ok(layer)
}

/// Reads the settings of a table; the error says where in the text.
fn read_table(
    layer: &mut Layer,
    table: &DeTable<'_>,
    prefix: &str,
    origin: &impl Fn(usize) -> Origin,
) -> Result<(), (usize, String)> {
    // In the order of the text, so that the first mistake is told first.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (name, value) in entries {
        let at = name.span().start;
        let key = format!("{prefix}{}", name.get_ref());
        let below = format!("{key}.");
        match value.get_ref() {
            DeValue::Table(inner) if KEYS.iter().any(|known| known.starts_with(&below)) => {
                read_table(layer, inner, &below, origin)?;
            }
            _ if KEYS.contains(&key.as_str()) => {
                let start = value.span().start;
                let raw = raw(value).map_err(|reason| (start, reason))?;
                let set = layer.set(&key, raw, origin(at));
                set.map_err(|reason| (start, format!("{key}: {reason}")))?;
            }
            _ => return Err((at, unknown(&key, prefix))),
        }
    }
    Ok(())
}

/// That there is no such setting, and which one may be meant.
fn unknown(key: &str, prefix: &str) -> String {
    let name = &key[prefix.len()..];
    // The right name in the wrong table comes first.
    let elsewhere = KEYS.iter().find(|known| known.rsplit('.').next() == Some(name));
    let mut hint = match elsewhere {
        Some(known) => format!("; did you mean {known}?"),
        None => did_you_mean(name, KEYS.iter().filter_map(|known| known.strip_prefix(prefix))),
    };
    let key = short(key).replace(char::is_control, " ");
    if hint.is_empty() {
        hint = format!("; there are {}", KEYS.join(", "));
    }
    format!("there is no setting {key:?}{hint}")
}

fn raw(value: &Spanned<DeValue<'_>>) -> Result<Raw, String> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Integer(number) => {
            let number = u64::from_str_radix(number.as_str(), number.radix());
            Raw::Number(number.map_err(|_| "the number is out of range".to_owned())?)
        }
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            let texts: Option<_> = texts.collect();
            Raw::List(texts.ok_or("what stands in this list must be text in quotes")?)
        }
        other => return Err(format!("a {} is no value of a setting", other.type_str())),
    })
}

/// Line and column, from 1, of a place in a text.
fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}
