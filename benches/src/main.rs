//! Runs the compiled benches: `bench [NAME…]`, `bench --list`. Usually called by `benches/run`.

use std::{env, io, process::ExitCode};

use story_checker_benches::{Bench, run};

/// Every compiled bench, in the order in which they run.
const BENCHES: &[Bench] = &[];

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    ExitCode::from(run(BENCHES, &names, &mut io::stdout().lock(), &mut io::stderr().lock()))
}
