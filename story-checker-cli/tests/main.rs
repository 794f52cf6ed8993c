//! Runs the real binary, as a person or a script would.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admin;
mod health;
mod input;
mod moves;
mod output;
mod resume;
mod secrets;
mod settings;
mod signals;
mod support;
mod workers;
