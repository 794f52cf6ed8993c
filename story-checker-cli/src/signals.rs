//! Ctrl-C and SIGTERM: once ends the run in an orderly way, twice at once.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::progress::Voice;

/// The exit code of a run that was stopped at once: 128 + SIGINT.
const STOPPED: i32 = 130;

/// Listens from now on; the token is cancelled by the first signal, after which what runs may finish
/// within `grace`. The second ends the process; `farewell` is said then.
///
/// # Errors
/// If the system does not let us listen.
pub(crate) fn listen(
    voice: Voice,
    grace: Duration,
    farewell: Option<String>,
) -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let interrupt = token.clone();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        voice.say(format_args!(
            "stopping: what runs may finish within {}; once more stops at once",
            humantime::format_duration(grace)
        ));
        interrupt.cancel();
        signals.next().await;
        voice.clear();
        farewell.iter().for_each(|text| voice.say(text));
        #[expect(
            clippy::exit,
            reason = "asked for twice; what cannot be drained must not stop us"
        )]
        std::process::exit(STOPPED);
    });
    Ok(token)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
