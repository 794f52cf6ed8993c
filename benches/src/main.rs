//! Runs the compiled benches: `bench [NAME…]`, `bench --list`. Usually called by `benches/run`.

#![expect(
    clippy::future_not_send,
    reason = "each bench has a runtime of one thread, or stays on it"
)]

mod canned;
mod http_overhead;
mod jobs;
mod parse;
mod platform;
mod pools;
mod process;
mod queue_latency;
mod queue_memory;
mod queue_scale;
mod queue_throughput;
mod store;

use std::{env, io, process::ExitCode};

use story_checker_benches::{Bench, run};

/// That of the command line tool, for both sides of every comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Every compiled bench, in the order in which they run.
const BENCHES: &[Bench] = &[
    Bench::new(
        "http_overhead",
        "the whole engine over HTTP against a bare reqwest loop; requests per answer; memory",
        http_overhead::run,
    ),
    Bench::new(
        "parse",
        "understanding an answer of 3 kB: parsers alone, and whole checks without network",
        parse::run,
    ),
    Bench::new(
        "queue_throughput",
        "jobs without work through a whole engine, in turn with apalis; the store alone; enqueuing",
        queue_throughput::run,
    ),
    Bench::new(
        "queue_scale",
        "claims, and changes of a batch, with a million jobs ready or ended against a small queue",
        queue_scale::run,
    ),
    Bench::new("queue_memory", "bytes of memory, file or server per queued job", queue_memory::run),
    Bench::new(
        "queue_latency",
        "from enqueuing to the check while the engine is idle, in process and from another one",
        queue_latency::run,
    ),
    Bench::new(
        "pools",
        "selecting among 100,000 proxies; memory per proxy and per key of the gate",
        pools::run,
    ),
];

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    // The same binary is also the other process of a bench.
    let role = match names.first().map(String::as_str) {
        Some(platform::ROLE) => Some(platform::serve(&names[1..])),
        Some(http_overhead::PROFILE_ROLE) => Some(http_overhead::profile(&names[1..])),
        Some(queue_latency::ROLE) => Some(queue_latency::serve(&names[1..])),
        Some(pools::ROLE) => Some(pools::one(&names[1..])),
        Some(queue_memory::ROLE) => Some(queue_memory::one(&names[1..])),
        Some(queue_throughput::PROFILE_ROLE) => Some(queue_throughput::profile(&names[1..])),
        Some(queue_scale::PROFILE_ROLE) => Some(queue_scale::profile(&names[1..])),
        Some(http_overhead::STREAM_ROLE) => Some(http_overhead::stream(&names[1..])),
        _ => None,
    };
    match role {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            use io::Write;
            let _ = writeln!(io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
        None => {
            ExitCode::from(run(BENCHES, &names, &mut io::stdout().lock(), &mut io::stderr().lock()))
        }
    }
}
