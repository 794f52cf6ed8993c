//! Notes the statements that run in tests of this crate.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(_, text) = event {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
    }
}

/// Notes all statements of a connection.
pub(crate) fn watched(mut sql: Connection) -> rusqlite::Result<Connection> {
    sql.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))?;
    Ok(sql)
}

/// Every statement that ran in this process.
pub(crate) fn seen() -> BTreeSet<String> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
