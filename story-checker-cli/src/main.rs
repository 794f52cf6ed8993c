//! The command line tool of story-checker: a list of accounts in, proven verdicts out.

mod admin;
mod args;
mod check;
mod checkers;
mod credentials;
mod demo;
mod documents;
mod enqueue;
mod ids;
mod keys;
mod logging;
mod output;
mod progress;
mod resume;
mod run;
mod runs;
mod sessions;
mod settings;
mod signals;
mod stores;
mod tally;
mod targets;
mod worker;
mod world;

use std::io::Write;
use std::process::ExitCode;

use anstyle::AnsiColor;
use anyhow::Context;
use clap::Parser;

use crate::args::{Command, ConfigCommand, LowArgs, SettingArgs};

/// Half of the engine's overhead over a bare HTTP loop was the C library's allocator: futures and
/// answers of a few kB fall through its fast path. The figures stand in docs/decisions/0008.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage or settings; clap uses the same.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let result = match LowArgs::parse().command {
        Command::Check(args) => check::check(&args),
        Command::Enqueue(args) => enqueue::enqueue(&args),
        Command::Worker(args) => worker::worker(&args),
        Command::Batch(command) => admin::batch(&command),
        Command::Jobs(command) => admin::jobs(&command),
        Command::Dead(command) => admin::dead(&command),
        Command::Queue(command) => admin::queue(&command),
        Command::Workers(args) => admin::workers(&args),
        Command::Explain(args) => admin::explain(&args),
        Command::Doctor(args) => admin::doctor(&args),
        Command::Sessions(command) => admin::sessions(&command),
        Command::Proxies(command) => admin::proxies(&command),
        Command::Export(args) => admin::export(&args),
        Command::Import(args) => admin::import(&args),
        Command::Migrate(command) => admin::migrate(&command),
        Command::Key(command) => admin::key(&command),
        Command::Config(ConfigCommand::Show(args)) => show(&args),
        Command::Sim(args) => simulate(*args),
        Command::Completions { shell } => documents::completions(shell),
        Command::Manual { folder } => documents::manual(&folder),
    };
    let code = result.unwrap_or_else(|error| {
        complain(&error);
        USAGE
    });
    ExitCode::from(code)
}

/// Says what went wrong, with its causes.
fn complain(error: &anyhow::Error) {
    let style = AnsiColor::Red.on_default().bold();
    // Nobody can be told that standard error is closed.
    drop(writeln!(anstream::stderr(), "{style}error:{style:#} {error:#}"));
}

/// Shows the settings that would hold for a run.
fn show(args: &SettingArgs) -> anyhow::Result<u8> {
    let settings = settings::Shown::resolve(args.layer(), args.store.config.as_deref())?;
    documents::print(settings.to_string().as_bytes()).context("cannot write the settings")
}

/// Runs the simulated platform alone.
fn simulate(args: story_checker_sim::cli::SimArgs) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime
        .block_on(story_checker_sim::cli::run(args))
        .context("the simulated platform could not run")?;
    Ok(0)
}
