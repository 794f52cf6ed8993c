//! `story-checker key`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;
use story_checker_core::queue::MAX_ITEMS;
use story_checker_core::seal::Keyring;
use story_checker_core::session::{PutReply, SessionStore};

use super::{Admin, counted};
use crate::args::{ChangeArgs, KeyCommand};
use crate::documents;
use crate::keys;
use crate::settings::{KEY_VARIABLE, StoreAddress};
use crate::stores::{self, StoreOptions};

/// So often sessions that change meanwhile are looked at.
const ROUNDS: usize = 5;

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or a file or the store fails.
pub(crate) fn key(command: &KeyCommand) -> anyhow::Result<u8> {
    match command {
        KeyCommand::New { file } => new(file.as_deref()),
        KeyCommand::Rotate { reseal, change } => rotate(*reseal, change),
    }
}

fn new(file: Option<&Path>) -> anyhow::Result<u8> {
    let Some(path) = file else {
        let line = Keyring::generate()?;
        return documents::print(format!("{}\n", line.expose()).as_bytes())
            .context("cannot write the key");
    };
    let keys = Keyring::create_file(path)?;
    let id = keys.ids().next().unwrap_or_default();
    let text =
        format!("made the key {id} in {}; keep a copy of it in another place\n", path.display());
    documents::print(text.as_bytes()).context("cannot write the answer")
}

fn rotate(reseal: bool, change: &ChangeArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&change.look.store, change.look.json)?;
    admin.run(async {
        let file = key_file(&admin);
        if !reseal {
            let Some(path) = &file else {
                bail!(
                    "the keys of {} are in {KEY_VARIABLE}: put a line of `story-checker key new` in \
                     front of them, divided by a comma, wherever the store is used; then run `key \
                     rotate --reseal`",
                    admin.address
                );
            };
            let what = format!(
                "put a new key in front in {}, and seal the sessions of {} with it",
                path.display(),
                admin.address
            );
            admin.confirm(change.yes, &what)?;
            Keyring::renew_file(path)?;
        }
        let options = StoreOptions { key_file: file, ..StoreOptions::of(&admin.settings) };
        let stores = stores::open(&admin.address, &options, &admin.voice).await?;
        let sealed = seal_again(&admin, &*stores.sessions).await?;
        let text = || {
            format!(
                "{} sealed with the first key; the older keys may be taken away when every process \
                 and every backup is done with them\n",
                counted(sealed, "session")
            )
        };
        admin.answer(|| json!({"sealed": sealed}), text)?;
        Ok(0)
    })
}

/// The file that holds the keys; none if they are in the environment.
fn key_file(admin: &Admin) -> Option<PathBuf> {
    if let Some(path) = &admin.settings.key_file {
        return Some(path.clone());
    }
    let in_environment = std::env::var_os(KEY_VARIABLE).is_some_and(|keys| !keys.is_empty());
    match &admin.address {
        StoreAddress::Sqlite(path) if !in_environment => Some(keys::beside(path)),
        _ => None,
    }
}

/// Stores every session as it is: whatever is stored is sealed with the first key. One that changes
/// meanwhile is stored by whoever changed it, who may have older keys: it is looked at again.
async fn seal_again(admin: &Admin, store: &dyn SessionStore) -> anyhow::Result<u64> {
    let mut sealed = 0;
    let mut conflicts = true;
    for _ in 0..ROUNDS {
        if !conflicts {
            return Ok(sealed);
        }
        (sealed, conflicts) = (0, false);
        let mut after = None;
        loop {
            let page = store.list(after, MAX_ITEMS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for reply in store.put(page).await? {
                match reply {
                    PutReply::Stored { .. } => sealed += 1,
                    // None of that name: it was removed.
                    PutReply::Conflict { stored } => conflicts |= stored > 0,
                    _ => conflicts = true,
                }
            }
            admin.voice.step(format_args!("{} sealed", counted(sealed, "session")), false);
        }
    }
    match conflicts {
        false => Ok(sealed),
        true => {
            bail!("sessions change all the time: stop the workers, then say `key rotate --reseal`")
        }
    }
}
