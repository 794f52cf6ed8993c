//! `story-checker worker`: checks what is enqueued in a store, together with others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use story_checker_core::WorkerId;
use story_checker_core::engine::{EngineConfig, EngineHandle, Overflow};
use story_checker_core::queue::{JobCounts, JobQueue, QueueName, StatsQuery};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::args::WorkerArgs;
use crate::check::GRACE;
use crate::demo::Demo;
use crate::progress::Voice;
use crate::run::report_of;
use crate::settings::Settings;
use crate::stores::{self, StoreOptions, Stores};
use crate::tally::Tally;
use crate::world::World;
use crate::{logging, signals};

/// How often to see whether anything is left.
const LOOK: Duration = Duration::from_millis(200);

/// Works until it is told to stop; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no worker.
pub(crate) fn worker(args: &WorkerArgs) -> anyhow::Result<u8> {
    let store = &args.settings.store;
    let mut settings = Settings::resolve(args.settings.layer(), store.config.as_deref())?;
    let voice = Voice::new(settings.progress, settings.quiet);
    logging::start(&settings.log, &voice)?;
    let address = stores::durable(&settings)?.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let demo = match args.demo.demo {
            true => Some(Demo::start(args.demo.demo_seed, &mut settings, &voice).await?),
            false => None,
        };
        let options = StoreOptions::of(&settings);
        let (world, stores) = match &demo {
            // What a simulated platform has taught must not be mixed with what the real one has.
            Some(demo) => {
                let queue = stores::open_queue(&address, &options, &voice).await?;
                let board = stores::open_board(&address, &options, &voice).await?;
                (demo.world()?, Stores::of_queue(queue).with_board(board))
            }
            None => {
                let world = World::real(&settings, &voice)?;
                (world, stores::open(&address, &options, &voice).await?)
            }
        };
        let mut config = EngineConfig::default();
        config.worker = Some(args.name.as_deref().map_or_else(name, WorkerId::new));
        if let Some(lease) = args.lease {
            config.lease = lease.0;
        }
        let requests = Arc::new(AtomicU64::new(0));
        let built = world.engine(&settings, &stores, config, Arc::clone(&requests), &voice).await?;
        let interrupt =
            signals::listen(voice.clone(), GRACE, None).context("cannot listen for signals")?;
        let mut events = built.engine.subscribe(1024, Overflow::Wait);
        let engine = built.engine.start().await?;
        let mut line = Line::new(&engine, Arc::clone(&stores.queue), built.queues, voice.clone());
        voice.say(format_args!("worker {} works on {address}", engine.worker()));
        let mut tally = Tally::default();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Instant::now();
        loop {
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { bail!("the engine has ended by itself") };
                    report_of(&event, &voice).iter().for_each(|report| tally.add(report));
                }
                () = interrupt.cancelled() => break,
                _ = look.tick() => {
                    let is_time = told.elapsed() >= args.every.0;
                    if !args.until_empty && !is_time {
                        continue;
                    }
                    match line.counts().await {
                        Ok(counts) if args.until_empty && counts.live() == 0 => break,
                        Ok(counts) if is_time => {
                            told = Instant::now();
                            line.tell(&tally, counts);
                        }
                        Ok(_) => {}
                        Err(error) => tracing::warn!(
                            error = &error as &dyn std::error::Error, "cannot look into the queue"
                        ),
                    }
                }
            }
        }
        let ending = {
            let engine = engine.clone();
            tokio::spawn(async move { engine.shutdown(GRACE).await })
        };
        while let Some(event) = events.next().await {
            report_of(&event, &voice).iter().for_each(|report| tally.add(report));
        }
        _ = ending.await;
        let requests = requests.load(Ordering::Relaxed);
        voice.say(format_args!(
            "worker {} has ended: {}; {requests} requests",
            engine.worker(),
            answered(&tally)
        ));
        Ok(0)
    })
}

/// `host-process`, as far as the system says.
fn name() -> WorkerId {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty()).unwrap_or("worker");
    WorkerId::new(format!("{host}-{}", std::process::id()))
}

fn answered(tally: &Tally) -> String {
    match tally.total() {
        0 => "0 answered".to_owned(),
        total => format!("{total} answered: {tally}"),
    }
}

/// The line that a worker says from time to time.
struct Line {
    engine: EngineHandle,
    queue: Arc<dyn JobQueue>,
    queues: BTreeSet<QueueName>,
    voice: Voice,
    last: String,
}

impl Line {
    fn new(
        engine: &EngineHandle,
        queue: Arc<dyn JobQueue>,
        queues: BTreeSet<QueueName>,
        voice: Voice,
    ) -> Self {
        Self { engine: engine.clone(), queue, queues, voice, last: String::new() }
    }

    /// Counts of the queues that this worker takes jobs from.
    async fn counts(&self) -> story_checker_core::Result<JobCounts> {
        let mut all = JobCounts::default();
        for queue in self.queue.stats(&StatsQuery::Queues).await?.queues {
            if self.queues.contains(&queue.queue) {
                all.leased += queue.counts.leased;
                all.ready += queue.counts.ready;
                all.scheduled += queue.counts.scheduled;
            }
        }
        Ok(all)
    }

    /// Says how it goes, unless nothing has changed.
    fn tell(&mut self, tally: &Tally, counts: JobCounts) {
        let stats = self.engine.stats();
        let line = format!(
            "{}; here {} running, {} sessions; all workers {} running; {} due, {} later",
            answered(tally),
            stats.running,
            stats.sessions,
            counts.leased,
            counts.ready,
            counts.scheduled
        );
        if line != self.last {
            self.voice.say(&line);
            self.last = line;
        }
    }
}
