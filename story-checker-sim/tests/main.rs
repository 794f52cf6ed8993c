//! The simulated platform as its users meet it.
//!
//! `world`: what is true and what the endpoints say about it. `rules`: sessions, limits and the audit.
//! `admin`: the admin API. `sockets`: listeners and proxies. `binary`: the command line.

#![expect(clippy::unwrap_used, reason = "what fails here must fail the test")]

mod admin;
mod binary;
mod rules;
mod sockets;
mod support;
mod world;
