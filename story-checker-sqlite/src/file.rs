//! Opens connections to the file.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use story_checker_core::{Certainty, Error, ErrorKind, Result};

use crate::error::{Fail, is_busy};
use crate::options::Synchronous;
use crate::schema::{self, Migrated};

/// How many prepared statements a connection keeps: more than there are.
const STATEMENTS: usize = 256;

/// The log is cut to this size when it has been written back.
const LOG_LIMIT: i64 = 64 << 20;

/// The log is written back into the file when it has so many pages (16 MiB).
const CHECKPOINT_PAGES: i64 = 4_096;

/// Opens the file, makes it if it does not exist, and brings it to this version's schema.
pub(crate) fn open_writer(
    path: &Path,
    synchronous: Synchronous,
    migrate: bool,
    patience: Duration,
) -> Result<(Connection, Migrated)> {
    let fail = |fail: Fail| schema::open_error(fail, path);
    create(path)?;
    let mut sql = connect(path).map_err(|error| fail(error.into()))?;
    sql.busy_timeout(patience).map_err(|error| fail(error.into()))?;
    // Only an empty file takes these two.
    let layout = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";
    sql.execute_batch(layout).map_err(|error| fail(error.into()))?;
    write_ahead(&sql, path, patience)?;
    let settings = format!(
        "PRAGMA synchronous = {}; PRAGMA journal_size_limit = {LOG_LIMIT};
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA cache_size = -65536;
         PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;",
        synchronous.pragma()
    );
    sql.execute_batch(&settings).map_err(|error| fail(error.into()))?;
    let migrated = schema::migrate(&mut sql, path, migrate).map_err(fail)?;
    Ok((sql, migrated))
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path, patience: Duration) -> Result<Connection> {
    let open = || -> rusqlite::Result<Connection> {
        let sql = connect(path)?;
        sql.busy_timeout(patience)?;
        sql.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -16384;")?;
        Ok(sql)
    };
    open().map_err(|error| schema::open_error(error.into(), path))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // No URI: a path is a path, whatever is in its name.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    sql.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(sql)
}

/// Makes the file if there is none, for its owner alone: it holds sessions.
fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| {
        let what = format!(
            "{}: it cannot be opened for writing; check that its folder exists and that both may \
             be written",
            path.display()
        );
        Error::new(ErrorKind::Unavailable, Certainty::Permanent, "open the store")
            .with_context(what)
            .with_source(error)
    })
}

/// Switches the file to a write-ahead log, so that readers and the writer do not wait for each
/// other.
fn write_ahead(sql: &Connection, path: &Path, patience: Duration) -> Result<()> {
    let give_up = Instant::now() + patience;
    loop {
        let mode = sql.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let what = format!(
                    "{}: its file system allows no shared memory (journal mode {mode}); put it on \
                     a local disk",
                    path.display()
                );
                let error =
                    Error::new(ErrorKind::Unavailable, Certainty::Permanent, "open the store");
                return Err(error.with_context(what));
            }
            // SQLite does not wait here by itself when others open the file at the same time.
            Err(error) if is_busy(&error) && Instant::now() < give_up => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(schema::open_error(error.into(), path)),
        }
    }
}
