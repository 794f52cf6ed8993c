//! Runs the compiled benches: `bench [NAME…]`, `bench --list`. Usually called by `benches/run`.

mod canned;
mod http_overhead;
mod parse;
mod platform;
mod process;

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
];

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    // The same binary is also the other process of a bench.
    let role = match names.first().map(String::as_str) {
        Some(platform::ROLE) => Some(platform::serve(&names[1..])),
        Some(http_overhead::PROFILE_ROLE) => Some(http_overhead::profile(&names[1..])),
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
