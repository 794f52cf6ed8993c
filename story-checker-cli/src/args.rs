//! What was typed. What it means is decided in [`crate::settings`].

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::settings::{Format, Layer, Limit, Limits, Progress, Span};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Tells which accounts have an active story, and proves it.
#[derive(Debug, Parser)]
#[command(name = "story-checker", version, styles = STYLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct LowArgs {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check which accounts have an active story
    Check(Box<CheckArgs>),
    /// Run the simulated platform alone, for tests and experiments
    Sim(Box<story_checker_sim::cli::SimArgs>),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  story-checker check --demo examples/accounts.txt           try it out: no account needed
  story-checker check --session cookies.txt tea_house cafe   two accounts of the real platform
  story-checker check --session cookies/ --proxies proxies.txt accounts.txt --ndjson > out.ndjson
  some-command | story-checker check --demo --json -         a list from standard input

A list has one account per line: a name, @name or profile URL; # begins a comment.
Options may also stand in story-checker.toml (see examples/) or STORY_CHECKER_DEADLINE and so on.
Exit status: 0 all answered, 1 some unknown or bad lines, 2 wrong usage or settings, 130 interrupted.";

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Accounts, lists, or `-` for standard input, which is also read if nothing is named. What
    /// names an existing file, ends in .txt, .csv or .list, or contains a path separator is a list;
    /// `@name` is always an account
    #[arg(value_name = "NAME|LIST")]
    pub(crate) targets: Vec<String>,

    /// Read accounts from this file (repeatable; `-` is standard input)
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Use this logged-in session: a cookies.txt file, or a folder of them (repeatable)
    #[arg(short, long = "session", value_name = "PATH", help_heading = "Connection")]
    sessions: Vec<PathBuf>,

    /// Go out through these proxies only: one URL per line
    #[arg(short, long, value_name = "FILE", help_heading = "Connection")]
    proxies: Option<PathBuf>,

    /// The platform's address, for tests against another one
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    base_url: Option<String>,

    /// Start a simulated platform in this process and check against it: no account needed
    #[arg(long, help_heading = "Connection", conflicts_with_all = ["sessions", "proxies", "base_url"])]
    pub(crate) demo: bool,

    /// The seed of the simulated world
    #[arg(long, value_name = "N", requires = "demo", help_heading = "Connection")]
    pub(crate) demo_seed: Option<u64>,

    /// Write one JSON array of reports
    #[arg(long, help_heading = "Output", group = "format")]
    json: bool,

    /// Write one JSON report per line, each as soon as it is there
    #[arg(long, help_heading = "Output", group = "format")]
    ndjson: bool,

    /// Say nothing but results and errors
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Show a progress bar on standard error: auto, always or never
    #[arg(long, value_name = "WHEN", help_heading = "Output", hide_possible_values = true)]
    progress: Option<Progress>,

    /// Report as unknown what is unanswered after this time [default: 10m]
    #[arg(short, long, value_name = "TIME", help_heading = "Pace")]
    deadline: Option<Span>,

    /// Accounts per request, at most [default: as many as the platform answers at once]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    max_batch: Option<std::num::NonZeroUsize>,

    /// Checks running at once, at most [default: 256]
    #[arg(short, long, value_name = "N", help_heading = "Pace")]
    concurrency: Option<std::num::NonZeroUsize>,

    /// Requests of each session, such as "75 per 11m" or "75 per 11m, burst 10"
    #[arg(long, value_name = "LIMIT", help_heading = "Pace")]
    session_limit: Option<Limit>,

    /// Read settings from this file [default: story-checker.toml, if it exists]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,

    /// Log more: -v what happens, -vv every request, -vvv everything
    #[arg(short, long, action = ArgAction::Count, help_heading = "Settings")]
    verbose: u8,

    /// Log by this filter, such as info or warn,story_checker_http=debug
    #[arg(long, value_name = "FILTER", help_heading = "Settings")]
    log: Option<String>,
}

impl CheckArgs {
    /// The settings that were typed.
    pub(crate) fn layer(&self) -> Layer {
        let verbosity = match self.verbose {
            0 => None,
            1 => Some("warn,story_checker=info".to_owned()),
            2 => Some("info,story_checker=debug".to_owned()),
            _ => Some("trace".to_owned()),
        };
        let format = match (self.json, self.ndjson) {
            (true, _) => Some(Format::Json),
            (_, true) => Some(Format::Ndjson),
            _ => None,
        };
        Layer {
            sessions: (!self.sessions.is_empty()).then(|| self.sessions.clone()),
            proxies: self.proxies.clone(),
            base_url: self.base_url.clone(),
            deadline: self.deadline,
            concurrency: self.concurrency,
            max_batch: self.max_batch,
            limits: Limits { session: self.session_limit },
            format,
            progress: self.progress,
            quiet: self.quiet.then_some(true),
            log: self.log.clone().or(verbosity),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        LowArgs::command().debug_assert();
    }
}
