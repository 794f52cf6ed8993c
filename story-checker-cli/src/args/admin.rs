//! What was typed for the commands that look into a store and change it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{FormatArgs, StoreArgs};
use crate::ids::Prefix;

const BATCH_EXAMPLES: &str = "\
Examples:
  story-checker batch list --store sqlite:jobs.db
  story-checker batch show 0199a --store sqlite:jobs.db            how far it is
  story-checker batch log 0199a --store sqlite:jobs.db --follow    its reports, until all are there
  story-checker batch log 0199a --store sqlite:jobs.db --csv --output reports.csv
  story-checker batch cancel 0199a --store sqlite:jobs.db --yes

A batch may be named by the beginning of its id, if no other begins so.";

const JOBS_EXAMPLES: &str = "\
Examples:
  story-checker jobs list --store sqlite:jobs.db --state ready --limit 20
  story-checker jobs list --store sqlite:jobs.db --batch 0199a --json
  story-checker jobs show 0199a7c2 --store sqlite:jobs.db
  story-checker jobs cancel --queue check/x/account --store sqlite:jobs.db
  story-checker jobs retry 0199a7c2 --store sqlite:jobs.db

A job may be named by the beginning of its id, if no other begins so.";

const DEAD_EXAMPLES: &str = "\
Examples:
  story-checker dead list --store sqlite:jobs.db
  story-checker dead show 0199a7c2 --store sqlite:jobs.db          why it is dead
  story-checker dead replay --all --store sqlite:jobs.db
  story-checker dead purge --batch 0199a --store sqlite:jobs.db --yes";

const QUEUE_EXAMPLES: &str = "\
Examples:
  story-checker queue stats --store sqlite:jobs.db
  story-checker queue pause check/instagram/account --store sqlite:jobs.db
  story-checker queue limit check/instagram/account 100000 --store sqlite:jobs.db";

const WORKERS_EXAMPLES: &str = "\
Examples:
  story-checker workers --store sqlite:jobs.db
  story-checker workers --store sqlite:jobs.db --jobs              with the jobs that they hold";

const EXPORT_EXAMPLES: &str = "\
Examples:
  story-checker export backup.ndjson --store sqlite:jobs.db
  story-checker export - --store sqlite:jobs.db | gzip > backup.ndjson.gz
  story-checker export all.ndjson --store sqlite:jobs.db --with-secrets
  story-checker import all.ndjson --store redis://localhost --key-file jobs.db.key

Secrets of sessions stay out; with --with-secrets they are in it, sealed with the key of the store,
which import then needs. Let no worker run meanwhile: a job that is running goes out as one that waits.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  story-checker import backup.ndjson --store sqlite:new.db
  gunzip -c backup.ndjson.gz | story-checker import - --store redis://localhost

What is there already stays as it is, so the same file may be imported again. A line that cannot be
understood is named, and the others are taken in. Exit status: 0 all in, 1 some lines were bad or the
file was cut off, 2 wrong usage, settings or store.";

const KEY_EXAMPLES: &str = "\
Examples:
  story-checker key new keys.txt                          a file with a new key, for its owner only
  story-checker key new                                   a new key as a line on standard output
  story-checker key rotate --store sqlite:jobs.db         a new key in front, and all sealed with it";

/// How the answer is written.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    /// Write JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) limit: u16,

    /// Only those behind this one, as the last page says
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<Prefix>,
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only of this batch
    #[arg(long, value_name = "ID", help_heading = "Which")]
    pub(crate) batch: Option<Prefix>,

    /// Only of this queue
    #[arg(long, value_name = "NAME", help_heading = "Which")]
    pub(crate) queue: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum State {
    Cancelled,
    Dead,
    Done,
    Leased,
    Ready,
    Scheduled,
}

#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Only in this state
    #[arg(long, help_heading = "Which")]
    pub(crate) state: Option<State>,

    /// Only held by this worker
    #[arg(long, value_name = "NAME", help_heading = "Which")]
    pub(crate) worker: Option<String>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = BATCH_EXAMPLES)]
pub(crate) enum BatchCommand {
    /// List the batches, oldest first
    #[command(after_help = BATCH_EXAMPLES)]
    List {
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Show how far a batch is
    #[command(after_help = BATCH_EXAMPLES)]
    Show {
        /// The batch
        id: Prefix,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Write the reports of a batch, in the formats of `check`
    #[command(after_help = BATCH_EXAMPLES)]
    Log(Box<LogArgs>),
    /// Check no more of a batch for now
    #[command(after_help = BATCH_EXAMPLES)]
    Pause {
        /// The batch
        id: Prefix,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Go on with a paused batch
    #[command(after_help = BATCH_EXAMPLES)]
    Resume {
        /// The batch
        id: Prefix,
        #[command(flatten)]
        look: LookArgs,
    },
    /// End what has not ended of a batch
    #[command(after_help = BATCH_EXAMPLES)]
    Cancel {
        /// The batch
        id: Prefix,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The batch
    pub(crate) id: Prefix,

    /// Wait for what has not ended
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Write to this file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Subcommand)]
#[command(after_help = JOBS_EXAMPLES)]
pub(crate) enum JobsCommand {
    /// List jobs, oldest first
    #[command(after_help = JOBS_EXAMPLES)]
    List {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Show all that is known of a job
    #[command(after_help = JOBS_EXAMPLES)]
    Show {
        /// The job
        id: Prefix,
        #[command(flatten)]
        look: LookArgs,
    },
    /// End jobs that have not ended
    #[command(after_help = JOBS_EXAMPLES)]
    Cancel {
        /// These jobs; none: all that the options name
        ids: Vec<Prefix>,
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Let dead or cancelled jobs begin anew
    #[command(after_help = JOBS_EXAMPLES)]
    Retry {
        /// These jobs; none: all that the options name
        ids: Vec<Prefix>,
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        look: LookArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    /// These jobs
    #[arg(required_unless_present_any = ["all", "batch", "queue"])]
    pub(crate) ids: Vec<Prefix>,

    /// All dead jobs
    #[arg(long, help_heading = "Which", conflicts_with = "ids")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Subcommand)]
#[command(after_help = DEAD_EXAMPLES)]
pub(crate) enum DeadCommand {
    /// List dead jobs, oldest first
    #[command(after_help = DEAD_EXAMPLES)]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Show why a job is dead
    #[command(after_help = DEAD_EXAMPLES)]
    Show {
        /// The job
        id: Prefix,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Let dead jobs begin anew
    #[command(after_help = DEAD_EXAMPLES)]
    Replay {
        #[command(flatten)]
        which: DeadArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Drop dead jobs for good
    #[command(after_help = DEAD_EXAMPLES)]
    Purge {
        #[command(flatten)]
        which: DeadArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = QUEUE_EXAMPLES)]
pub(crate) enum QueueCommand {
    /// Show how many jobs stand where
    #[command(after_help = QUEUE_EXAMPLES)]
    Stats {
        #[command(flatten)]
        look: LookArgs,
    },
    /// Claim no more of a queue for now
    #[command(after_help = QUEUE_EXAMPLES)]
    Pause {
        /// The queue
        name: String,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Claim of a paused queue again
    #[command(after_help = QUEUE_EXAMPLES)]
    Resume {
        /// The queue
        name: String,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Let a queue take no more than so many live jobs
    #[command(after_help = QUEUE_EXAMPLES)]
    Limit {
        /// The queue
        name: String,
        /// The most live jobs; none: no limit
        most: Option<usize>,
        #[command(flatten)]
        look: LookArgs,
    },
}

#[derive(Debug, Args)]
#[command(after_help = WORKERS_EXAMPLES)]
pub(crate) struct WorkersArgs {
    /// List the jobs that they hold
    #[arg(long)]
    pub(crate) jobs: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The file to write; `-` is standard output
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// With the secrets of sessions, sealed
    #[arg(long)]
    pub(crate) with_secrets: bool,

    /// With the settings of this command, as `config show` shows them
    #[arg(long)]
    pub(crate) with_config: bool,

    /// Replace the file if there is one
    #[arg(short, long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// The file to read; `-` is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// Write the settings that the export holds to this new file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config_to: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[derive(Debug, Subcommand)]
#[command(after_help = KEY_EXAMPLES)]
pub(crate) enum KeyCommand {
    /// Make a key
    #[command(after_help = KEY_EXAMPLES)]
    New {
        /// The file to make; none: one line on standard output
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Put a new key in front and seal every session with it
    #[command(after_help = KEY_EXAMPLES)]
    Rotate {
        /// Make no new key: only seal every session with the first one
        #[arg(long)]
        reseal: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Show the version of the store's schema
    Status {
        #[command(flatten)]
        look: LookArgs,
    },
    /// Bring the store to the schema of this program
    Up {
        #[command(flatten)]
        look: LookArgs,
    },
}
