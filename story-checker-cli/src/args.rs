//! What was typed. What it means is decided in [`crate::settings`].

mod admin;
mod health;

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};
use story_checker_core::BatchId;

pub(crate) use self::admin::{
    BatchCommand, ChangeArgs, DeadArgs, DeadCommand, ExportArgs, FilterArgs, ImportArgs,
    JobsCommand, KeyCommand, LogArgs, LookArgs, MigrateCommand, PageArgs, QueueCommand, State,
    StateArgs, WorkersArgs,
};
pub(crate) use self::health::{
    AddressArgs, DoctorArgs, ExplainArgs, ProxiesCommand, ProxyArgs, SessionsCommand, ValidateArgs,
    WayArgs,
};
use crate::settings::{
    BarePlatform, Format, Layer, Limit, LogFilter, Paths, Progress, Span, StoreAddress, flag,
};

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
    /// Put accounts into a store, for workers to check
    Enqueue(Box<EnqueueArgs>),
    /// Check what is enqueued in a store, until told to stop; many may share one
    Worker(Box<WorkerArgs>),
    /// Look at batches, write their reports, pause or cancel them
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Look at jobs, cancel or retry them
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Look at jobs that ended without an answer, replay or drop them
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Look at queues, pause or limit them
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Show which workers are alive, and what they hold
    Workers(WorkersArgs),
    /// Show where the time of a job went
    Explain(ExplainArgs),
    /// Say what bounds the throughput of the workers, and what would raise it
    Doctor(DoctorArgs),
    /// Look at sessions, bring them in, try them, bring them back or remove them
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Look at proxies, try them, take them out of use or bring them back
    #[command(subcommand)]
    Proxies(ProxiesCommand),
    /// Write everything that a store holds to a file: to move it, or as a backup
    Export(ExportArgs),
    /// Take an export into a store
    Import(ImportArgs),
    /// Bring a store to the schema of this program
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Make and change the keys that seal sessions
    #[command(subcommand)]
    Key(KeyCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run the simulated platform alone, for tests and experiments
    Sim(Box<story_checker_sim::cli::SimArgs>),
    /// Write the completions of a shell to standard output
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a folder
    Manual {
        /// The folder; it must exist
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show all settings that would hold for a run, each with where it comes from
    ///
    /// The output is TOML without secrets. Takes the options of `check`.
    Show(Box<SettingArgs>),
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  story-checker completions bash > ~/.local/share/bash-completion/completions/story-checker
  story-checker completions zsh > ~/.zfunc/_story-checker
  story-checker completions fish > ~/.config/fish/completions/story-checker.fish";

const CHECK_EXAMPLES: &str = "\
Examples:
  story-checker check --demo examples/accounts.txt           try it out: no account needed
  story-checker check --session cookies.txt tea_house cafe   two accounts of the real platform
  story-checker check --session sessions/ --proxies proxies.txt accounts.txt --ndjson > out.ndjson
  story-checker check --session bearer.json x:tea_house      new posts with media on X
  story-checker check --demo --explain tea_house             why the answer may be believed
  some-command | story-checker check --demo --json -         a list from standard input
  story-checker check --resume --session cookies.txt         go on where a run was interrupted

Targets, as arguments or one a line in a list:
  tea_house, @tea_house          an account of Instagram (or of X, with --platform x)
  x:tea_house, x:#tea            an account or hashtag of X
  https://x.com/tea_house        a profile's URL, of either platform
  x/query/from:a has:media       the full form: PLATFORM/KIND/REST, with account, hashtag or query
In a list # begins a comment where a line begins or after a blank. A line in double quotes is taken
as it is, with \"\" for a quote: \"x/query/#tea OR #cake\".

Options may also stand in story-checker.toml (see examples/) or STORY_CHECKER_DEADLINE and so on.
A table of up to 10,000 targets stands in the order of the lists; all other formats come as the answers
do. A run keeps its jobs in a file while it goes on, or where --store says. If it is interrupted or
killed, --resume goes on: what was answered is told again, the rest is checked, and nothing twice.
Exit status: 0 all answered, 1 some unknown, bad lines or nothing to check, 2 wrong usage or settings,
130 interrupted.";

const ENQUEUE_EXAMPLES: &str = "\
Examples:
  story-checker enqueue --store sqlite:jobs.db accounts.txt
  story-checker enqueue --store redis://localhost --priority 10 --deadline 1h tea_house x:cafe
  story-checker enqueue --store sqlite:jobs.db --batch BATCH more.txt       adds to a batch
  story-checker enqueue --store sqlite:jobs.db --json accounts.txt | jq -r .batch

Targets are written as for `check`. Workers check them: story-checker worker --help.
Exit status: 0 all enqueued, 1 bad lines or nothing to enqueue, 2 wrong usage, settings or store.";

const WORKER_EXAMPLES: &str = "\
Examples:
  story-checker worker --store sqlite:jobs.db --session sessions/ --proxies proxies.txt
  story-checker worker --store redis://localhost            with the sessions that are in the store
  story-checker worker --store sqlite:jobs.db --demo --until-empty

Several workers may share a store, also on several machines with Redis: no job and no session is ever
used by two at once. Sessions named with --session are put into the store, sealed by a key
(--key-file or STORY_CHECKER_KEY). SIGTERM or Ctrl-C: what runs may finish, the rest is given back.
Exit status: 0 told to stop or nothing left, 2 wrong usage, settings or store.";

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Accounts, lists, or `-` for standard input, which is also read if nothing is named. What
    /// names an existing file, ends in .txt, .csv or .list, or contains a path separator is a list;
    /// `@name`, URLs and full forms are never lists
    #[arg(value_name = "NAME|LIST", value_hint = ValueHint::FilePath)]
    pub(crate) targets: Vec<String>,

    /// Read accounts from this file (repeatable; `-` is standard input)
    #[arg(short, long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    /// Go on with a run that was interrupted: the last one, or that of this file, or the batch of
    /// --store. Lists may be named again; what the run knows already is left out
    #[arg(long, value_name = "FILE|BATCH", num_args = 0..=1)]
    pub(crate) resume: Option<Option<String>>,

    #[command(flatten)]
    pub(crate) demo: DemoArgs,

    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ENQUEUE_EXAMPLES)]
pub(crate) struct EnqueueArgs {
    /// Accounts, lists, or `-` for standard input, as for `check`
    #[arg(value_name = "NAME|LIST", value_hint = ValueHint::FilePath)]
    pub(crate) targets: Vec<String>,

    /// Read accounts from this file (repeatable; `-` is standard input)
    #[arg(short, long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    /// Add to this batch, instead of beginning a new one
    #[arg(long, value_name = "BATCH")]
    pub(crate) batch: Option<BatchId>,

    /// 0 is first, 255 last
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) priority: u8,

    /// Report as unknown what is unanswered after this time [default: never]
    #[arg(short, long, value_name = "TIME")]
    pub(crate) deadline: Option<Span>,

    /// The platform of names that do not say theirs: instagram or x [default: instagram]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    platform: Option<BarePlatform>,

    /// Write the batch and the counts as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

impl EnqueueArgs {
    /// The settings that were typed.
    pub(crate) fn layer(&self) -> Layer {
        Layer { platform: flag("--platform", self.platform), ..self.store.layer() }
    }
}

#[derive(Debug, Args)]
#[command(after_help = WORKER_EXAMPLES)]
pub(crate) struct WorkerArgs {
    /// End when nothing is left to be done
    #[arg(long)]
    pub(crate) until_empty: bool,

    /// The name of this worker in leases [default: HOST-PROCESS]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// How long a lease of a job or session holds without a sign of life: after this time others take
    /// over what a killed worker held
    #[arg(long, value_name = "TIME", help_heading = "Pace")]
    pub(crate) lease: Option<Span>,

    /// Say how it goes this often
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "Output")]
    pub(crate) every: Span,

    #[command(flatten)]
    pub(crate) demo: DemoArgs,

    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

/// Whom to ask when there is no account.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Start a simulated platform in this process and check against it: no account needed
    #[arg(long, help_heading = "Connection", conflicts_with_all = ["sessions", "proxies", "base_url", "graph_base_url", "x_base_url", "ca_file"])]
    pub(crate) demo: bool,

    /// The seed of the simulated world
    #[arg(long, value_name = "N", requires = "demo", help_heading = "Connection")]
    pub(crate) demo_seed: Option<u64>,
}

/// How reports are written.
#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Write one JSON array of reports
    #[arg(long, help_heading = "Output", group = "format")]
    json: bool,

    /// Write one JSON report per line, each as soon as it is there
    #[arg(long, help_heading = "Output", group = "format")]
    ndjson: bool,

    /// Write one line per report, for spreadsheets
    #[arg(long, help_heading = "Output", group = "format")]
    csv: bool,

    /// Say all there is to say about each target: why its verdict may be believed, or what is
    /// missing and what to do
    #[arg(long, help_heading = "Output", group = "format")]
    explain: bool,
}

impl FormatArgs {
    /// The option that was typed, and the format that it names.
    pub(crate) fn typed(&self) -> Option<(&'static str, Format)> {
        let formats = [
            (self.json, "--json", Format::Json),
            (self.ndjson, "--ndjson", Format::Ndjson),
            (self.csv, "--csv", Format::Csv),
            (self.explain, "--explain", Format::Explain),
        ];
        let (_, name, format) = formats.into_iter().find(|(typed, ..)| *typed)?;
        Some((name, format))
    }
}

/// What may also be said in the environment or a settings file.
#[derive(Debug, Args)]
pub(crate) struct SettingArgs {
    /// Use this logged-in session or token: a file in any known format, or a folder of them
    /// (repeatable)
    #[arg(short, long = "session", value_name = "PATH", help_heading = "Connection")]
    sessions: Vec<PathBuf>,

    /// Go out through these proxies only: one URL per line
    #[arg(short, long, value_name = "FILE", help_heading = "Connection")]
    proxies: Option<PathBuf>,

    /// Trust this certificate authority (PEM) beside the system's
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca_file: Option<PathBuf>,

    #[command(flatten)]
    addresses: AddressArgs,

    /// The platform of names that do not say theirs: instagram or x [default: instagram]
    #[arg(long, value_name = "NAME", help_heading = "Questions", hide_possible_values = true)]
    platform: Option<BarePlatform>,

    /// On X, count posts with pictures or videos that are younger than this [default: 1day]
    #[arg(long, value_name = "TIME", help_heading = "Questions")]
    x_since: Option<Span>,

    #[command(flatten)]
    format: FormatArgs,

    /// Report as unknown what is unanswered after this time [default: 10m]
    #[arg(short, long, value_name = "TIME", help_heading = "Pace")]
    deadline: Option<Span>,

    /// Accounts per request, at most [default: as many as the platform answers at once]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    max_batch: Option<NonZeroUsize>,

    /// Checks running at once, at most [default: 256]
    #[arg(short, long, value_name = "N", help_heading = "Pace")]
    concurrency: Option<NonZeroUsize>,

    /// Requests of each session, such as "75 per 11m" or "200 per 1h, burst 4, 20 per 1m"
    #[arg(long, value_name = "LIMIT", help_heading = "Pace")]
    session_limit: Option<Limit>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// What every command that works on a store takes.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Where jobs and sessions are kept: sqlite:PATH, redis://HOST, rediss://HOST,
    /// redis+cluster://HOST,HOST or memory:
    #[arg(long, value_name = "STORE", help_heading = "Store", value_parser = StoreParser)]
    store: Option<StoreAddress>,

    /// The keys that seal sessions in the store [default for sqlite: PATH.key, made if missing]
    #[arg(long, value_name = "FILE", help_heading = "Store", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,

    /// Say nothing but results and errors
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Show a progress bar on standard error: auto, always or never
    #[arg(long, value_name = "WHEN", help_heading = "Output", hide_possible_values = true)]
    progress: Option<Progress>,

    /// Read settings from this file [default: story-checker.toml, if it exists]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,

    /// Log more: -v what happens, -vv every request, -vvv everything
    #[arg(short, long, action = ArgAction::Count, help_heading = "Settings")]
    verbose: u8,

    /// Log by this filter, such as info or warn,story_checker_http=debug
    #[arg(long, value_name = "FILTER", help_heading = "Settings")]
    log: Option<LogFilter>,
}

impl StoreArgs {
    /// The settings that were typed.
    pub(crate) fn layer(&self) -> Layer {
        let verbosity = match self.verbose {
            0 => None,
            1 => Some("warn,story_checker=info"),
            2 => Some("info,story_checker=debug"),
            _ => Some("trace"),
        };
        let verbosity = verbosity.map(|filter| LogFilter(filter.to_owned()));
        Layer {
            store: flag("--store", self.store.clone()),
            key_file: flag("--key-file", self.key_file.clone()),
            progress: flag("--progress", self.progress),
            quiet: flag("--quiet", self.quiet.then_some(true)),
            log: flag("--log", self.log.clone()).or(flag("--verbose", verbosity)),
            ..Layer::default()
        }
    }
}

/// Reads a store; unlike clap's own parser it never quotes what may hold a password.
#[derive(Clone, Debug)]
struct StoreParser;

impl TypedValueParser for StoreParser {
    type Value = StoreAddress;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<StoreAddress, clap::Error> {
        let text = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
        text.and_then(str::parse).map_err(|reason: String| {
            let message = format!("invalid value for '--store <STORE>': {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

impl SettingArgs {
    /// The settings that were typed.
    pub(crate) fn layer(&self) -> Layer {
        let format = self.format.typed();
        let paths = (!self.sessions.is_empty()).then(|| Paths(self.sessions.clone()));
        Layer {
            sessions: flag("--session", paths),
            proxies: flag("--proxies", self.proxies.clone()),
            ca_file: flag("--ca-file", self.ca_file.clone()),
            platform: flag("--platform", self.platform),
            x_since: flag("--x-since", self.x_since),
            deadline: flag("--deadline", self.deadline),
            concurrency: flag("--concurrency", self.concurrency),
            max_batch: flag("--max-batch", self.max_batch),
            session_limit: flag("--session-limit", self.session_limit.clone()),
            format: format.and_then(|(name, format)| flag(name, Some(format))),
            ..self.addresses.over(self.store.layer())
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
