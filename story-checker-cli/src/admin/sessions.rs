//! `story-checker sessions`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use story_checker_core::session::{PutReply, SessionRecord, SessionState, SessionStore};
use story_checker_core::{SessionId, Timestamp};

use super::{Admin, counted, validate};
use crate::args::{ChangeArgs, LookArgs, SessionsCommand};
use crate::{credentials, sessions};

/// The words of all states.
const STATES: [&str; 7] =
    ["challenged", "cooling_down", "expired", "needs_login", "retired", "suspended", "valid"];

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or a file or the store fails.
pub(crate) fn sessions(command: &SessionsCommand) -> anyhow::Result<u8> {
    match command {
        SessionsCommand::Import { paths, look } => import(paths, look),
        SessionsCommand::List { kind, state, look } => {
            list(kind.as_deref(), state.as_deref(), look)
        }
        SessionsCommand::Validate(args) => validate::validate(args),
        SessionsCommand::Reinstate { id, file, look } => reinstate(id, file.as_deref(), look),
        SessionsCommand::Remove { ids, change } => remove(ids, change),
    }
}

fn import(paths: &[PathBuf], look: &LookArgs) -> anyhow::Result<u8> {
    let found = credentials::sessions(paths)?;
    let admin = Admin::new(&look.store, look.json)?;
    found.warnings.iter().for_each(|warning| admin.voice.say(warning));
    admin.run(async {
        let stores = admin.stores().await?;
        let taken = sessions::take_in(&*stores.sessions, found.records, &admin.voice).await?;
        let json = || json!({"new": taken.new, "changed": taken.changed, "known": taken.known});
        let text = || {
            let mut text = counted(taken.new as u64, "session") + " imported";
            if taken.changed > 0 {
                text.push_str(&format!("; {} with a new login", taken.changed));
            }
            if taken.known > 0 {
                text.push_str(&format!(
                    "; {} known, which the store keeps as they are",
                    taken.known
                ));
            }
            text + "\n"
        };
        admin.answer(json, text)?;
        Ok(u8::from(taken.new + taken.changed == 0))
    })
}

fn list(kind: Option<&str>, state: Option<&str>, look: &LookArgs) -> anyhow::Result<u8> {
    let state = state.map(|state| state.replace([' ', '-'], "_"));
    if let Some(state) = &state
        && !STATES.contains(&state.as_str())
    {
        bail!("there is no state {state:?} of sessions; there are: {}", STATES.join(", "));
    }
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let stores = admin.stores().await?;
        let mut all: Vec<_> = sessions::all(&*stores.sessions).await?.into_values().collect();
        all.retain(|session| {
            kind.is_none_or(|kind| session.kind.as_str() == kind)
                && state.as_ref().is_none_or(|state| session.state.as_str() == state)
        });
        let json = || json!({"sessions": all.iter().map(json_of).collect::<Vec<_>>()});
        let header = ["SESSION", "KIND", "STATE", "UNTIL", "HOME PROXY", "USED", "WHY"];
        admin.rows(json, &header, || all.iter().map(|session| row(&admin, session)).collect())?;
        if all.is_empty() {
            let address = &admin.address;
            admin
                .voice
                .say(format_args!("no such sessions in {address}: sessions import brings some"));
        }
        Ok(0)
    })
}

/// The cause of a state, and when it ends by itself.
pub(super) fn why(state: &SessionState) -> (&str, Option<Timestamp>) {
    match state {
        SessionState::Challenged { reason }
        | SessionState::NeedsLogin { reason }
        | SessionState::Suspended { reason } => (reason, None),
        SessionState::CoolingDown { until, reason } => (reason, Some(*until)),
        SessionState::Expired => ("its login is past its own end", None),
        _ => ("", None),
    }
}

/// Everything but what is secret.
fn json_of(session: &SessionRecord) -> Value {
    let (cause, until) = why(&session.state);
    json!({
        "session": session.id, "kind": session.kind, "account": session.account,
        "state": session.state.as_str(), "cause": cause, "until": until,
        "home_proxy": session.home_proxy, "last_used": session.last_used,
        "ends_at": session.credentials.expires_at,
    })
}

fn row(admin: &Admin, session: &SessionRecord) -> Vec<String> {
    let (cause, until) = why(&session.state);
    vec![
        session.id.to_string(),
        session.kind.to_string(),
        word(&session.state),
        until.map(|at| admin.when(at)).unwrap_or_default(),
        session.home_proxy.as_ref().map(ToString::to_string).unwrap_or_default(),
        session.last_used.map_or_else(|| "never".to_owned(), |at| admin.ago(at)),
        cause.to_owned(),
    ]
}

/// A state as people read it.
pub(super) fn word(state: &SessionState) -> String {
    state.as_str().replace('_', " ")
}

/// The session of this name.
pub(super) fn named<'a>(
    admin: &Admin,
    all: &'a BTreeMap<SessionId, SessionRecord>,
    id: &str,
) -> anyhow::Result<&'a SessionRecord> {
    const TOLD: usize = 10;
    let known = all.get(&SessionId::new(id));
    known.with_context(|| {
        let mut there: Vec<_> = all.keys().take(TOLD).map(SessionId::as_str).collect();
        if all.len() > TOLD {
            there.push("...");
        }
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        format!("there is no session {id:?} in {}; there: {there}", admin.address)
    })
}

fn reinstate(id: &str, file: Option<&Path>, look: &LookArgs) -> anyhow::Result<u8> {
    let login = file.map(login).transpose()?;
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let stores = admin.stores().await?;
        let all = sessions::all(&*stores.sessions).await?;
        let known = named(&admin, &all, id)?;
        let was = word(&known.state);
        let mut record = known.clone();
        match login {
            Some(login) => {
                if login.kind != known.kind || sessions::owner(&login) != sessions::owner(known) {
                    bail!(
                        "session {id}: the file holds a session of another account or kind; import \
                         it under a name of its own"
                    );
                }
                (record.credentials, record.account) = (login.credentials, login.account);
            }
            None => match &known.state {
                SessionState::Valid => bail!("session {id} may be used already"),
                SessionState::NeedsLogin { .. } | SessionState::Expired => bail!(
                    "session {id} has no login any more ({was}): log in again, export the session, \
                     and say --with FILE"
                ),
                _ => {}
            },
        }
        record.state = SessionState::Valid;
        store(&*stores.sessions, record).await?;
        let json = || json!({"session": id, "was": known.state.as_str(), "state": "valid"});
        admin.answer(json, || format!("session {id}: valid; it was {was}\n"))?;
        Ok(0)
    })
}

/// The one session of a file.
fn login(path: &Path) -> anyhow::Result<SessionRecord> {
    let mut found = credentials::sessions(&[path.to_owned()])?.records;
    match (found.pop(), found.len()) {
        (Some(mut record), 0) => {
            sessions::remember_file(&mut record);
            Ok(record)
        }
        (_, more) => bail!(
            "{} holds {} sessions, and one is needed",
            crate::settings::shown(&path.display().to_string()),
            more + 1
        ),
    }
}

async fn store(sessions: &dyn SessionStore, record: SessionRecord) -> anyhow::Result<()> {
    let id = record.id.clone();
    match sessions.put(vec![record]).await?.first() {
        Some(PutReply::Stored { .. }) => Ok(()),
        _ => bail!("session {id} has just been changed by a worker: look at it and try again"),
    }
}

fn remove(ids: &[String], change: &ChangeArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&change.look.store, change.look.json)?;
    admin.run(async {
        let stores = admin.stores().await?;
        let all = sessions::all(&*stores.sessions).await?;
        for id in ids {
            named(&admin, &all, id)?;
        }
        let what = match ids {
            [one] => format!("remove session {one} from {}", admin.address),
            many => format!("remove {} sessions from {}", many.len(), admin.address),
        };
        admin.confirm(change.yes, &what)?;
        let ids: Vec<_> = ids.iter().map(|id| SessionId::new(id.as_str())).collect();
        let removed = stores.sessions.remove(&ids).await?;
        let removed = removed.into_iter().filter(|removed| *removed).count();
        let text = || counted(removed as u64, "session") + " removed\n";
        admin.answer(|| json!({"removed": removed}), text)?;
        Ok(u8::from(removed == 0))
    })
}
