//! Keys in a file or an environment variable.

use std::env::{self, VarError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Keyring;
use crate::error::{Certainty, Error, ErrorKind, Result};

const READ: &str = "read the key file";
const WRITE: &str = "write the key file";

/// A file of keys is some hundred bytes long.
const MAX_FILE: u64 = 65_536;

const HEAD: &str = "# Keys of story-checker: they seal the secrets of sessions. The first one seals, all open.\n\
                    # Keep a copy apart from the store's own backups: without it the sessions are lost.\n";

impl Keyring {
    /// Reads the keys of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it cannot be read; [`ErrorKind::Invalid`] if others than its
    /// owner may read or write it, or as [`Keyring::parse`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read(path)?).map_err(|error| in_place(path.display().to_string(), error))
    }

    /// Reads the keys that an environment variable holds; none if it is not set.
    ///
    /// # Errors
    /// As [`Keyring::parse`].
    pub fn from_env(variable: &str) -> Result<Option<Self>> {
        let text = match env::var(variable) {
            Ok(text) => Zeroizing::new(text),
            Err(VarError::NotPresent) => return Ok(None),
            Err(VarError::NotUnicode(_)) => {
                return Err(Error::invalid(READ, format!("${variable} is not UTF-8")));
            }
        };
        Self::parse(&text).map(Some).map_err(|error| in_place(format!("${variable}"), error))
    }

    /// Makes a file with one new key, which only its owner may read. An existing file is never
    /// touched.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is such a file; [`ErrorKind::Unavailable`] if it cannot be
    /// written.
    pub fn create_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let line = Self::generate()?;
        let text = Zeroizing::new(format!("{HEAD}{}\n", line.expose()));
        write_new(path, &text).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                let what = format!(
                    "{} exists, and what its keys sealed would be lost; choose another name, or \
                     put a new key in front of it",
                    path.display()
                );
                return Error::invalid(WRITE, what);
            }
            unwritten(path, error)
        })?;
        Self::parse(&text)
    }

    /// Puts a new key in front of those in a file: from now on it seals, and all open. The file is
    /// replaced in one step. Returns all keys.
    ///
    /// # Errors
    /// As [`Keyring::from_file`] and [`Keyring::create_file`].
    pub fn renew_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let old = read(path)?;
        Self::parse(&old).map_err(|error| in_place(path.display().to_string(), error))?;
        let line = Self::generate()?;
        let body = old.strip_prefix(HEAD).unwrap_or(&old);
        let text = Zeroizing::new(format!("{HEAD}{}\n{body}", line.expose()));
        let beside = beside(path);
        write_new(&beside, &text)
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| sync_folder(path))
            .map_err(|error| unwritten(path, error))?;
        Self::parse(&text)
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let unread = |error: io::Error| {
        Error::new(ErrorKind::Unavailable, Certainty::Permanent, READ)
            .with_context(path.display().to_string())
            .with_source(error)
    };
    let file = File::open(path).map_err(unread)?;
    let metadata = file.metadata().map_err(unread)?;
    check_mode(path, &metadata)?;
    if metadata.len() > MAX_FILE {
        let what = format!("{} is too large for a key file", path.display());
        return Err(Error::invalid(READ, what));
    }
    // Room for all of it, so that no copy of a part stays behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(MAX_FILE).read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let what =
        format!("{path} may be used by others than its owner (mode {mode:o}): chmod 600 {path}");
    Err(Error::invalid(READ, what))
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<()> {
    Ok(())
}

/// Writes a file that does not exist yet, down to the disk: a key that is lost is lost with all it
/// sealed.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key helps nobody; it was made here.
        let _ = fs::remove_file(path);
    }
    written.and_then(|()| sync_folder(path))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, Certainty::Permanent, WRITE)
        .with_context(path.display().to_string())
        .with_source(error)
}

/// An error about the text, with the place of the text.
fn in_place(place: String, error: Error) -> Error {
    Error::new(error.kind(), error.certainty(), READ).with_context(place).with_source(error)
}
