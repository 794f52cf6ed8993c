//! What every bench shares: the [`Figure`] it measures and the command line that runs it by name.

mod figure;
mod registry;

pub use figure::Figure;
pub use registry::{Bench, run};
