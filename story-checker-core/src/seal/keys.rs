//! The text form of keys.

use std::fmt::{self, Write};

use chacha20poly1305::aead::Generate;
use zeroize::Zeroizing;

use crate::base64;
use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::secret::Secret;

const PARSE: &str = "read keys";

pub(super) struct Key {
    pub(super) id: String,
    pub(super) bytes: Zeroizing<[u8; KEY]>,
}

const KEY: usize = 32;

/// Ids are printed in errors: short, and nothing that could be taken for a key.
pub(super) fn is_key_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=32).contains(&id.len()) && id.bytes().all(fits)
}

pub(super) fn parse(text: &str) -> Result<Vec<Key>> {
    let mut keys: Vec<Key> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        for entry in line.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let refuse = |what: &str| Err(Error::invalid(PARSE, format!("line {number}: {what}")));
            // Nothing of the line is quoted before it is certain that it is no key.
            let Some((id, key)) = entry.split_once(':') else {
                return refuse("`id:key` is expected, there is no `:`");
            };
            let id = id.trim();
            if !is_key_id(id) {
                return refuse(
                    "the id before `:` must be 1 to 32 letters, digits, `-`, `_` or `.`",
                );
            }
            let Some(bytes) = key_bytes(key.trim()) else {
                return refuse(
                    "the key after `:` must be 32 bytes, as 64 hexadecimal digits or as base64",
                );
            };
            if keys.iter().any(|other| other.id == id) {
                return refuse(&format!("the id `{id}` is there twice; each key needs its own"));
            }
            if keys.iter().any(|other| other.bytes == bytes) {
                return refuse(&format!("`{id}` is the same key as an earlier one"));
            }
            keys.push(Key { id: id.to_owned(), bytes });
        }
    }
    if keys.is_empty() {
        return Err(Error::invalid(PARSE, "there is no key; `story-checker key new` makes one"));
    }
    Ok(keys)
}

fn key_bytes(text: &str) -> Option<Zeroizing<[u8; KEY]>> {
    let bytes = Zeroizing::new(if text.len() == 2 * KEY {
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        text.as_bytes().chunks_exact(2).map(pair).collect::<Option<Vec<u8>>>()?
    } else {
        base64::decode(text)?
    });
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

pub(super) fn generate() -> Result<Secret> {
    const GENERATE: &str = "make a key";
    let random = |error| no_random(GENERATE, error);
    let id: [u8; 4] = Generate::try_generate().map_err(random)?;
    let key = Zeroizing::new(<[u8; KEY]>::try_generate().map_err(random)?);
    // Made in one piece, so that no copy of it stays behind.
    let mut line = String::with_capacity(2 + 2 * id.len() + 2 * KEY);
    line.push('k');
    for byte in id {
        let _ = write!(line, "{byte:02x}");
    }
    line.push(':');
    for byte in *key {
        let _ = write!(line, "{byte:02x}");
    }
    Ok(Secret::new(line))
}

pub(super) fn no_random(operation: &'static str, error: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, Certainty::Transient, operation)
        .with_context(format!("the system gives no random numbers: {error}"))
}
