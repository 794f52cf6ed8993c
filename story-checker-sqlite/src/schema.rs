//! The versions of the file's schema, and how an older file becomes a newer one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use story_checker_core::{Certainty, Error, ErrorKind, Result};

use crate::error::Fail;

/// Marks a file as ours: "stch".
pub(crate) const APPLICATION_ID: i32 = 0x7374_6368;

/// Step `n` makes version `n + 1` of version `n`. What was released is never edited, only added to.
const STEPS: &[&str] = &[include_str!("schema/1_queue.sql"), include_str!("schema/2_sessions.sql")];

/// The version that this program reads and writes.
pub(crate) const VERSION: u32 = 2;

const _: () = assert!(STEPS.len() == VERSION as usize);

const OPERATION: &str = "open the store";

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// The version before; 0 is a new file.
    pub from: u32,
    /// The version now.
    pub to: u32,
}

/// The version of the file's schema.
pub(crate) fn version(sql: &Connection) -> rusqlite::Result<u32> {
    sql.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Says no to a file that somebody else made, or a newer version of this program.
fn check(sql: &Connection, path: &Path) -> Result<u32, Fail> {
    let refused = |kind, what: String| {
        let error = Error::new(kind, Certainty::Permanent, OPERATION);
        Fail::Port(error.with_context(format!("{}: {what}", path.display())))
    };
    let id: i32 = sql.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(sql)?;
    let tables: i64 = sql.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id != APPLICATION_ID && (id != 0 || tables > 0 || version > 0) {
        let what = "it is a SQLite file of another program; name another one";
        return Err(refused(ErrorKind::Corrupt, what.to_owned()));
    }
    if version > VERSION {
        let what = format!(
            "its schema has version {version}, this program knows versions up to {VERSION}; use \
             the newer program that made it"
        );
        return Err(refused(ErrorKind::Corrupt, what));
    }
    Ok(version)
}

/// Brings the file to this version's schema, if that is allowed or the file is new. Several
/// processes may do it at once: one does it, the others see it done.
pub(crate) fn migrate(sql: &mut Connection, path: &Path, allowed: bool) -> Result<Migrated, Fail> {
    let from = check(sql, path)?;
    if from == VERSION {
        return Ok(Migrated { from, to: from });
    }
    if !allowed && from > 0 {
        let what = format!(
            "{}: its schema has version {from}, this program needs {VERSION}; migrate it first",
            path.display()
        );
        return Err(Fail::Port(Error::invalid(OPERATION, what)));
    }
    let step = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have come first.
    let from = check(&step, path)?;
    for sql in STEPS.iter().skip(from as usize) {
        step.execute_batch(sql)?;
    }
    step.pragma_update(None, "application_id", APPLICATION_ID)?;
    step.pragma_update(None, "user_version", VERSION)?;
    step.commit()?;
    if from < VERSION {
        tracing::info!(path = %path.display(), from, to = VERSION, "migrated the store");
    }
    Ok(Migrated { from, to: VERSION })
}

/// The error of opening the file.
pub(crate) fn open_error(fail: Fail, path: &Path) -> Error {
    fail.into_error(OPERATION, path)
}
