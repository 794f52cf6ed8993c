//! Tests that need more than one crate, and the house rules of the workspace.

mod end_to_end;
mod house_rules;
