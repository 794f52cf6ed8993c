//! What the fuzz targets share: checks over canned answers, a slow and strict reader that has the
//! last word, and seeds.

mod court;
mod json;
pub mod seeds;

pub use court::{Court, ID, Input, NAME, NOW, X_ID};
pub use json::{Pairs, seconds, text, value};
