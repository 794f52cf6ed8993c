//! `story-checker enqueue`: a list in, jobs in a store for workers out.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::json;
use story_checker_core::engine::check_job;
use story_checker_core::queue::{Enqueued, JobQueue, MAX_ITEMS, NewJob};
use story_checker_core::{BatchId, Target};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::args::EnqueueArgs;
use crate::progress::Voice;
use crate::settings::Settings;
use crate::stores::{self, StoreOptions};
use crate::targets::{Entry, TargetList};
use crate::{documents, logging};

const NO_TARGETS: &str =
    "there is nothing to enqueue: name accounts, a list, or - for standard input
  for example: story-checker enqueue --store sqlite:jobs.db accounts.txt";

/// Chunks that are on their way to the store at once.
const AHEAD: usize = 4;

/// Enqueues what was asked for; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store cannot be reached.
pub(crate) fn enqueue(args: &EnqueueArgs) -> anyhow::Result<u8> {
    let settings = Settings::resolve(args.layer(), args.store.config.as_deref())?;
    let voice = Voice::new(settings.progress, settings.quiet);
    logging::start(&settings.log, &voice)?;
    let address = stores::durable(&settings)?;
    let mut names = args.targets.clone();
    if names.is_empty() && args.files.is_empty() {
        if io::stdin().is_terminal() {
            bail!(NO_TARGETS);
        }
        names.push("-".to_owned());
    }
    let list = TargetList::open(&names, &args.files, settings.platform)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (batch, counts) = runtime.block_on(async {
        let queue = stores::open_queue(address, &StoreOptions::of(&settings), &voice).await?;
        let batch = args.batch.unwrap_or_else(|| Uuid::now_v7().into());
        let counts = Enqueuing { queue, batch, args, voice: voice.clone() }.run(list).await?;
        anyhow::Ok((batch, counts))
    })?;
    runtime.shutdown_background();
    let bad_lines = voice.finish_problems();
    if counts.enqueued == 0 {
        voice.say("there was nothing to enqueue: the list is empty");
    }
    tell(batch, counts, bad_lines, args.json)?;
    Ok(u8::from(bad_lines > 0 || counts.enqueued == 0))
}

/// What became of the list.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    enqueued: u64,
    duplicates: u64,
}

struct Enqueuing<'a> {
    queue: Arc<dyn JobQueue>,
    batch: BatchId,
    args: &'a EnqueueArgs,
    voice: Voice,
}

impl Enqueuing<'_> {
    async fn run(&self, mut list: TargetList) -> anyhow::Result<Counts> {
        let (chunks, mut inbox) = mpsc::channel::<Vec<Target>>(AHEAD);
        let voice = self.voice.clone();
        let reading = std::thread::spawn(move || {
            let mut chunk = Vec::with_capacity(MAX_ITEMS);
            for entry in list.by_ref() {
                match entry {
                    Entry::Target(target) => chunk.push(target),
                    Entry::Wait => {}
                    Entry::Problem(problem) => voice.problem(problem),
                }
                if chunk.len() == MAX_ITEMS {
                    let next = std::mem::replace(&mut chunk, Vec::with_capacity(MAX_ITEMS));
                    if chunks.blocking_send(next).is_err() {
                        return 0;
                    }
                }
            }
            _ = chunks.blocking_send(chunk);
            list.duplicates()
        });
        let mut counts = Counts::default();
        let mut running = tokio::task::JoinSet::new();
        loop {
            let chunk = inbox.recv().await;
            while running.len() >= AHEAD || chunk.is_none() && !running.is_empty() {
                let Some(done) = running.join_next().await else { break };
                counts.enqueued += done.context("enqueuing has failed")??;
            }
            let Some(chunk) = chunk else { break };
            let jobs: Vec<_> = chunk.iter().map(|target| self.job(target)).collect();
            running.spawn(send(Arc::clone(&self.queue), jobs));
        }
        counts.duplicates = reading.join().unwrap_or_default();
        Ok(counts)
    }

    fn job(&self, target: &Target) -> NewJob {
        let mut job = check_job(Uuid::now_v7().into(), target);
        job.batch = Some(self.batch);
        job.priority = self.args.priority;
        job.deadline = self.args.deadline.map(|span| span.0);
        job
    }
}

/// Enqueues jobs, and waits while their queue is full.
async fn send(queue: Arc<dyn JobQueue>, mut jobs: Vec<NewJob>) -> anyhow::Result<u64> {
    let many = jobs.len() as u64;
    while !jobs.is_empty() {
        let replies = queue.enqueue(jobs.clone()).await.context("cannot enqueue")?;
        let mut replies = replies.into_iter();
        jobs.retain(|_| replies.next().is_none_or(|reply| reply == Enqueued::Full));
        if !jobs.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    }
    Ok(many)
}

fn tell(batch: BatchId, counts: Counts, bad_lines: u64, json: bool) -> anyhow::Result<()> {
    let Counts { enqueued, duplicates } = counts;
    let mut text = Vec::new();
    if json {
        let value = json!({
            "batch": batch, "enqueued": enqueued, "duplicates": duplicates, "bad_lines": bad_lines,
        });
        writeln!(text, "{value}")?;
    } else {
        write!(text, "batch {batch}: {enqueued} enqueued")?;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        for (count, word) in [(duplicates, "duplicate"), (bad_lines, "bad line")] {
            if count > 0 {
                write!(text, "; {count} {word}{}", plural(count))?;
            }
        }
        writeln!(text)?;
    }
    documents::print(&text).map(drop).context("cannot write the result")
}
