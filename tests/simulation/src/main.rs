//! Days of operation on simulated time: the real engine, pools, gate, queue and web checker against
//! the simulated platform, audited.
//!
//! `simulation SEEDS` makes one run for each seed; `tests/sim` builds and calls it, and
//! docs/SIMULATION.md says what it proves. The totals are the last line; the exit code is 1 if
//! anything was found.

#![expect(clippy::print_stdout, reason = "the audit is what this program is for")]

mod cable;
mod case;
mod diary;
mod dice;
mod ledger;
mod plan;
mod proxies;
mod run;
mod totals;
mod verdict;
mod weather;
mod wire;
mod world;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use story_checker_sim::Timestamp as SimTime;

use crate::case::Case;
use crate::plan::Plan;
use crate::run::{Outcome, run};
use crate::totals::Totals;
use crate::world::START;

/// Days of operation on simulated time, audited.
#[derive(Debug, Parser)]
#[command(name = "tests/sim")]
struct Args {
    /// How many seeds, from 1 on: one run of 24 hours for each.
    #[arg(default_value_t = 1)]
    seeds: u64,
    /// How large the runs are.
    #[arg(long, default_value = "small")]
    case: Case,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints what happens: requests, answers, settlements, states, and what goes wrong.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Nothing goes wrong.
    #[arg(long)]
    quiet: bool,
    /// Runs at the same time.
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.trace {
        tracing_subscriber::fmt()
            .without_time()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .init();
    }
    let seeds = args.seed.map_or(1..=args.seeds, |seed| seed..=seed);
    let (next, last) = (AtomicU64::new(*seeds.start()), *seeds.end());
    let totals = Mutex::new(Totals::new(args.case));
    let begun = Instant::now();
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                return Ok(());
            }
            let outcome = one(&args, seed)?;
            totals.lock().unwrap_or_else(PoisonError::into_inner).add(&outcome);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads.get()).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} in {:.0} s", totals, begun.elapsed().as_secs_f64());
    Ok(if totals.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(args: &Args, seed: u64) -> Result<Outcome> {
    let plan = if args.quiet {
        Plan::quiet()
    } else {
        Plan::of(seed, args.case, SimTime::from_unix_secs(START))
    };
    run(seed, args.case, &plan, args.trace)
}
