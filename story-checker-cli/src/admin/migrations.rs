//! `story-checker migrate`.

use std::path::Path;

use anyhow::bail;
use serde_json::json;
use story_checker_core::ErrorKind;
use story_checker_sqlite::{SqliteOptions, SqliteStore};

use super::Admin;
use crate::args::MigrateCommand;
use crate::settings::StoreAddress;

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(crate) fn migrate(command: &MigrateCommand) -> anyhow::Result<u8> {
    let (MigrateCommand::Status { look } | MigrateCommand::Up { look }) = command;
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        match (&admin.address, command) {
            (StoreAddress::Sqlite(path), MigrateCommand::Status { .. }) => {
                status(&admin, path).await
            }
            (StoreAddress::Sqlite(path), MigrateCommand::Up { .. }) => up(&admin, path).await,
            _ => {
                // Said only of a store that can be reached.
                admin.queue().await?;
                let text =
                    || format!("{}: it has no schema that needs a migration\n", admin.address);
                admin.answer(|| json!({"up_to_date": true}), text)?;
                Ok(0)
            }
        }
    })
}

async fn status(admin: &Admin, path: &Path) -> anyhow::Result<u8> {
    // Looking at a store must not make one.
    if !path.exists() {
        bail!("there is no file {}", path.display());
    }
    let mut options = SqliteOptions::default();
    options.migrate = false;
    match SqliteStore::open(path, options).await {
        Ok(store) => {
            let version = store.schema_version().await?;
            let text = || format!("{}: schema {version}, up to date\n", admin.address);
            admin.answer(|| json!({"version": version, "up_to_date": true}), text)?;
            Ok(0)
        }
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let text = || format!("{error}\nstory-checker migrate up --store {}\n", admin.address);
            admin.answer(|| json!({"up_to_date": false, "why": error.to_string()}), text)?;
            Ok(1)
        }
        Err(error) => Err(error.into()),
    }
}

async fn up(admin: &Admin, path: &Path) -> anyhow::Result<u8> {
    let done = story_checker_sqlite::migrate(path).await?;
    let text = || match done.from {
        0 => format!("{}: made with schema {}\n", admin.address, done.to),
        from if from == done.to => format!("{}: schema {from}, up to date\n", admin.address),
        from => format!("{}: brought from schema {from} to {}\n", admin.address, done.to),
    };
    admin.answer(|| json!({"from": done.from, "to": done.to}), text)?;
    Ok(0)
}
