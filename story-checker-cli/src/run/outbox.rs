//! From the engine to the output.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use story_checker_core::Report;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::output::ReportWriter;
use crate::progress::Voice;
use crate::tally::{Causes, Tally};

/// Hands reports to a thread that writes them: writing may block for any time.
pub(super) struct Outbox {
    reports: mpsc::Sender<Arc<Report>>,
    result: oneshot::Receiver<io::Result<()>>,
    pub(super) tally: Tally,
    pub(super) causes: Causes,
    /// Nobody takes the reports any more.
    pub(super) closed: bool,
    interrupt: CancellationToken,
    grace: Duration,
}

impl Outbox {
    pub(super) fn new(
        mut writer: Box<dyn ReportWriter>,
        voice: Voice,
        interrupt: CancellationToken,
        grace: Duration,
    ) -> Self {
        let (reports, mut inbox) = mpsc::channel::<Arc<Report>>(1024);
        let (done, result) = oneshot::channel();
        thread::spawn(move || {
            let result = write(&mut *writer, &mut inbox, &voice);
            drop(inbox);
            _ = done.send(result);
        });
        Self {
            reports,
            result,
            tally: Tally::default(),
            causes: Causes::default(),
            closed: false,
            interrupt,
            grace,
        }
    }

    pub(super) async fn send(&mut self, report: Arc<Report>) {
        if self.closed {
            return;
        }
        let sent = tokio::select! {
            biased;
            sent = self.reports.send(Arc::clone(&report)) => sent.is_ok(),
            () = given_up(&self.interrupt, self.grace) => false,
        };
        self.closed = !sent;
        if sent {
            self.tally.add(&report);
            self.causes.add(&report);
        }
    }

    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.reports);
        tokio::select! {
            biased;
            result = self.result => {
                result.unwrap_or_else(|_| Err(io::Error::other("writing has failed")))
            }
            () = given_up(&self.interrupt, self.grace) => {
                tracing::warn!("nobody reads the results; what was not read is lost");
                Ok(())
            }
        }
    }
}

/// The user has interrupted the run and waited for long enough.
async fn given_up(interrupt: &CancellationToken, grace: Duration) {
    interrupt.cancelled().await;
    tokio::time::sleep(grace).await;
}

fn write(
    writer: &mut dyn ReportWriter,
    inbox: &mut mpsc::Receiver<Arc<Report>>,
    voice: &Voice,
) -> io::Result<()> {
    let terminal = io::stdout().is_terminal();
    let mut burst = Vec::new();
    while inbox.blocking_recv_many(&mut burst, 256) > 0 {
        let mut all = || {
            burst.drain(..).try_for_each(|report| writer.report(&report))?;
            // Reports that come one by one are seen one by one.
            if inbox.is_empty() { writer.pause() } else { Ok(()) }
        };
        if terminal { voice.aside(all)? } else { all()? }
    }
    voice.clear();
    writer.finish()
}
