//! Serves the simulated platform.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use story_checker_sim::cli::{RunError, SimArgs, run};

/// A simulated platform that knows the truth about its stories.
#[derive(Debug, Parser)]
#[command(name = "story-checker-sim", version)]
struct Cli {
    #[command(flatten)]
    args: SimArgs,
}

fn main() -> ExitCode {
    let Cli { args } = Cli::parse();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!(": {cause}");
                source = cause.source();
            }
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: SimArgs) -> Result<(), RunError> {
    // One thread serves more than its clients can ask for, and leaves the other cores to them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::Io { what: "cannot start the runtime".into(), source })?;
    runtime.block_on(run(args))
}
