//! The proxies' states.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Row, params};
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState};
use story_checker_core::{Error, ProxyId, Result};

use crate::error::corrupt;
use crate::reader::Reader;
use crate::tx::Tx;
use crate::writer::Writer;

/// The list of another source, with the proxies' states in a file: see
/// [`SqliteStore::proxies`](crate::SqliteStore::proxies).
#[derive(Clone, Debug)]
pub struct SqliteProxySource {
    name: Arc<str>,
    writer: Writer,
    reader: Reader,
    list: Arc<dyn ProxySource>,
}

impl SqliteProxySource {
    pub(crate) fn new(
        name: Arc<str>,
        writer: Writer,
        reader: Reader,
        list: Arc<dyn ProxySource>,
    ) -> Self {
        Self { name, writer, reader, list }
    }
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
        self.list.changed().await
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
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
