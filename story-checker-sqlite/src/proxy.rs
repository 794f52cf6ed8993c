//! The proxies' states.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Row, params};
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState};
use story_checker_core::{Error, ProxyId, Result};

use crate::error::corrupt;
use crate::reader::Reader;
use crate::tx::Tx;
use crate::writer::Writer;

/// How often to look whether the operator has taken a proxy out of use, or brought one back.
const LOOK: Duration = Duration::from_secs(2);

/// Proxies that the operator has spoken about, and whether they may be used.
type Words = BTreeMap<ProxyId, bool>;

/// The list of another source, with the proxies' states in a file: see
/// [`SqliteStore::proxies`](crate::SqliteStore::proxies).
#[derive(Clone, Debug)]
pub struct SqliteProxySource {
    name: Arc<str>,
    writer: Writer,
    reader: Reader,
    list: Arc<dyn ProxySource>,
    /// The operator's words at the last look.
    heard: Arc<Mutex<Option<Words>>>,
}

impl SqliteProxySource {
    pub(crate) fn new(
        name: Arc<str>,
        writer: Writer,
        reader: Reader,
        list: Arc<dyn ProxySource>,
    ) -> Self {
        Self { name, writer, reader, list, heard: Arc::default() }
    }

    async fn read(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        let read = |sql: &rusqlite::Connection| {
            let mut all = sql.prepare_cached("SELECT id, state FROM proxy ORDER BY id")?;
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let mut states = Vec::new();
            for row in all.query_map([], row)? {
                let (id, state) = row?;
                let state = serde_json::from_str(&state).map_err(|error| {
                    corrupt("read the proxies' states", format!("proxy {id}: {error}"))
                })?;
                states.push((ProxyId::new(id), state));
            }
            Ok(states)
        };
        self.reader.ask("read the proxies' states", read).await
    }

    /// Returns when the operator has spoken, perhaps through another process.
    async fn spoken(&self) -> Result<()> {
        loop {
            tokio::time::sleep(LOOK).await;
            let words = words(&self.read().await?);
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.replace(words.clone()).is_some_and(|before| before != words) {
                return Ok(());
            }
        }
    }
}

/// A rest is the engine's own doing; what is active by word was brought back by hand.
fn words(states: &[(ProxyId, ProxyState)]) -> Words {
    let word = |(id, state): &(ProxyId, ProxyState)| match state {
        ProxyState::Active => Some((id.clone(), true)),
        ProxyState::Disabled { .. } => Some((id.clone(), false)),
        _ => None,
    };
    states.iter().filter_map(word).collect()
}

impl fmt::Display for SqliteProxySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, states in {}", self.list, self.name)
    }
}

#[async_trait]
impl ProxySource for SqliteProxySource {
    async fn list(&self) -> Result<Vec<Proxy>> {
        self.list.list().await
    }

    async fn changed(&self) -> Result<()> {
        tokio::select! {
            changed = self.list.changed() => changed,
            spoken = self.spoken() => spoken,
        }
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        let states = self.read().await?;
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(words(&states));
        Ok(states)
    }

    async fn save(&self, states: &[(ProxyId, ProxyState)]) -> Result<()> {
        let text = |(id, state): &(ProxyId, ProxyState)| {
            let state = serde_json::to_string(state);
            let what =
                |error| Error::invalid("store the proxies' states", id.as_str()).with_source(error);
            Ok((id.clone(), state.map_err(what)?))
        };
        let states: Vec<_> = states.iter().map(text).collect::<Result<_>>()?;
        let save = move |tx: &mut Tx<'_>| {
            // The condition is that of `ProxyState::undoes`.
            let mut save = tx.statement(
                "INSERT INTO proxy (id, state) VALUES (?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET state = excluded.state
                 WHERE NOT (excluded.state ->> 'state' = 'cooling'
                            AND proxy.state ->> 'state' = 'disabled')",
            )?;
            for (id, state) in &states {
                save.execute(params![id.as_str(), state])?;
            }
            Ok(())
        };
        self.writer.call("store the proxies' states", save).await
    }
}
