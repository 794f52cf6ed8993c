//! `story-checker check`: puts a run together.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tracing_subscriber::EnvFilter;

use crate::args::CheckArgs;
use crate::demo::Demo;
use crate::output;
use crate::progress::Voice;
use crate::run::Run;
use crate::settings::Settings;
use crate::signals;
use crate::targets::TargetList;
use crate::world::World;

const NO_TARGETS: &str = "there is nothing to check: name accounts, a list, or - for standard input
  for example: story-checker check --demo examples/accounts.txt";

/// After an interruption: shorter than the patience of most supervisors (10 s).
const GRACE: Duration = Duration::from_secs(8);

/// Checks what was asked for; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no run.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let mut settings =
        Settings::resolve(args.settings.layer(), args.settings.store.config.as_deref())?;
    let voice = Voice::new(settings.progress, settings.quiet);
    start_log(&settings.log, &voice)?;
    let mut names = args.targets.clone();
    if names.is_empty() && args.files.is_empty() {
        if io::stdin().is_terminal() {
            bail!(NO_TARGETS);
        }
        names.push("-".to_owned());
    }
    let list = TargetList::open(&names, &args.files, settings.platform)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let demo = match args.demo {
            true => Some(Demo::start(args.demo_seed, &mut settings, &voice).await?),
            false => None,
        };
        let world = match &demo {
            Some(demo) => demo.world()?,
            None => World::real(&settings, &voice)?,
        };
        run(list, world, &settings, voice).await
    });
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    code
}

async fn run(
    list: TargetList,
    world: World,
    settings: &Settings,
    voice: Voice,
) -> anyhow::Result<u8> {
    let requests = Arc::new(AtomicU64::new(0));
    let engine = world.engine(settings, Arc::clone(&requests)).await?;
    let interrupt = signals::listen(voice.clone()).context("cannot listen for signals")?;
    let run = Run {
        engine,
        writer: output::standard(settings.format),
        voice: voice.clone(),
        deadline: settings.deadline.0,
        grace: GRACE,
        interrupt,
    };
    match run.check(list).await {
        Ok(mut summary) => {
            summary.requests = Some(requests.load(Ordering::Relaxed));
            summary.causes.lines().into_iter().for_each(|line| voice.say(line));
            voice.say(&summary);
            Ok(summary.exit_code())
        }
        // Who reads the results has enough of them.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => {
            crate::complain(&anyhow!(error).context("cannot write the results"));
            Ok(1)
        }
    }
}

fn start_log(filter: &str, voice: &Voice) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| anyhow!("{filter:?} is no filter for the log: {error}"))?;
    let voice = voice.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let log = log.with_writer(move || voice.clone()).try_init();
    log.map_err(|error| anyhow!("cannot start the log: {error}"))
}
