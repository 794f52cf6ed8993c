//! A worker process: the real engine on the real store, with a ledger.

use std::io::BufRead;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use story_checker_core::engine::{Engine, EngineConfig, EngineHandle};
use story_checker_core::queue::JobQueue;
use story_checker_core::session::InMemorySessionStore;
use story_checker_core::{SystemClock, WorkerId};
use tokio::sync::oneshot;

use crate::checker::Sleeper;
use crate::ledger::{Entry, Ledger};
use crate::store;
use crate::trap::Trap;
use crate::watched::Watched;

/// Calls of the checker at the same time: few, so that a death costs few jobs a crash.
pub(crate) const SLOTS: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");

/// How often a job may lose its worker.
pub(crate) const MAX_CRASHES: u32 = 3;

/// How long running checks may take once it is told to leave.
const GRACE: Duration = Duration::from_secs(8);

/// What a worker is told by its command line.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The address of the store.
    #[arg(long)]
    pub(crate) store: String,
    /// Where its ledger goes.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Its name, with the number of its life.
    #[arg(long)]
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) lease_ms: u64,
    /// How long one target takes.
    #[arg(long)]
    pub(crate) pace_us: u64,
}

/// Works until its standard input ends. A line of it names the point at which to die.
pub(crate) async fn run(args: WorkerArgs) -> Result<()> {
    let ledger = Arc::new(Ledger::create(&args.folder, &args.name)?);
    let trap = Arc::new(Trap::default());
    let (left, leave) = oneshot::channel();
    listen(Arc::clone(&trap), left);
    let inner = store::open_patiently(&args.store).await?;
    let queue = Arc::new(Watched::new(inner, Arc::clone(&ledger), Arc::clone(&trap)));
    let times = (Duration::from_millis(args.lease_ms), Duration::from_micros(args.pace_us));
    let engine = engine(&args.name, queue, &ledger, &trap, times).await?;
    // An error means that the listener is gone, and so is whoever it listens to.
    _ = leave.await;
    let drained = engine.shutdown(GRACE).await;
    anyhow::ensure!(drained.in_time, "the shutdown took longer than {GRACE:?}");
    ledger.write(&Entry::Left);
    Ok(())
}

/// The engine of a worker, at work; `times` are those of a lease and of one target.
pub(crate) async fn engine(
    name: &str,
    queue: Arc<dyn JobQueue>,
    ledger: &Arc<Ledger>,
    trap: &Arc<Trap>,
    (lease, pace): (Duration, Duration),
) -> Result<EngineHandle> {
    let checker = Sleeper::new(Arc::clone(ledger), Arc::clone(trap), pace, lease);
    let mut config = EngineConfig::default();
    config.worker = Some(WorkerId::new(name));
    config.max_in_flight = SLOTS;
    config.max_crashes = MAX_CRASHES;
    config.lease = lease;
    let engine = Engine::builder()
        .checker(Arc::new(checker))
        .queue(queue)
        .sessions(Arc::new(InMemorySessionStore::new(Arc::new(SystemClock::new()))))
        .config(config)
        .build()?;
    Ok(engine.start().await?)
}

fn listen(trap: Arc<Trap>, left: oneshot::Sender<()>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.parse() {
                Ok(spot) => trap.arm(spot),
                Err(error) => tracing::error!(%error, "an order was not understood"),
            }
        }
        _ = left.send(());
    });
}
