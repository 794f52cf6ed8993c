//! `story-checker check`: puts a run together.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use story_checker_core::engine::EngineConfig;
use story_checker_core::queue::{JobQueue, Retention, StatsQuery};
use story_checker_core::{BatchId, WorkerId};
use uuid::Uuid;

use crate::args::CheckArgs;
use crate::demo::Demo;
use crate::progress::Voice;
use crate::run::{Jobs, Run, worker_name};
use crate::runs::{self, RunFile};
use crate::settings::{Settings, StoreAddress};
use crate::stores::{self, StoreOptions, Stores};
use crate::tally::Summary;
use crate::targets::TargetList;
use crate::world::{NO_SESSION, World};
use crate::{logging, output, resume, signals};

const NO_TARGETS: &str = "there is nothing to check: name accounts, a list, or - for standard input
  for example: story-checker check --demo examples/accounts.txt";

/// After an interruption: shorter than the patience of most supervisors (10 s).
pub(crate) const GRACE: Duration = Duration::from_secs(8);

/// Leases of a run that may be continued: what a killed one held is free again after this time.
const LEASE: Duration = Duration::from_secs(10);

/// Where the jobs of a run are.
enum Place {
    Memory,
    /// A file of this run alone.
    File(RunFile),
    /// A store that its user named.
    Store(StoreAddress),
}

/// Checks what was asked for; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no run.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let store = &args.settings.store;
    let mut settings = Settings::resolve(args.settings.layer(), store.config.as_deref())?;
    let voice = Voice::new(settings.progress, settings.quiet);
    logging::start(&settings.log, &voice)?;
    let mut names = args.targets.clone();
    if names.is_empty() && args.files.is_empty() && args.resume.is_none() {
        if io::stdin().is_terminal() {
            bail!(NO_TARGETS);
        }
        names.push("-".to_owned());
    }
    let list = TargetList::open(&names, &args.files, settings.platform)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let demo = match args.demo.demo {
            true => Some(Demo::start(args.demo.demo_seed, &mut settings, &voice).await?),
            false => None,
        };
        let world = match &demo {
            Some(demo) => demo.world()?,
            None => World::real(&settings, &voice)?,
        };
        let (place, batch) = place(args.resume.as_ref(), &settings, &world, &voice)?;
        let prepared = prepare(&place, batch, args, &settings, &voice).await?;
        run(list, world, place, prepared, &settings, voice).await
    });
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    code
}

/// Where the jobs of this run are, and which of them are meant if that was said.
fn place(
    resume: Option<&Option<String>>,
    settings: &Settings,
    world: &World,
    voice: &Voice,
) -> anyhow::Result<(Place, Option<BatchId>)> {
    let of_path = |path: &Path| {
        anyhow::Ok(match RunFile::open(path)? {
            Some(file) => Place::File(file),
            None => Place::Store(StoreAddress::Sqlite(path.to_owned())),
        })
    };
    let place = match (resume, &settings.store) {
        (Some(None), None) => Place::File(RunFile::latest()?),
        (Some(None), Some(store)) => bail!(
            "say which batch of {store} to continue: --resume BATCH (`batch list` names them)"
        ),
        (Some(Some(what)), store) => match (what.parse::<BatchId>(), store) {
            (Ok(batch), Some(store)) if *store != StoreAddress::Memory => {
                return Ok((Place::Store(store.clone()), Some(batch)));
            }
            (Ok(_), _) => bail!("say in which store the batch {what} is, with --store"),
            (Err(_), _) => {
                let path = PathBuf::from(what);
                if !path.exists() {
                    bail!("cannot continue {what}: there is no such file, and it names no batch");
                }
                of_path(&path)?
            }
        },
        (None, Some(StoreAddress::Memory)) => Place::Memory,
        (None, Some(store)) => Place::Store(store.clone()),
        (None, None) if world.sessions.is_empty() => bail!(NO_SESSION),
        (None, None) => match RunFile::create() {
            Ok(file) => {
                match runs::unfinished() {
                    0 => {}
                    1 => voice.say("an earlier run was not finished: check --resume continues it"),
                    more => voice.say(format_args!(
                        "{more} earlier runs were not finished: check --resume continues the last"
                    )),
                }
                Place::File(file)
            }
            Err(error) => {
                voice.say(format_args!(
                    "this run cannot be continued if it is interrupted: there is no place for its \
                     file: {error}"
                ));
                Place::Memory
            }
        },
    };
    Ok((place, None))
}

/// What is known before the engine is put together.
struct Prepared {
    stores: Stores,
    batch: BatchId,
    resumed: bool,
    /// How to continue the run; none if that is impossible.
    hint: Option<String>,
}

async fn prepare(
    place: &Place,
    batch: Option<BatchId>,
    args: &CheckArgs,
    settings: &Settings,
    voice: &Voice,
) -> anyhow::Result<Prepared> {
    let mut options = StoreOptions::of(settings);
    let stores = match place {
        // Results are consumed as they come.
        Place::Memory => Stores::memory(Retention::nothing()),
        Place::File(file) => {
            options.retention = stores::everything();
            let address = StoreAddress::Sqlite(file.path().to_owned());
            Stores::of_queue(stores::open_queue(&address, &options, voice).await?)
        }
        // What a simulated platform has taught must not be mixed with what the real one has.
        Place::Store(address) if args.demo.demo => {
            Stores::of_queue(stores::open_queue(address, &options, voice).await?)
        }
        Place::Store(address) => stores::open(address, &options, voice).await?,
    };
    let found = match (args.resume.is_some(), batch) {
        (true, None) => latest_batch(&*stores.queue).await?,
        (_, batch) => batch,
    };
    if found.is_none()
        && let (true, Place::Store(address)) = (args.resume.is_some(), place)
    {
        bail!("there is nothing to continue in {address}");
    }
    let resumed = found.is_some();
    let batch = found.unwrap_or_else(|| Uuid::now_v7().into());
    let what = match place {
        Place::Memory => None,
        Place::File(file) => Some(file.path().display().to_string()),
        Place::Store(_) => Some(batch.to_string()),
    };
    let hint = what.map(|what| resume::hint(&what, args.resume.as_ref(), std::env::args_os()));
    Ok(Prepared { stores, batch, resumed, hint })
}

/// The batch to continue: the last one that has not ended, else the last one.
async fn latest_batch(queue: &dyn JobQueue) -> anyhow::Result<Option<BatchId>> {
    let (mut last, mut live, mut after) = (None, None, None);
    loop {
        let stats = queue.stats(&StatsQuery::BatchesAfter { after, limit: 512 }).await?;
        let Some(end) = stats.batches.last() else { return Ok(live.or(last)) };
        after = Some(end.batch);
        last = after;
        let unfinished = stats.batches.iter().rfind(|batch| batch.counts.live() > 0);
        live = unfinished.map(|batch| batch.batch).or(live);
    }
}

async fn run(
    list: TargetList,
    world: World,
    place: Place,
    prepared: Prepared,
    settings: &Settings,
    voice: Voice,
) -> anyhow::Result<u8> {
    let Prepared { stores, batch, resumed, hint } = prepared;
    let requests = Arc::new(AtomicU64::new(0));
    let kept = !matches!(place, Place::Memory);
    let mut config = EngineConfig::default();
    // Nobody repairs a session during a run, and what is not kept is consumed as it comes.
    config.give_up_early = true;
    config.store_reports = kept;
    if kept {
        config.worker = Some(WorkerId::new(worker_name(batch)));
        config.lease = LEASE;
    }
    let built = world.engine(settings, &stores, config, Arc::clone(&requests), &voice).await?;
    let interrupt =
        signals::listen(voice.clone(), GRACE, hint.clone()).context("cannot listen for signals")?;
    let run = Run {
        engine: built.engine,
        jobs: Jobs {
            queue: Arc::clone(&stores.queue),
            batch,
            queues: Arc::new(built.queues),
            kept,
            shared: matches!(place, Place::Store(_)),
            resumed,
        },
        writer: output::standard(settings.format, list.order()),
        voice: voice.clone(),
        deadline: settings.deadline.0,
        grace: GRACE,
        interrupt,
    };
    let result = run.check(list).await;
    drop(stores);
    match result {
        Ok(mut summary) => {
            summary.requests = Some(requests.load(Ordering::Relaxed));
            say(&summary, hint.as_deref(), &voice);
            if let (Place::File(file), false) = (place, can_go_on(&summary)) {
                file.remove();
            }
            Ok(summary.exit_code())
        }
        // Who reads the results has enough of them.
        Err(error) if is_broken_pipe(&error) => {
            if let Place::File(file) = place {
                file.remove();
            }
            Ok(0)
        }
        Err(error) => {
            crate::complain(&error);
            hint.iter().for_each(|hint| voice.say(hint));
            Ok(1)
        }
    }
}

fn say(summary: &Summary, hint: Option<&str>, voice: &Voice) {
    summary.causes.lines().into_iter().for_each(|line| voice.say(line));
    if summary.is_empty() && !summary.interrupted {
        voice.say("there was nothing to check: the list is empty");
    }
    voice.say(summary);
    if can_go_on(summary) {
        hint.iter().for_each(|hint| voice.say(hint));
    }
}

/// Whether another run has something left to do.
const fn can_go_on(summary: &Summary) -> bool {
    summary.left > 0 || summary.cut
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
