//! Credentials as sealed bytes: the only place where they become text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{Keyring, OPEN, SEAL};
use crate::clock::Timestamp;
use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::secret::Secret;
use crate::session::{Cookie, Credentials};

impl Keyring {
    /// Seals the credentials of a session.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub fn seal_credentials(&self, session: &SessionId, value: &Credentials) -> Result<Vec<u8>> {
        let text = to_text(value).map_err(|error| {
            Error::invalid(SEAL, context(session)).with_source(io::Error::from(error))
        })?;
        self.seal(&context(session), &text)
    }

    /// Opens the credentials of a session.
    ///
    /// # Errors
    /// As [`Keyring::open`], and [`ErrorKind::Corrupt`] if they are of a shape that is not known.
    pub fn open_credentials(&self, session: &SessionId, sealed: &[u8]) -> Result<Credentials> {
        let text = self.open(&context(session), sealed)?;
        // What serde_json says may quote a value: only the place is told.
        let stored: Stored = serde_json::from_slice(&text).map_err(|error| {
            let what = format!(
                "{}: what was sealed has another shape than credentials (column {})",
                context(session),
                error.column()
            );
            Error::new(ErrorKind::Corrupt, Certainty::Permanent, OPEN).with_context(what)
        })?;
        Ok(stored.into())
    }
}

fn context(session: &SessionId) -> String {
    format!("session/{session}")
}

/// In a buffer of the right size from the start: one that grows leaves copies behind.
fn to_text(value: &Credentials) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let stored = Stored::from(value);
    let mut len = Len(0);
    serde_json::to_writer(&mut len, &stored)?;
    let mut text = Zeroizing::new(Vec::with_capacity(len.0));
    serde_json::to_writer(&mut *text, &stored)?;
    Ok(text)
}

struct Len(usize);

impl Write for Len {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    cookies: Vec<StoredCookie>,
    tokens: BTreeMap<String, Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct StoredCookie {
    name: String,
    value: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// A secret that may be written, here only.
struct Text(Secret);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl From<&Credentials> for Stored {
    fn from(value: &Credentials) -> Self {
        let Credentials { cookies, tokens, user_agent, expires_at } = value.clone();
        let cookie = |Cookie { name, value, domain, path, expires_at }| StoredCookie {
            name,
            value: Text(value),
            domain,
            path,
            expires_at,
        };
        let tokens = tokens.into_iter().map(|(name, token)| (name, Text(token))).collect();
        let cookies = cookies.into_iter().map(cookie).collect();
        Self { cookies, tokens, user_agent, expires_at }
    }
}

impl From<Stored> for Credentials {
    fn from(stored: Stored) -> Self {
        let Stored { cookies, tokens, user_agent, expires_at } = stored;
        let cookie = |StoredCookie { name, value: Text(value), domain, path, expires_at }| Cookie {
            name,
            value,
            domain,
            path,
            expires_at,
        };
        let tokens = tokens.into_iter().map(|(name, Text(token))| (name, token)).collect();
        let cookies = cookies.into_iter().map(cookie).collect();
        Self { cookies, tokens, user_agent, expires_at }
    }
}
