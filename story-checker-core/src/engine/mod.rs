//! The engine: puts the ports together and keeps the promises.
//!
//! ```text
//! submit ── JobQueue.enqueue
//! dispatcher: how many pairs are ready, how many requests may go?
//!   └ claims at most that many jobs, leased and fenced          nothing ready → sleeps, claims nothing
//!       └ leases a pair (session + its home proxy), groups targets up to the checker's max_batch
//!           └ Checker.check(&[Target], cx)      each request takes a pass of the gate
//!       └ per target: Report | Fault ─ retry::decide ─ Done | Retry | Defer | Release | Dead
//! settler: stores outcomes in batches, then hands out events
//! beat:    renews all leases at once, learns of cancellations, tidies up
//! ```
//!
//! # Examples
//! ```
//! # use std::sync::Arc;
//! # use story_checker_core::cache::InMemoryCache;
//! # use story_checker_core::checker::{CheckContext, Checker, CheckerProfile};
//! # use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
//! # use story_checker_core::queue::InMemoryJobQueue;
//! # use story_checker_core::session::InMemorySessionStore;
//! # use story_checker_core::*;
//! # #[derive(Debug)]
//! # struct Nothing(CheckerProfile);
//! # impl std::fmt::Display for Nothing {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("nothing") }
//! # }
//! # #[async_trait::async_trait]
//! # impl Checker for Nothing {
//! #     fn profile(&self) -> &CheckerProfile { &self.0 }
//! #     async fn check(&self, targets: &[Target], _: &CheckContext) -> Vec<Result<Report, Fault>> {
//! #         let report = |target: &Target| Ok(Report::new(target.clone(), Verdict::NoStory, Evidence::new("nothing/1"), Timings::default()));
//! #         targets.iter().map(report).collect()
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # let checker = Nothing(CheckerProfile::new(Platform::INSTAGRAM));
//! let clock = Arc::new(SystemClock::new());
//! let engine = Engine::builder()
//!     .checker(Arc::new(checker))
//!     .queue(Arc::new(InMemoryJobQueue::new(clock.clone())))
//!     .sessions(Arc::new(InMemorySessionStore::new(clock.clone())))
//!     .build()?
//!     .start()
//!     .await?;
//! let mut events = engine.subscribe(64, Overflow::Wait);
//! engine.submit(["instagram/account/tea_house".parse()?], SubmitOptions::default()).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Reported { report, .. } = event {
//!         println!("{}: {}", report.target.handle(), report.verdict.as_str());
//!         break;
//!     }
//! }
//! engine.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```

mod beat;
mod breakers;
mod census;
mod config;
mod doctor;
mod event;
mod handle;
mod job;
mod lane;
mod lesson;
mod loans;
mod meter;
mod pool;
mod probes;
mod remember;
mod run;
mod running;
mod shared;
mod status;
mod suspects;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::config::EngineConfig;
pub use self::doctor::{Bottleneck, Diagnosis, ProxyUse, Shares, Wait, diagnose};
use self::event::Bus;
pub use self::event::{Event, Overflow, Subscription};
pub use self::handle::{Drained, EngineHandle, EngineStats, SubmitOptions, Submitted};
pub use self::job::{check_job, check_queue, read_check};
use self::lane::Lane;
use self::meter::Meter;
use self::pool::Pool;
pub use self::pool::{SessionOutcome, SessionView};
use self::running::Running;
use self::shared::{Counters, Shared, Space};
pub use self::status::{WorkerStatus, read_status};
use crate::cache::{Cache, InMemoryCache};
use crate::checker::Checker;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::id::{IdSource, WorkerId};
use crate::proxy::{Probe, ProxySource};
use crate::queue::{JobQueue, QueueControl};
use crate::session::SessionStore;

/// An engine that is put together and not yet running.
#[derive(Debug)]
#[must_use = "an engine does nothing until it is started"]
pub struct Engine(Arc<Shared>);

/// Puts an engine together: checkers, queue and session store are needed, the rest has defaults.
#[derive(Debug, Default)]
pub struct EngineBuilder {
    checkers: Vec<Arc<dyn Checker>>,
    queue: Option<Arc<dyn JobQueue>>,
    sessions: Option<Arc<dyn SessionStore>>,
    proxies: Option<Arc<dyn ProxySource>>,
    probe: Option<Arc<dyn Probe>>,
    cache: Option<Arc<dyn Cache>>,
    board: Option<Arc<dyn Cache>>,
    clock: Option<Arc<dyn Clock>>,
    gate: Option<Arc<Gate>>,
    config: EngineConfig,
}

impl Engine {
    /// Begins to put an engine together.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Subscribes to events from the first one on: a durable queue may hold jobs already. Else as
    /// [`EngineHandle::subscribe`].
    #[must_use]
    pub fn subscribe(&self, capacity: usize, overflow: Overflow) -> Subscription {
        self.0.bus.subscribe(capacity, overflow)
    }

    /// Starts the engine on the current tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the list of proxies cannot be read or
    /// the queue cannot be reached.
    ///
    /// # Cancel safety
    /// Safe: nothing runs before it returns.
    pub async fn start(self) -> Result<EngineHandle> {
        let shared = self.0;
        shared.pool.reload_proxies().await?;
        if let Some(max) = shared.config.max_queued {
            let control = QueueControl { max_len: Some(Some(max)), ..QueueControl::default() };
            for lane in &shared.lanes {
                shared.queue.configure(&lane.queue, control).await?;
            }
        }
        let (ended, watch) = watch::channel(false);
        remember::recall(&shared).await;
        let handle = EngineHandle::new(Arc::clone(&shared), watch);
        tokio::spawn(async move {
            tasks::supervise(shared).await;
            ended.send_replace(true);
        });
        Ok(handle)
    }
}

impl EngineBuilder {
    /// Adds a checker. Each platform and kind of target may have one.
    #[must_use]
    pub fn checker(mut self, checker: Arc<dyn Checker>) -> Self {
        self.checkers.push(checker);
        self
    }

    /// Where jobs are kept.
    #[must_use]
    pub fn queue(mut self, queue: Arc<dyn JobQueue>) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Where sessions are kept.
    #[must_use]
    pub fn sessions(mut self, sessions: Arc<dyn SessionStore>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// The ways out. With a source, no request ever leaves directly, even if its list is empty.
    #[must_use]
    pub fn proxies(mut self, proxies: Arc<dyn ProxySource>) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// What tells whether a proxy works. With it a proxy whose rest is over is probed before it is
    /// used again; else the first check through it goes alone.
    #[must_use]
    pub fn probe(mut self, probe: Arc<dyn Probe>) -> Self {
        self.probe = Some(probe);
        self
    }

    /// What checks remember; in memory by default.
    #[must_use]
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Where this worker says how it goes ([`read_status`]); the cache by default.
    #[must_use]
    pub fn board(mut self, board: Arc<dyn Cache>) -> Self {
        self.board = Some(board);
        self
    }

    /// The time; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A gate that several engines of one process share.
    #[must_use]
    pub fn gate(mut self, gate: Arc<Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// Checks that everything is there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) that names what is missing, or stands
    /// twice.
    pub fn build(self) -> Result<Engine> {
        const OPERATION: &str = "build the engine";
        let missing = |what: &str, call: &str| {
            Error::invalid(OPERATION, format!("{what} is missing: call `{call}` on the builder"))
        };
        let queue = self.queue.ok_or_else(|| missing("a job queue", "queue"))?;
        let sessions = self.sessions.ok_or_else(|| missing("a session store", "sessions"))?;
        if self.checkers.is_empty() {
            return Err(missing("a checker", "checker"));
        }
        let mut lanes: Vec<Arc<Lane>> = Vec::new();
        for checker in &self.checkers {
            for lane in Lane::of(checker, &self.config) {
                if let Some(twin) = lanes.iter().find(|twin| twin.queue == lane.queue) {
                    let both = format!(
                        "{} and {} both answer for {} of {}: use one of them",
                        twin.checker,
                        lane.checker,
                        lane.kind.as_str(),
                        lane.platform
                    );
                    return Err(Error::invalid(OPERATION, both));
                }
                lanes.push(Arc::new(lane));
            }
        }
        let config = self.config;
        if config.lease.is_zero() {
            return Err(Error::invalid(OPERATION, "the lease's time is zero"));
        }
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let cache = self.cache.unwrap_or_else(|| Arc::new(InMemoryCache::new(Arc::clone(&clock))));
        let gate = match self.gate {
            Some(gate) => gate,
            None => {
                let gate = Gate::new(Arc::clone(&clock)).with_breakers(config.breakers);
                Arc::new(gate.map_err(|error| Error::invalid(OPERATION, error.to_string()))?)
            }
        };
        let ids = IdSource::new(config.seed);
        let made_up = || WorkerId::new(format!("worker-{}", ids.batch(clock.now())));
        let worker = config.worker.clone().unwrap_or_else(made_up);
        let bus = Arc::new(Bus::new());
        let abort = CancellationToken::new();
        let pool = Pool::new(
            sessions,
            self.proxies,
            self.probe,
            Arc::clone(&clock),
            Arc::clone(&gate),
            Arc::clone(&bus),
            worker.clone(),
            &config,
            abort.clone(),
        );
        Ok(Engine(Arc::new(Shared {
            config,
            worker,
            lanes,
            queue,
            clock,
            gate,
            pool: Arc::new(pool),
            bus,
            ids,
            running: Running::default(),
            groups: AtomicUsize::new(0),
            checks: TaskTracker::new(),
            counters: Counters::default(),
            meter: Meter::default(),
            board: self.board.unwrap_or_else(|| Arc::clone(&cache)),
            cache,
            paused: AtomicBool::new(false),
            last_try: Arc::new(Semaphore::new(1)),
            wake: Notify::new(),
            space: Space::default(),
            stop: CancellationToken::new(),
            abort,
        })))
    }
}
