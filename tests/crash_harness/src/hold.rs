//! A process that holds the write lock of a SQLite file until it is killed.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use rusqlite::Connection;

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct HoldArgs {
    file: PathBuf,
}

/// Takes the lock, changes what must never be seen, and waits for its end: a SIGKILL, or that of
/// its standard input.
pub(crate) fn run(args: &HoldArgs) -> Result<()> {
    let connection = Connection::open(&args.file)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch(
        "BEGIN IMMEDIATE; CREATE TABLE held(x); INSERT INTO held VALUES (zeroblob(1000000));",
    )?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
