//! The log on standard error.

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::progress::Voice;
use crate::settings::LogFilter;

/// Starts the log.
///
/// # Errors
/// If there is one already.
pub(crate) fn start(filter: &LogFilter, voice: &Voice) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&filter.0)?;
    let voice = voice.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let log = log.with_writer(move || voice.clone()).try_init();
    log.map_err(|error| anyhow!("cannot start the log: {error}"))
}
