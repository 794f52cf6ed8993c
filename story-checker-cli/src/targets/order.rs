//! The places of targets in their lists.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use story_checker_core::Target;

/// The places of the first targets of a run, so that a table can stand in the order of the lists.
/// Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order(Arc<Mutex<HashMap<Target, usize>>>);

impl Order {
    /// More targets than that make no table that stands in memory.
    pub(crate) const MOST: usize = 10_000;

    /// The next place is that of `target`, if it has none yet.
    pub(crate) fn note(&self, target: &Target) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = places.len();
        if next < Self::MOST && !places.contains_key(target) {
            places.insert(target.clone(), next);
        }
    }

    /// Where `target` stands; the last place if that is not known.
    pub(crate) fn place(&self, target: &Target) -> usize {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(target).copied().unwrap_or(usize::MAX)
    }
}
