use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Reads JSON with the generic reader, which has the last word: what it refuses must not have been
/// believed. None for what it refuses only because of limits of its own, depth and size of numbers.
///
/// # Panics
/// If the bytes are no JSON.
pub fn value<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            let own = ["recursion limit exceeded", "number out of range"];
            assert!(own.iter().any(|own| text.contains(own)), "believed, and no JSON: {text}");
            None
        }
    }
}

/// A text, or a number as a text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number of seconds, or a text of one; 0 is none.
pub fn seconds(value: &Value) -> Option<u64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Some(number as u64).filter(|seconds| *seconds > 0)
}

/// An object with all its entries, also where a name stands twice.
#[derive(Clone, Debug, Default)]
pub struct Pairs(pub Vec<(String, Value)>);

impl Pairs {
    /// The values of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    pairs.push(entry);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
