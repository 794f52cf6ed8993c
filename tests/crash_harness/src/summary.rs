//! What a run prints: its counts, its findings, and the audit in one line.

use std::fmt::Write;
use std::path::Path;

use crate::audit::{Counts, Rule};
use crate::plan::Amounts;
use crate::run::Outcome;

/// How many findings of each rule are printed.
const SHOWN: usize = 10;

pub(crate) fn print(store: &str, seed: u64, folder: &Path, amounts: &Amounts, outcome: &Outcome) {
    print!("{}", counts(outcome));
    for rule in Rule::ALL {
        let of_rule = || outcome.audit.findings.iter().filter(|finding| finding.rule == rule);
        for finding in of_rule().take(SHOWN) {
            println!("FINDING  {rule}: {}", finding.text);
        }
        let more = of_rule().count().saturating_sub(SHOWN);
        if more > 0 {
            println!("FINDING  {rule}: and {more} more");
        }
    }
    if !outcome.audit.findings.is_empty() {
        println!("ledgers and logs: {}", folder.display());
    }
    println!("{}", last_line(store, seed, amounts, outcome));
}

fn counts(outcome: &Outcome) -> String {
    let Counts {
        ends,
        claims,
        executions,
        settled,
        stale,
        already,
        failed,
        reaped,
        outages,
        zombies,
        deaths,
        poison,
    } = &outcome.audit.counts;
    let mut text = String::new();
    let list = |items: Vec<String>| items.join(", ");
    let ends = list(ends.iter().map(|(end, many)| format!("{many} {end}")).collect());
    let deaths = list(deaths.iter().map(|(death, many)| format!("{many} {death}")).collect());
    _ = writeln!(text, "jobs: {} ({ends})", outcome.jobs);
    _ = writeln!(text, "workers: {} lives; deaths: {deaths}", outcome.workers);
    _ = writeln!(
        text,
        "claims {claims}, executions {executions}, settled {settled}, stale settlements {stale}, \
         settled already {already}, failed calls {failed}, reaped {reaped}"
    );
    _ = writeln!(
        text,
        "zombies {zombies}, outages {outages}, poison jobs {} executed {} times",
        poison.0, poison.1
    );
    text
}

fn last_line(store: &str, seed: u64, amounts: &Amounts, outcome: &Outcome) -> String {
    let Counts { outages, zombies, .. } = outcome.audit.counts;
    let kills = outcome.kills;
    let promises: Vec<_> =
        Rule::ALL.iter().map(|rule| format!("{rule} {}", outcome.audit.count(*rule))).collect();
    let verdict = if outcome.audit.findings.is_empty() { "OK" } else { "FAILED" };
    format!(
        "crash {store} seed {seed}: {} jobs, {} workers, {kills} kills, {zombies} zombies, {outages} \
         restarts: {}: {verdict} in {:.0} s",
        outcome.jobs,
        amounts.workers,
        promises.join(", "),
        outcome.time.as_secs_f64()
    )
}
