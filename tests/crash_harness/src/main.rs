//! Kills, stops and starves real workers on a real store, and audits what they wrote down.
//!
//! `crash run sqlite` and `crash run redis` make one run; `tests/crash` builds and calls them. Each
//! worker is a process of its own with the real engine and a queue that writes a ledger. The audit
//! is the last line; the exit code is 1 if it has found anything.

#![expect(clippy::print_stdout, reason = "the audit is what this program is for")]

mod audit;
mod checker;
mod crew;
mod dice;
mod hold;
mod jobs;
mod ledger;
mod place;
mod plan;
mod run;
mod spot;
mod store;
mod summary;
mod trap;
mod watched;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::hold::HoldArgs;
use crate::place::Sort;
use crate::plan::Amounts;
use crate::worker::WorkerArgs;

/// Kills, stops and starves real workers on a real store, and audits what they wrote down.
#[derive(Debug, Parser)]
#[command(name = "tests/crash")]
enum Args {
    /// Makes one run.
    Run {
        /// The store.
        store: Sort,
        #[command(flatten)]
        amounts: Amounts,
        /// Repeats what is done; the machine still decides what it meets.
        #[arg(long)]
        seed: Option<u64>,
        /// Keeps the ledgers of a run without findings too.
        #[arg(long)]
        keep: bool,
    },
    /// A worker of a run.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Holds the write lock of a file.
    #[command(hide = true)]
    Hold(HoldArgs),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    match Args::parse() {
        Args::Hold(args) => hold::run(&args).map(|()| ExitCode::SUCCESS),
        Args::Worker(args) => worker::run(args).await.map(|()| ExitCode::SUCCESS),
        Args::Run { store, amounts, seed, keep } => {
            let seed = seed.unwrap_or_else(|| ledger::now() % 10_000);
            crash(store, &amounts, seed, keep).await
        }
    }
}

async fn crash(sort: Sort, amounts: &Amounts, seed: u64, keep: bool) -> Result<ExitCode> {
    let mut folder = tempfile::Builder::new().prefix("crash-").tempdir()?;
    // Whatever goes wrong, the ledgers tell.
    folder.disable_cleanup(true);
    let name = sort.as_str();
    println!("crash {name} seed {seed}: {}", folder.path().display());
    let outcome = run::run(sort, amounts, seed, folder.path()).await?;
    let clean = outcome.audit.findings.is_empty();
    summary::print(name, seed, folder.path(), amounts, &outcome);
    folder.disable_cleanup(keep || !clean);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
