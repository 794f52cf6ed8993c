//! Commands that look into a store and change it.

mod batches;
mod doctor;
mod explain;
mod jobs;
mod keys;
mod log;
mod migrations;
mod moves;
mod proxies;
mod queues;
mod sessions;
mod table;
mod validate;
mod view;

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;
use story_checker_core::queue::JobQueue;
use story_checker_core::{Clock, SystemClock, Timestamp};

pub(crate) use self::batches::batch;
pub(crate) use self::doctor::doctor;
pub(crate) use self::explain::explain;
pub(crate) use self::jobs::{dead, jobs};
pub(crate) use self::keys::key;
pub(crate) use self::migrations::migrate;
pub(crate) use self::moves::{export, import};
pub(crate) use self::proxies::proxies;
pub(crate) use self::queues::{queue, workers};
pub(crate) use self::sessions::sessions;
use crate::args::StoreArgs;
use crate::output::words::span;
use crate::progress::Voice;
use crate::settings::{Layer, Settings, StoreAddress};
use crate::stores::{self, StoreOptions, Stores};
use crate::{documents, logging};

/// What every such command needs.
struct Admin {
    settings: Settings,
    address: StoreAddress,
    voice: Voice,
    /// The answer is JSON.
    json: bool,
    now: Timestamp,
}

impl Admin {
    fn new(store: &StoreArgs, json: bool) -> anyhow::Result<Self> {
        Self::with(store.layer(), store, json)
    }

    /// With more settings than those of the store.
    fn with(layer: Layer, store: &StoreArgs, json: bool) -> anyhow::Result<Self> {
        let settings = Settings::resolve(layer, store.config.as_deref())?;
        let voice = Voice::new(settings.progress, settings.quiet);
        logging::start(&settings.log, &voice)?;
        let address = stores::durable(&settings)?.clone();
        Ok(Self { settings, address, voice, json, now: SystemClock::new().now() })
    }

    /// Runs something that waits; returns the exit code.
    fn run(&self, work: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let code = runtime.block_on(work);
        self.voice.clear();
        runtime.shutdown_background();
        code
    }

    /// Without a store, for commands that need none.
    fn without_store(layer: Layer, store: &StoreArgs, json: bool) -> anyhow::Result<Self> {
        let settings = Settings::resolve(layer, store.config.as_deref())?;
        let voice = Voice::new(settings.progress, settings.quiet);
        logging::start(&settings.log, &voice)?;
        let now = SystemClock::new().now();
        Ok(Self { settings, address: StoreAddress::Memory, voice, json, now })
    }

    async fn queue(&self) -> anyhow::Result<Arc<dyn JobQueue>> {
        stores::open_queue(&self.address, &StoreOptions::of(&self.settings), &self.voice).await
    }

    /// All of the store; needs its key.
    async fn stores(&self) -> anyhow::Result<Stores> {
        stores::open(&self.address, &StoreOptions::of(&self.settings), &self.voice).await
    }

    /// Writes the answer: as JSON if that is wanted, else as text.
    fn answer(
        &self,
        json: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let text = if self.json { format!("{}\n", json()) } else { text() };
        documents::print(text.as_bytes()).map(drop).context("cannot write the answer")
    }

    /// Writes rows: as JSON if that is wanted, else as a table.
    fn rows(
        &self,
        json: impl FnOnce() -> Value,
        header: &[&str],
        rows: impl FnOnce() -> Vec<Vec<String>>,
    ) -> anyhow::Result<()> {
        if self.json {
            return self.answer(json, String::new);
        }
        table::print(header, &rows()).context("cannot write the answer")
    }

    /// Asks before something is lost, unless `yes`.
    fn confirm(&self, yes: bool, what: &str) -> anyhow::Result<()> {
        if yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            bail!("nobody can be asked here whether to {what}: say --yes if you mean it");
        }
        self.voice.aside(|| {
            let mut out = anstream::stderr();
            write!(out, "{what}? [y/N] ").and_then(|()| out.flush())
        })?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("not done: nothing was changed");
        }
        Ok(())
    }

    /// How long ago.
    fn ago(&self, at: Timestamp) -> String {
        format!("{} ago", span(self.now.since(at)))
    }

    /// How long ago, or in how long.
    fn when(&self, at: Timestamp) -> String {
        if at > self.now { format!("in {}", span(at.since(self.now))) } else { self.ago(at) }
    }
}

/// `1 job`, `2 jobs`.
fn counted(count: u64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
