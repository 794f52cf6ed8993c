//! What is done to the workers and the store, and when: made from a seed before anything starts.

use std::time::Duration;

use crate::dice::Dice;
use crate::spot::Spot;

/// How much is done in a run.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Amounts {
    /// Jobs.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) jobs: usize,
    /// Worker processes at the same time.
    #[arg(long, default_value_t = 4)]
    pub(crate) workers: usize,
    /// Workers killed by SIGKILL, those that die of their jobs not counted.
    #[arg(long, default_value_t = 40)]
    pub(crate) kills: usize,
    /// Workers stopped for two leases.
    #[arg(long, default_value_t = 10)]
    pub(crate) zombies: usize,
    /// How often the store is taken away for a while.
    #[arg(long, default_value_t = 3)]
    pub(crate) restarts: usize,
}

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The doomed batch is cancelled.
    Cancel,
    /// A worker is stopped for two leases.
    Freeze,
    /// A worker is killed: at a point of its work, or at any moment.
    Kill(Option<Spot>),
    /// The store is taken away for so long.
    Outage(Duration),
}

/// What is done when.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Since the start, by time.
    pub(crate) steps: Vec<(Duration, Step)>,
    /// The last step comes before.
    pub(crate) time: Duration,
}

impl Plan {
    /// Steps come at random moments, so some come together.
    pub(crate) fn new(amounts: &Amounts, lease: Duration, dice: &mut Dice) -> Self {
        const EACH: u64 = 1_000;
        let mut steps = vec![];
        // Every point has its turn before one comes twice.
        let mut spots = Spot::ALL;
        dice.shuffle(&mut spots);
        let spots = spots.iter().cycle();
        let half = spots.take(amounts.kills / 2).map(|spot| Step::Kill(Some(*spot)));
        steps.extend(half);
        steps.resize(amounts.kills, Step::Kill(None));
        steps.extend(vec![Step::Freeze; amounts.zombies]);
        for number in 0..amounts.restarts {
            // Shorter and longer than a lease in turn.
            let part = lease * u32::try_from(dice.between(30, 80)).unwrap_or(50) / 100;
            steps.push(Step::Outage(if number % 3 == 1 { part + lease } else { part }));
        }
        let millis = 4_000 + steps.len() as u64 * EACH;
        let mut steps: Vec<_> = steps
            .into_iter()
            .map(|step| (Duration::from_millis(dice.between(1_000, millis - 1_000)), step))
            .collect();
        steps.push((Duration::from_millis(millis / 4), Step::Cancel));
        steps.sort_by_key(|(at, _)| *at);
        Self { steps, time: Duration::from_millis(millis) }
    }

    /// How long one target takes, so that there is work to the end of the plan.
    pub(crate) fn pace(&self, jobs: usize, at_once: usize) -> Duration {
        let at_once = u32::try_from(at_once).unwrap_or(u32::MAX);
        self.time * at_once / u32::try_from(jobs.max(1)).unwrap_or(u32::MAX) * 4 / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMOUNTS: Amounts = Amounts { jobs: 100, workers: 4, kills: 40, zombies: 10, restarts: 3 };
    const LEASE: Duration = Duration::from_secs(2);

    #[test]
    fn a_plan_does_as_much_as_it_is_told_and_its_seed_repeats_it() {
        let plan = Plan::new(&AMOUNTS, LEASE, &mut Dice::new(7));
        let count =
            |which: fn(&Step) -> bool| plan.steps.iter().filter(|(_, step)| which(step)).count();
        assert_eq!(count(|step| matches!(step, Step::Kill(None))), 20);
        assert_eq!(count(|step| matches!(step, Step::Kill(Some(_)))), 20);
        assert_eq!(count(|step| *step == Step::Freeze), 10);
        assert_eq!(count(|step| matches!(step, Step::Outage(_))), 3);
        assert_eq!(count(|step| matches!(step, Step::Outage(time) if *time > LEASE)), 1);
        assert_eq!(count(|step| *step == Step::Cancel), 1);
        for spot in Spot::ALL {
            assert!(plan.steps.iter().any(|(_, step)| *step == Step::Kill(Some(spot))), "{spot}");
        }
        assert!(plan.steps.is_sorted_by_key(|(at, _)| *at));
        assert!(plan.steps.iter().all(|(at, _)| *at < plan.time));
        assert_eq!(plan.steps, Plan::new(&AMOUNTS, LEASE, &mut Dice::new(7)).steps);
        assert_ne!(plan.steps, Plan::new(&AMOUNTS, LEASE, &mut Dice::new(8)).steps);
    }
}
