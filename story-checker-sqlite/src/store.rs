//! The file as a whole.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use story_checker_core::proxy::ProxySource;
use story_checker_core::seal::Keyring;
use story_checker_core::{Error, Result};
use tokio::sync::Notify;

use crate::cache::SqliteCache;
use crate::file::{open_reader, open_writer};
use crate::options::SqliteOptions;
use crate::proxy::SqliteProxySource;
use crate::queue::SqliteJobQueue;
use crate::reader::Reader;
use crate::schema::{self, Migrated};
use crate::session::SqliteSessionStore;
use crate::writer::{Thread, Writer, closed};

/// One SQLite file that keeps jobs, sessions, proxy states and a cache.
///
/// Several processes may have it open. Clones share their threads; these end, with everything
/// written, when the last clone and everything made from them is gone.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    path: Arc<PathBuf>,
    name: Arc<str>,
    options: SqliteOptions,
    writer: Writer,
    readers: [Reader; 2],
    changed: Arc<Notify>,
}

impl SqliteStore {
    /// Opens the file; makes it, for its owner alone, if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](story_checker_core::ErrorKind::Unavailable) if it cannot be
    /// opened or written, [`ErrorKind::Corrupt`](story_checker_core::ErrorKind::Corrupt) if it is
    /// damaged, foreign or of a newer version. The text names the file and the next step.
    ///
    /// # Cancel safety
    /// Safe: an opening that nobody waits for is closed again.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = Arc::new(checked(path.as_ref())?);
        blocking("open the store", move || Self::open_now(path, options)).await
    }

    fn open_now(path: Arc<PathBuf>, options: SqliteOptions) -> Result<Self> {
        let SqliteOptions { synchronous, migrate, patience, .. } = options;
        let (sql, _) = open_writer(&path, synchronous, migrate, patience)?;
        let reader = || Reader::start(open_reader(&path, patience)?, Arc::clone(&path));
        let readers = [reader()?, reader()?];
        let changed = Arc::new(Notify::new());
        let writer = Writer::start(Thread {
            sql,
            path: Arc::clone(&path),
            clock: Arc::clone(&options.clock),
            patience,
            changed: Arc::clone(&changed),
        })?;
        let name = path.display().to_string().into();
        Ok(Self { path, name, options, writer, readers, changed })
    }

    /// The jobs in the file.
    #[must_use]
    pub fn queue(&self) -> SqliteJobQueue {
        SqliteJobQueue::new(
            Arc::clone(&self.name),
            self.writer.clone(),
            self.readers.clone(),
            Arc::clone(&self.options.clock),
            Arc::clone(&self.changed),
            self.options.retention,
        )
    }

    /// The sessions in the file, with their credentials sealed by these keys.
    #[must_use]
    pub fn sessions(&self, keys: Arc<Keyring>) -> SqliteSessionStore {
        let (name, writer) = (Arc::clone(&self.name), self.writer.clone());
        SqliteSessionStore::new(name, writer, self.readers[0].clone(), keys)
    }

    /// The list of another source, with the proxies' states in the file.
    #[must_use]
    pub fn proxies(&self, list: Arc<dyn ProxySource>) -> SqliteProxySource {
        let (name, writer) = (Arc::clone(&self.name), self.writer.clone());
        SqliteProxySource::new(name, writer, self.readers[0].clone(), list)
    }

    /// The cache in the file.
    #[must_use]
    pub fn cache(&self) -> SqliteCache {
        SqliteCache::new(
            Arc::clone(&self.name),
            self.writer.clone(),
            self.readers[0].clone(),
            Arc::clone(&self.options.clock),
            self.options.cache_entries,
        )
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the file's schema.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](story_checker_core::ErrorKind::Unavailable) if it cannot be read.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn schema_version(&self) -> Result<u32> {
        let read = |sql: &_| Ok(schema::version(sql)?);
        self.readers[0].ask("read the schema's version", read).await
    }
}

impl fmt::Display for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Brings a file to this version's schema and closes it again; makes it if there is none.
///
/// # Errors
/// As [`SqliteStore::open`].
///
/// # Cancel safety
/// Goes on when nobody waits for it; calling it again does no harm.
pub async fn migrate(path: impl AsRef<Path>) -> Result<Migrated> {
    let path = checked(path.as_ref())?;
    let SqliteOptions { synchronous, patience, .. } = SqliteOptions::default();
    let migrate = move || open_writer(&path, synchronous, true, patience);
    Ok(blocking("migrate the store", migrate).await?.1)
}

/// SQLite takes some names for something else than a file.
fn checked(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        let what = format!("{path:?} is not the name of a file");
        return Err(Error::invalid("open the store", what));
    }
    Ok(path.to_owned())
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(closed(operation)))
}
