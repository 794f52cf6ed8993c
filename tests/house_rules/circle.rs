//! Finds circles in a graph of modules.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

/// From → to → where the first such arrow stands.
pub(crate) type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// A way from a module back to itself.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Circle {
    /// Each step: from, to, where.
    steps: Vec<(String, String, String)>,
}

impl Circle {
    /// Returns the modules in order, starting at the one that sorts first.
    #[cfg(test)]
    pub(crate) fn modules(&self) -> Vec<&str> {
        self.steps.iter().map(|(from, ..)| from.as_str()).collect()
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, to, place) in &self.steps {
            writeln!(f, "    {from} → {to}   {place}")?;
        }
        Ok(())
    }
}

/// Returns, for every module on a circle, the shortest circle through it, each circle once.
pub(crate) fn find(arrows: &Arrows) -> Vec<Circle> {
    let circles: BTreeSet<Circle> =
        arrows.keys().filter_map(|start| shortest(arrows, start)).collect();
    circles.into_iter().collect()
}

fn shortest(arrows: &Arrows, start: &str) -> Option<Circle> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(from) = open.pop_front() {
        for to in arrows.get(from).into_iter().flat_map(BTreeMap::keys) {
            if to == start {
                return Some(walk_back(arrows, &came_from, start, from));
            }
            if !came_from.contains_key(to.as_str()) {
                came_from.insert(to, from);
                open.push_back(to);
            }
        }
    }
    None
}

fn walk_back(arrows: &Arrows, came_from: &BTreeMap<&str, &str>, start: &str, last: &str) -> Circle {
    let mut modules = vec![last];
    while let Some(from) =
        modules.last().filter(|at| **at != start).and_then(|at| came_from.get(at))
    {
        modules.push(from);
    }
    modules.reverse();
    let first = modules.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
    modules.rotate_left(first);
    let next = modules.iter().cycle().skip(1);
    let steps = modules.iter().zip(next).map(|(&from, &to)| {
        let place = arrows[from][to].clone();
        (from.to_owned(), to.to_owned(), place)
    });
    Circle { steps: steps.collect() }
}
