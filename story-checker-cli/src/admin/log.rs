//! `story-checker batch log`: the reports of a batch.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use anyhow::Context;
use story_checker_core::queue::{JobFilter, JobQueue, JobView, MAX_ITEMS};
use story_checker_core::{BatchId, JobId, Report};
use tokio::time::{Instant, sleep};

use super::{Admin, counted, view};
use crate::args::LogArgs;
use crate::output::{self, ReportWriter};
use crate::targets::Order;

/// How often to look for more.
const LOOK: Duration = Duration::from_millis(500);

/// Writes the reports; returns the exit code.
///
/// # Errors
/// As the other commands, and if they cannot be written.
pub(super) fn log(args: &LogArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&args.store, false)?;
    let format = args.format.typed().map_or(admin.settings.format, |(_, format)| format);
    admin.run(async {
        let queue = admin.queue().await?;
        let id = args.id.batch(&*queue).await?;
        let mut log = Log {
            queue: &*queue,
            batch: id,
            writer: match &args.output {
                Some(path) => output::to_file(format, path)
                    .with_context(|| format!("cannot write {}", path.display()))?,
                None => output::standard(format, Order::default()),
            },
            told: HashSet::new(),
            silent: 0,
        };
        let done = log.write(&admin, args.follow).await;
        let finished = log.writer.finish();
        match done.and_then(|()| finished.map_err(Into::into)) {
            // Who reads it has enough.
            Err(error) if is_closed(&error) => return Ok(0),
            done => done.context("cannot write the reports")?,
        }
        let batch = view::stats(&*queue, id).await?;
        if log.silent > 0 {
            admin.voice.say(format_args!("{} ended without a report", counted(log.silent, "job")));
        }
        let kept = log.told.len() as u64;
        if batch.counts.ended() > kept {
            let dropped = counted(batch.counts.ended() - kept, "report");
            admin.voice.say(format_args!("{dropped} no longer kept in the store"));
        }
        if batch.counts.live() > 0 {
            let progress = view::progress(&batch.counts);
            admin.voice.say(format_args!("{progress} ended; --follow waits for the rest"));
        }
        Ok(0)
    })
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Log<'a> {
    queue: &'a dyn JobQueue,
    batch: BatchId,
    writer: Box<dyn ReportWriter>,
    /// Jobs whose end is told.
    told: HashSet<JobId>,
    /// Those that ended without a report.
    silent: u64,
}

impl Log<'_> {
    async fn write(&mut self, admin: &Admin, follow: bool) -> anyhow::Result<()> {
        let mut seen = None;
        loop {
            // Counted before looking, so that what ends meanwhile is looked for again.
            let counts = view::stats(self.queue, self.batch).await?.counts;
            let started = Instant::now();
            if seen != Some(counts.ended()) {
                self.catch_up().await?;
                self.writer.pause()?;
                seen = Some(counts.ended());
            }
            if !follow || counts.live() == 0 {
                return Ok(());
            }
            admin.voice.step(format_args!("{} ended", view::progress(&counts)), false);
            // A large batch is read again each time: not more than a fifth of the time.
            sleep(LOOK.max(started.elapsed() * 4)).await;
        }
    }

    /// Writes what has ended since.
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = self.queue.list(&JobFilter::batch(self.batch), after, MAX_ITEMS).await?;
            for job in page.jobs.iter().filter(|job| job.state.is_final()) {
                self.tell(job)?;
            }
            let Some(next) = page.next else { return Ok(()) };
            after = Some(next);
        }
    }

    fn tell(&mut self, job: &JobView) -> anyhow::Result<()> {
        if !self.told.insert(job.id) {
            return Ok(());
        }
        let result = job.result.as_ref().filter(|result| !result.is_empty());
        match result.map(|result| serde_json::from_slice::<Report>(result)) {
            Some(Ok(report)) => self.writer.report(&report)?,
            Some(Err(error)) => {
                tracing::error!(job = %job.id, %error, "a stored report cannot be read");
                self.silent += 1;
            }
            // Cancelled, or its payload could not be understood.
            None => self.silent += 1,
        }
        Ok(())
    }
}
