//! What came out of all runs.

use std::fmt;

use crate::case::Case;
use crate::diary::{Counts, Kind};
use crate::run::Outcome;

/// So many of the answerable checks must be answered, in hundredths of a percent.
const AIM: u64 = 9_950;

/// The sums of all runs.
#[derive(Debug)]
pub(crate) struct Totals {
    case: Case,
    runs: u64,
    checks: u64,
    answerable: u64,
    answered: u64,
    counts: Counts,
    clean: bool,
}

impl Totals {
    pub(crate) const fn new(case: Case) -> Self {
        let counts = Counts::new();
        Self { case, runs: 0, checks: 0, answerable: 0, answered: 0, counts, clean: true }
    }

    /// Adds a run; one with findings tells them, and how to see it again.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.checks += outcome.checks;
        self.answerable += outcome.answerable;
        self.answered += outcome.answered;
        for (kind, count) in &outcome.counts {
            *self.counts.entry(*kind).or_default() += count;
        }
        let Outcome { seed, requests, digest, .. } = outcome;
        let (case, took) = (self.case.word(), outcome.took.as_secs_f64());
        let share = share(outcome.answered, outcome.answerable);
        println!(
            "seed {seed}: {} checks, {requests} requests, completion {}, digest {digest:016x}, {took:.1} s",
            outcome.checks,
            Percent(share)
        );
        if outcome.counts.is_empty() && share >= AIM {
            return;
        }
        self.clean = false;
        outcome.told.iter().for_each(|text| println!("  {text}"));
        outcome.worst.iter().for_each(|text| println!("  {text}"));
        println!("  replay: tests/sim --case {case} --seed {seed} --trace");
    }

    /// Whether every run reached the aim, and nothing was found.
    pub(crate) const fn is_clean(&self) -> bool {
        self.clean
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, case) = (self.runs, self.case.word());
        let completion = Percent(share(self.answered, self.answerable));
        let checks = Grouped(self.checks);
        write!(f, "sim: {runs} seeds {case}: checks {checks}, completion {completion} (aim 99.5)")?;
        let of = |kind| self.counts.get(&kind).copied().unwrap_or_default();
        Kind::ALL.iter().try_for_each(|kind| write!(f, ", {} {}", kind.word(), of(*kind)))
    }
}

/// In hundredths of a percent; all of nothing.
fn share(part: u64, whole: u64) -> u64 {
    (part * 10_000).checked_div(whole).unwrap_or(10_000)
}

struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} %", self.0 / 100, self.0 % 100)
    }
}

/// A number with its thousands apart.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1_000 {
            return write!(f, "{}", self.0);
        }
        write!(f, "{},{:03}", Self(self.0 / 1_000), self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(Grouped(7).to_string(), "7");
        assert_eq!(Grouped(1_007).to_string(), "1,007");
        assert_eq!(Grouped(12_480_000).to_string(), "12,480,000");
        assert_eq!(Percent(share(9_983, 10_000)).to_string(), "99.83 %");
        assert_eq!(share(0, 0), 10_000);
    }
}
