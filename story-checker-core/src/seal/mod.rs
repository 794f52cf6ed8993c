//! Secrets at rest: what a store keeps of a session is sealed with a key that it does not have.
//!
//! A [`Keyring`] holds one or more keys of 256 bits. The first one seals, all of them open: a new
//! key is put in front, everything is sealed again, and the old one is taken out. What is sealed
//! carries the id of its key, so that no key is ever tried in vain, and is bound to a *context*
//! (which session it belongs to): moved to another row of the store it does not open.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). Its nonces of 24 bytes are
//! random, which is safe for any number of messages under one key; AES-GCM, whose nonce has 12
//! bytes, would need a counter that all processes share.

mod credentials;
mod file;
mod keys;

use std::fmt;

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use self::keys::{Key, is_key_id, no_random};
use crate::error::{Certainty, Error, ErrorKind, Result};
use crate::secret::Secret;

const SEAL: &str = "seal a secret";
const OPEN: &str = "open a sealed secret";

/// The first byte of all that is sealed: the format.
const FORMAT: u8 = 1;
/// No id has it.
const END_OF_ID: u8 = b':';
const NONCE: usize = 24;
const TAG: usize = 16;

/// The keys that seal secrets at rest.
///
/// As text it has one key per line, `id:key`, the key as 64 hexadecimal digits or as base64; `#`
/// starts a comment. Several keys may share a line, divided by commas, which an environment
/// variable needs.
///
/// # Examples
/// ```
/// use story_checker_core::seal::Keyring;
///
/// # fn main() -> story_checker_core::Result<()> {
/// let line = Keyring::generate()?;
/// let keys = Keyring::parse(line.expose())?;
/// let sealed = keys.seal("session/main", b"cookies")?;
/// assert_eq!(keys.open("session/main", &sealed)?.as_slice(), b"cookies");
/// assert!(keys.open("session/other", &sealed).is_err());
/// # Ok(())
/// # }
/// ```
pub struct Keyring {
    /// Never empty.
    keys: Vec<Key>,
}

impl Keyring {
    /// Reads keys from their text form.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: names the line and what is wrong with it, never what it says.
    pub fn parse(text: &str) -> Result<Self> {
        keys::parse(text).map(|keys| Self { keys })
    }

    /// A new random key, as one line of the text form.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the system gives no random numbers.
    pub fn generate() -> Result<Secret> {
        keys::generate()
    }

    /// The ids of the keys; the first one seals.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Seals bytes with the first key. Only [`Keyring::open`] with the same context opens them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the system gives no random numbers.
    pub fn seal(&self, context: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let key = &self.keys[0];
        let nonce = XNonce::try_generate().map_err(|error| no_random(SEAL, error))?;
        let mut sealed = Vec::with_capacity(2 + key.id.len() + NONCE + bytes.len() + TAG);
        sealed.push(FORMAT);
        sealed.extend_from_slice(key.id.as_bytes());
        sealed.push(END_OF_ID);
        let aad = &associated(&sealed, context);
        let ciphertext = key.cipher().encrypt(&nonce, Payload { msg: bytes, aad });
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext.map_err(|_| {
            Error::invalid(SEAL, format!("{} bytes are more than can be sealed", bytes.len()))
        })?);
        Ok(sealed)
    }

    /// Opens what was sealed for this context.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it was changed, belongs to another context, or was sealed with a
    /// key that is not here; says which.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let parts = Parts::of(sealed).map_err(|what| corrupt(context, what))?;
        let Some(key) = self.keys.iter().find(|key| key.id == parts.key) else {
            let ids: Vec<_> = self.ids().collect();
            let what = format!(
                "it was sealed with the key `{}`, which is not in the key ring (there: {}); add the \
                 line of that key",
                parts.key,
                ids.join(", ")
            );
            return Err(corrupt(context, what));
        };
        let aad = &associated(parts.head, context);
        let payload = Payload { msg: parts.ciphertext, aad };
        key.cipher().decrypt(&parts.nonce, payload).map(Zeroizing::new).map_err(|_| {
            let what = format!(
                "it does not open with the key `{}`: it was changed, belongs elsewhere, or another \
                 key goes by that id",
                parts.key
            );
            corrupt(context, what)
        })
    }

    /// Whether something was sealed with the first key. If not, it is to be sealed again before the
    /// older keys are taken away.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        Parts::of(sealed).is_ok_and(|parts| parts.key == self.keys[0].id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// Something sealed, taken apart: format, id of the key and its end (the head), nonce, ciphertext
/// with its tag.
struct Parts<'a> {
    head: &'a [u8],
    key: &'a str,
    nonce: XNonce,
    ciphertext: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Result<Self, String> {
        const SHORT: &str = "it is too short for something sealed";
        let (&format, rest) = sealed.split_first().ok_or(SHORT)?;
        if format != FORMAT {
            return Err(format!(
                "its format is {format}, this version of story-checker knows only {FORMAT}: it is \
                 not sealed, damaged, or of a newer version"
            ));
        }
        let end = rest.iter().position(|byte| *byte == END_OF_ID).ok_or(SHORT)?;
        let (id, rest) = (&rest[..end], &rest[end + 1..]);
        let key = str::from_utf8(id).ok().filter(|id| is_key_id(id));
        let key = key.ok_or("the id of its key is damaged")?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(SHORT)?;
        if ciphertext.len() < TAG {
            return Err(SHORT.into());
        }
        let head = &sealed[..2 + id.len()];
        Ok(Self { head, key, nonce: XNonce::from(*nonce), ciphertext })
    }
}

/// What is authenticated beside the secret: the head, so that nothing of it can be changed, and the
/// context. The head ends where its mark stands, so no two pairs give the same bytes.
fn associated(head: &[u8], context: &str) -> Vec<u8> {
    [head, context.as_bytes()].concat()
}

fn corrupt(context: &str, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, Certainty::Permanent, OPEN)
        .with_context(format!("{context}: {what}"))
}

impl Key {
    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

#[cfg(test)]
mod tests;
