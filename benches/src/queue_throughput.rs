//! Jobs without work through a whole engine: claimed, dispatched, settled with their report. In turn
//! with apalis on the same store, and beside what the store does alone.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use story_checker_benches::Figure;
use story_checker_core::engine::{EngineConfig, Event, Overflow};
use story_checker_core::queue::{Outcome, Retention};

use crate::jobs;
use crate::process::{BoxError, median};
use crate::store::{Opened, Store};

/// The first argument of a process that runs one engine only, for a profiler.
pub(crate) const PROFILE_ROLE: &str = "--profile-queue";

/// Where `benches/run` has built the peers; without it they are left out.
const PEERS: &str = "STORY_CHECKER_PEERS";

const NAME: &str = "queue_throughput";
const PAYLOAD: usize = 200;
const JOBS: usize = 100_000;
const ROUNDS: usize = 5;

/// What a store should reach, and what its peer can do at all.
struct Aims {
    engine: Option<f64>,
    enqueue: Option<f64>,
    ratio: f64,
    /// apalis-redis jams above 8,000 due jobs; apalis-sqlite needs a minute for as many.
    peer_jobs: usize,
    peer_rounds: usize,
}

const fn aims(store: Store) -> Aims {
    match store {
        Store::Memory => {
            Aims { engine: None, enqueue: None, ratio: 0.0, peer_jobs: 0, peer_rounds: 0 }
        }
        Store::Sqlite => Aims {
            engine: Some(25_000.0),
            enqueue: Some(60_000.0),
            ratio: 50.0,
            peer_jobs: 5_000,
            peer_rounds: 3,
        },
        Store::Redis => Aims {
            engine: Some(30_000.0),
            enqueue: Some(60_000.0),
            ratio: 1.25,
            peer_jobs: 7_000,
            peer_rounds: 9,
        },
    }
}

/// Jobs a second.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Speed {
    enqueue: f64,
    process: f64,
}

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for store in Store::ALL {
        let aims = aims(store);
        let name = store.name();
        let (mut enqueue, mut process) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let speed = runtime.block_on(ours(store, JOBS))?;
            enqueue.push(speed.enqueue);
            process.push(speed.process);
        }
        let figure = |what: &str, value: f64, aim: Option<f64>| {
            let figure = format!("{name}_{what}");
            match aim {
                Some(aim) => Figure::at_least(NAME, &figure, value, "jobs/s", aim),
                None => Figure::info(NAME, &figure, value, "jobs/s"),
            }
        };
        print(figure("enqueue", median(enqueue), aims.enqueue));
        print(figure("engine", median(process), aims.engine));
        for (what, loops) in [("alone", 1), ("alone_4_loops", 4)] {
            print(figure(what, runtime.block_on(alone(store, loops))?, None));
        }
        if let Ok(program) = std::env::var(PEERS)
            && aims.peer_rounds > 0
        {
            let (mut peer, mut peer_enqueue, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..aims.peer_rounds {
                let own = || runtime.block_on(ours(store, aims.peer_jobs));
                let other = || runtime.block_on(theirs(store, &program, aims.peer_jobs));
                // Whoever goes second must not always be the same.
                let (own, other) = if round % 2 == 0 {
                    let own = own()?;
                    (own, other()?)
                } else {
                    let other = other()?;
                    (own()?, other)
                };
                peer.push(other.process);
                peer_enqueue.push(other.enqueue);
                ratio.push(own.process / other.process);
            }
            print(figure("apalis_enqueue", median(peer_enqueue), None));
            print(figure("apalis", median(peer), None));
            let what = format!("{name}_ratio");
            print(Figure::at_least(NAME, &what, median(ratio), "of apalis", aims.ratio));
        }
    }
    Ok(())
}

/// Enqueues so many jobs, and lets an engine with default settings work them off.
async fn ours(store: Store, count: usize) -> Result<Speed, BoxError> {
    let opened = store.open(Retention::default()).await?;
    let begun = Instant::now();
    jobs::fill(&opened.queue, jobs::new_batch(), count, PAYLOAD, |_| {}).await?;
    let enqueue = per_second(count, begun);
    let process = engine(&opened, count).await?;
    Ok(Speed { enqueue, process })
}

async fn engine(opened: &Opened, count: usize) -> Result<f64, BoxError> {
    let engine = jobs::engine(&opened.queue, None, EngineConfig::default())?;
    let mut events = engine.subscribe(1_024, Overflow::Wait);
    let begun = Instant::now();
    let engine = engine.start().await?;
    let mut left = count;
    while left > 0 {
        match events.next().await.ok_or("the engine has ended")? {
            Event::Reported { .. } => left -= 1,
            other => return Err(format!("not a report: {other:?}").into()),
        }
    }
    let speed = per_second(count, begun);
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(speed)
}

/// The store alone: claims and settles batches of 100, in so many loops at once.
async fn alone(store: Store, loops: usize) -> Result<f64, BoxError> {
    let opened = store.open(Retention::default()).await?;
    jobs::fill(&opened.queue, jobs::new_batch(), JOBS, PAYLOAD, |_| {}).await?;
    let done = Outcome::Done { result: Bytes::from_static(&[b'r'; 16]) };
    let begun = Instant::now();
    let drains = (0..loops).map(|_| jobs::drain(&opened.queue, JOBS, 100, &done));
    let drained: usize = futures_util::future::try_join_all(drains).await?.into_iter().sum();
    if drained != JOBS {
        return Err(format!("{drained} of {JOBS} jobs came back").into());
    }
    Ok(per_second(JOBS, begun))
}

async fn theirs(store: Store, program: &str, count: usize) -> Result<Speed, BoxError> {
    let place = store.place()?;
    let out = Command::new(program)
        .args([store.name(), &place.address, &count.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !out.status.success() {
        return Err(format!("{program} {} failed", store.name()).into());
    }
    Ok(serde_json::from_slice(&out.stdout)?)
}

fn per_second(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

/// One store and so many jobs: for `perf` and its like.
pub(crate) fn profile(arguments: &[String]) -> Result<(), BoxError> {
    let store = Store::named(arguments.first().ok_or("say which store")?)?;
    let count = arguments.get(1).map_or(Ok(JOBS), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let speed = runtime.block_on(ours(store, count))?;
    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{speed:?}\n"))?;
    Ok(())
}
