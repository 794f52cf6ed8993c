//! What is made of the definition of the command line: completions and manual pages.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::LowArgs;

/// Writes the completions of a shell to standard output.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<u8> {
    let mut command = LowArgs::command();
    let name = command.get_name().to_owned();
    // In memory first: the generator takes a closed pipe for a bug.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    print(&text).context("cannot write the completions")
}

/// Writes a page for every command to a folder, which is made if it is missing.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn manual(folder: &Path) -> anyhow::Result<u8> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(LowArgs::command(), folder))
        .with_context(|| format!("cannot write the manual to {}", folder.display()))?;
    Ok(0)
}

/// Writes to standard output; who closes it has enough.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn print(text: &[u8]) -> io::Result<u8> {
    let mut out = io::stdout();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(0),
    }
}
