//! What was typed for the commands that tell how sessions, proxies and workers are.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::admin::{ChangeArgs, LookArgs};
use crate::ids::Prefix;
use crate::settings::{Layer, Span, flag};

const SESSIONS_EXAMPLES: &str = "\
Examples:
  story-checker sessions import sessions/ --store sqlite:jobs.db
  story-checker sessions list --store sqlite:jobs.db                    which are out of use, and why
  story-checker sessions validate --all --store sqlite:jobs.db --proxies proxies.txt
  story-checker sessions reinstate main --store sqlite:jobs.db          the challenge is answered
  story-checker sessions reinstate main --with new.txt --store sqlite:jobs.db
  story-checker sessions remove old --store sqlite:jobs.db --yes

No command shows a secret. Exit status: 0 done, 1 a session is not good or nothing was to do, 2 wrong
usage, settings or store.";

const PROXIES_EXAMPLES: &str = "\
Examples:
  story-checker proxies list --proxies proxies.txt --store sqlite:jobs.db
  story-checker proxies test --proxies proxies.txt --url https://example.com/health
  story-checker proxies disable http://10.0.0.7:3128 --reason sold --store sqlite:jobs.db
  story-checker proxies enable http://10.0.0.7:3128 --store sqlite:jobs.db

A proxy is named by its address, without user and password. What is taken out of use stays so until
it is enabled; workers hear of it within seconds. Exit status: 0 done, 1 a proxy failed or nothing was
to do, 2 wrong usage, settings or store.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  story-checker explain 0199a7c2 --store sqlite:jobs.db          where the time of a job went
  story-checker explain 0199a7c2 --store sqlite:jobs.db --json

A job may be named by the beginning of its id, if no other begins so.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  story-checker doctor --store sqlite:jobs.db                    what bounds the workers, what would help
  story-checker doctor --store redis://localhost --json | jq -r .bottleneck

Workers say every few seconds where their time went in the last minute or two. Exit status: 0 told, 1
no worker has said anything lately, 2 wrong usage, settings or store.";

#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The job
    pub(crate) id: Prefix,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,
}

/// The way out, for commands that send something.
#[derive(Debug, Args)]
pub(crate) struct WayArgs {
    /// The list of proxies: one URL per line
    #[arg(short, long, value_name = "FILE", help_heading = "Connection", value_hint = ValueHint::FilePath)]
    pub(crate) proxies: Option<PathBuf>,

    /// Trust this certificate authority (PEM) beside the system's
    #[arg(long, value_name = "FILE", help_heading = "Connection", value_hint = ValueHint::FilePath)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl WayArgs {
    /// The settings that were typed, over others.
    pub(crate) fn over(&self, below: Layer) -> Layer {
        Layer {
            proxies: flag("--proxies", self.proxies.clone()),
            ca_file: flag("--ca-file", self.ca_file.clone()),
            ..below
        }
    }
}

/// Where the platforms are.
#[derive(Debug, Args)]
pub(crate) struct AddressArgs {
    /// The address of Instagram's web API, for tests against another one
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    base_url: Option<String>,

    /// The address of Instagram's Graph API, for tests against another one
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    graph_base_url: Option<String>,

    /// The address of the API of X, for tests against another one
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    x_base_url: Option<String>,
}

impl AddressArgs {
    /// The settings that were typed, over others.
    pub(crate) fn over(&self, below: Layer) -> Layer {
        Layer {
            base_url: flag("--base-url", self.base_url.clone()),
            graph_base_url: flag("--graph-base-url", self.graph_base_url.clone()),
            x_base_url: flag("--x-base-url", self.x_base_url.clone()),
            ..below
        }
    }
}

#[derive(Debug, Subcommand)]
#[command(after_help = SESSIONS_EXAMPLES)]
pub(crate) enum SessionsCommand {
    /// Put sessions into the store, sealed
    #[command(after_help = SESSIONS_EXAMPLES)]
    Import {
        /// Files in any known format, or folders of them
        #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        look: LookArgs,
    },
    /// List the sessions, and why some are out of use
    #[command(after_help = SESSIONS_EXAMPLES)]
    List {
        /// Only of this kind, such as instagram-web
        #[arg(long, value_name = "KIND", help_heading = "Which")]
        kind: Option<String>,
        /// Only in this state, such as challenged
        #[arg(long, value_name = "STATE", help_heading = "Which")]
        state: Option<String>,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Ask the platform, with one request each, whether sessions are logged in
    #[command(after_help = SESSIONS_EXAMPLES)]
    Validate(Box<ValidateArgs>),
    /// Let a session be used again that was out of use
    #[command(after_help = SESSIONS_EXAMPLES)]
    Reinstate {
        /// The session
        #[arg(value_name = "SESSION")]
        id: String,
        /// Its new login: a file with one session. None: by your word that the platform lets it in
        #[arg(long = "with", value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Remove sessions from the store for good
    #[command(after_help = SESSIONS_EXAMPLES)]
    Remove {
        /// The sessions
        #[arg(value_name = "SESSION", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The sessions
    #[arg(value_name = "SESSION", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,

    /// All that may be used now and that no worker holds
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    addresses: AddressArgs,

    #[command(flatten)]
    way: WayArgs,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

impl ValidateArgs {
    /// The settings that were typed.
    pub(crate) fn layer(&self) -> Layer {
        self.addresses.over(self.way.over(self.look.store.layer()))
    }
}

#[derive(Debug, Subcommand)]
#[command(after_help = PROXIES_EXAMPLES)]
pub(crate) enum ProxiesCommand {
    /// List the proxies, and which are out of use
    #[command(after_help = PROXIES_EXAMPLES)]
    List {
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Ask a page of your own through each proxy
    #[command(after_help = PROXIES_EXAMPLES)]
    Test {
        /// Only these
        #[arg(value_name = "PROXY")]
        ids: Vec<String>,
        /// The page: one of your own, or of somebody who does not mind. Never the platform
        #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
        url: Option<String>,
        /// How long each may take
        #[arg(long, value_name = "TIME", default_value = "10s")]
        timeout: Span,
        #[command(flatten)]
        way: WayArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Take proxies out of use until they are enabled
    #[command(after_help = PROXIES_EXAMPLES)]
    Disable {
        /// Why, for whoever looks at the list
        #[arg(long, value_name = "TEXT", default_value = "by the operator")]
        reason: String,
        #[command(flatten)]
        which: ProxyArgs,
    },
    /// Let proxies be used again, whatever kept them out of use
    #[command(after_help = PROXIES_EXAMPLES)]
    Enable {
        #[command(flatten)]
        which: ProxyArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// The proxies
    #[arg(value_name = "PROXY", required = true)]
    pub(crate) ids: Vec<String>,

    #[command(flatten)]
    pub(crate) way: WayArgs,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}
