//! Tests that need more than one crate, and the house rules of the workspace.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "the counts of a run are worth seeing")]

mod end_to_end;
mod house_rules;
