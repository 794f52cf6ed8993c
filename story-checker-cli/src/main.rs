//! The command line tool of story-checker: a list of accounts in, proven verdicts out.

mod args;
mod credentials;
mod output;
mod progress;
mod run;
mod settings;
mod signals;
mod tally;
mod targets;

fn main() {}
