//! The keys that seal sessions in a store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use story_checker_core::seal::Keyring;

use crate::progress::Voice;
use crate::settings::{KEY_VARIABLE, StoreAddress};

/// The keys for a store: of the file that was named, else of the environment, else those beside the
/// file of a store, which are made at first use.
///
/// # Errors
/// If there are none, or they cannot be read; the text says what to do.
pub(crate) fn keyring(
    address: &StoreAddress,
    named: Option<&Path>,
    voice: &Voice,
) -> anyhow::Result<Arc<Keyring>> {
    if let Some(path) = named {
        return Ok(Arc::new(Keyring::from_file(path)?));
    }
    let environment = Keyring::from_env(KEY_VARIABLE);
    if let Some(keys) = environment.with_context(|| format!("the variable {KEY_VARIABLE}"))? {
        return Ok(Arc::new(keys));
    }
    let StoreAddress::Sqlite(store) = address else {
        bail!(
            "{address} needs a key, which seals the sessions in it: make one with \
             `story-checker key new FILE`, and name it with --key-file FILE or put it into \
             {KEY_VARIABLE}; all processes that share the store need the same"
        );
    };
    let path = beside(store);
    if path.exists() {
        return Ok(Arc::new(Keyring::from_file(&path)?));
    }
    match Keyring::create_file(&path) {
        Ok(keys) => {
            voice.say(format_args!(
                "made a key, {}: without it nobody can read the sessions in {address}",
                path.display()
            ));
            Ok(Arc::new(keys))
        }
        // Another process may have been faster.
        Err(error) => match Keyring::from_file(&path) {
            Ok(keys) => Ok(Arc::new(keys)),
            Err(_) => Err(error.into()),
        },
    }
}

/// Where the keys of a store's file are if nobody says: beside it.
pub(crate) fn beside(store: &Path) -> PathBuf {
    let mut name = OsString::from(store);
    name.push(".key");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Progress;

    #[test]
    fn a_file_makes_its_own_key_once_and_a_server_asks_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreAddress::Sqlite(folder.path().join("jobs.db"));
        let voice = Voice::new(Progress::Never, true);
        let keys = keyring(&store, None, &voice).unwrap();
        let sealed = keys.seal("a", b"b").unwrap();
        assert!(folder.path().join("jobs.db.key").exists());
        assert!(keyring(&store, None, &voice).unwrap().open("a", &sealed).is_ok());
        let named = keyring(&store, Some(&folder.path().join("none.key")), &voice);
        assert!(named.unwrap_err().to_string().contains("none.key"));

        let server = "redis://:PLANTED@a.test".parse().unwrap();
        let error = keyring(&server, None, &voice).unwrap_err().to_string();
        assert!(error.starts_with("redis://[redacted]@a.test needs a key"), "{error}");
        assert!(keyring(&server, Some(&folder.path().join("jobs.db.key")), &voice).is_ok());
    }
}
