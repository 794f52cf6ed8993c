//! From session files into a store that several processes share.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use story_checker_core::session::{
    PutReply, SessionKind, SessionRecord, SessionState, SessionStore,
};
use story_checker_core::{Secret, SessionId};

use crate::credentials::is_same;
use crate::progress::Voice;

/// Under this name a stored session remembers the file that it came from.
const MARK: &str = "imported";

/// How often to look again when another process puts sessions in at the same time.
const TRIES: usize = 5;

/// Puts sessions into a store: new ones, and those whose file has changed since. Of all others the
/// store knows more than their files: their cookies and tokens go on changing there.
///
/// # Errors
/// If the store cannot be reached, or holds another account's session by the name of one of these.
pub(crate) async fn take_in(
    store: &dyn SessionStore,
    mut records: Vec<SessionRecord>,
    voice: &Voice,
) -> anyhow::Result<TakenIn> {
    records.iter_mut().for_each(remember_file);
    for _ in 0..TRIES {
        let stored = all(store).await?;
        let (mut changed, mut taken) = (Vec::new(), TakenIn::default());
        for record in &records {
            match place(&stored, record)? {
                Place::Changed(version) => {
                    match version {
                        0 => taken.new += 1,
                        _ => taken.changed += 1,
                    }
                    let mut record = record.clone();
                    record.version = version;
                    changed.push(record);
                }
                Place::Known(known) => {
                    taken.known += 1;
                    mention(&record.id, known, voice);
                }
            }
        }
        let replies = store.put(changed).await.context("cannot store the sessions")?;
        if replies.iter().all(|reply| matches!(reply, PutReply::Stored { .. })) {
            let kinds = stored.into_values().chain(records).map(|record| record.kind);
            taken.kinds = kinds.collect();
            return Ok(taken);
        }
    }
    bail!("cannot store the sessions: other processes keep changing them; try again")
}

/// What became of sessions that were put into a store.
#[derive(Debug, Default)]
pub(crate) struct TakenIn {
    /// The kinds of all sessions in the store.
    pub(crate) kinds: BTreeSet<SessionKind>,
    /// Were not there before.
    pub(crate) new: usize,
    /// Had another login before.
    pub(crate) changed: usize,
    /// Were there, and stay as they are.
    pub(crate) known: usize,
}

/// Lets a session tell later which state of its file it came from.
pub(crate) fn remember_file(record: &mut SessionRecord) {
    let mark = Secret::new(fingerprint(record));
    let mut credentials = (*record.credentials).clone();
    credentials.tokens.insert(MARK.to_owned(), mark);
    record.credentials = credentials.into();
}

/// Where a session stands in a store.
enum Place<'a> {
    /// It is new there (version 0), or came from another state of its file.
    Changed(u64),
    /// It is there.
    Known(&'a SessionRecord),
}

fn place<'a>(
    stored: &'a BTreeMap<SessionId, SessionRecord>,
    record: &SessionRecord,
) -> anyhow::Result<Place<'a>> {
    let Some(known) = stored.get(&record.id) else {
        let twin =
            stored.values().find(|known| mark(known) == mark(record) || is_same(known, record));
        return Ok(twin.map_or(Place::Changed(0), Place::Known));
    };
    if mark(known) == mark(record) {
        return Ok(Place::Known(known));
    }
    if known.kind != record.kind || owner(known) != owner(record) {
        bail!(
            "session {}: the store has a session of another account by this name; rename the file",
            record.id
        );
    }
    Ok(Place::Changed(known.version))
}

/// Tells that a session is known by another name, or that only its owner can bring it back.
fn mention(id: &SessionId, known: &SessionRecord, voice: &Voice) {
    if known.id != *id {
        voice.say(format_args!(
            "session {id}: the store has it as {}, and it is used once",
            known.id
        ));
    }
    if let SessionState::Challenged { reason }
    | SessionState::NeedsLogin { reason }
    | SessionState::Suspended { reason } = &known.state
    {
        let state = known.state.as_str().replace('_', " ");
        voice.say(format_args!(
            "session {id} is out of use in the store ({state}): {reason}; export it again once that \
             is settled"
        ));
    }
}

/// All sessions of a store by name.
///
/// # Errors
/// If the store cannot be reached, or one cannot be opened.
pub(crate) async fn all(
    store: &dyn SessionStore,
) -> anyhow::Result<BTreeMap<SessionId, SessionRecord>> {
    let mut stored = BTreeMap::new();
    loop {
        let after = stored.last_key_value().map(|(id, _): (&SessionId, _)| id.clone());
        let page = store.list(after, 512).await.context("cannot read the sessions of the store")?;
        if page.is_empty() {
            return Ok(stored);
        }
        stored.extend(page.into_iter().map(|record| (record.id.clone(), record)));
    }
}

fn mark(record: &SessionRecord) -> Option<&Secret> {
    record.credentials.tokens.get(MARK)
}

/// Whose session it is, as far as it says.
pub(crate) fn owner(record: &SessionRecord) -> Option<&str> {
    let cookie = record.credentials.cookie("ds_user_id").map(|cookie| cookie.value.expose());
    cookie.or(record.account.as_deref())
}

/// Tells one state of a session file from another: FNV-1a, which is the same on every machine. It
/// is sealed in the store with what it was made of.
fn fingerprint(record: &SessionRecord) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let credentials = &record.credentials;
    for cookie in &credentials.cookies {
        add(&cookie.name);
        add(cookie.value.expose());
        add(&cookie.expires_at.map_or_else(String::new, |at| at.to_string()));
    }
    for (name, token) in &credentials.tokens {
        add(name);
        add(token.expose());
    }
    add(credentials.user_agent.as_deref().unwrap_or_default());
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use story_checker_core::SystemClock;
    use story_checker_core::session::{Cookie, Credentials, InMemorySessionStore};

    use super::*;
    use crate::settings::Progress;

    fn session(id: &str, user: &str, login: &str) -> SessionRecord {
        let cookies = vec![Cookie::new("ds_user_id", user), Cookie::new("sessionid", login)];
        SessionRecord::new(
            id.into(),
            SessionKind::from_static("instagram-web"),
            Credentials::from_cookies(cookies),
        )
    }

    async fn put(store: &InMemorySessionStore, session: SessionRecord) -> anyhow::Result<()> {
        let voice = Voice::new(Progress::Never, true);
        take_in(store, vec![session], &voice).await.map(drop)
    }

    #[tokio::test]
    async fn what_the_store_has_learnt_stays_until_the_file_changes() {
        let store = InMemorySessionStore::new(Arc::new(SystemClock::new()));
        put(&store, session("a", "1", "one")).await.unwrap();
        let mut learnt = store.list(None, 9).await.unwrap().remove(0);
        learnt.state = SessionState::NeedsLogin { reason: "logged out".into() };
        store.put(vec![learnt]).await.unwrap();

        put(&store, session("a", "1", "one")).await.unwrap();
        put(&store, session("renamed", "1", "one")).await.unwrap();
        let all = store.list(None, 9).await.unwrap();
        assert_eq!((all.len(), all[0].state.as_str()), (1, "needs_login"));

        put(&store, session("a", "1", "two")).await.unwrap();
        let all = store.list(None, 9).await.unwrap();
        assert_eq!((all.len(), &all[0].state), (1, &SessionState::Valid));
        assert_eq!(all[0].credentials.cookie("sessionid").unwrap().value.expose(), "two");
    }

    #[tokio::test]
    async fn the_name_of_another_accounts_session_is_refused() {
        let store = InMemorySessionStore::new(Arc::new(SystemClock::new()));
        put(&store, session("cookies", "1", "one")).await.unwrap();
        let error = put(&store, session("cookies", "2", "two")).await.unwrap_err().to_string();
        assert!(
            error.starts_with("session cookies: the store has a session of another"),
            "{error}"
        );
    }
}
