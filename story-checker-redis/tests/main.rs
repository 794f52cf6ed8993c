//! Tests of the stores on Redis: each starts a server of its own.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is a failed test, and measurements are printed"
)]

mod access;
mod cluster;
mod faults;
mod fixture;
mod index;
mod server;
mod speed;
mod waking;
