//! The simulated platform as its users meet it.
//!
//! `world`: what is true and what the endpoints say about it. `endpoints`: the others of them.
//! `apps`: pages, queries and tokens of browsers
//! and of the app. `rules`: sessions, limits and the audit. `scenario`: odd answers and faults by rules. `faults`: these
//! over sockets. `graph` and `x`: the official APIs. `admin`: the admin API. `sockets`: listeners and
//! proxies. `binary`: the command line.

#![expect(clippy::unwrap_used, reason = "what fails here must fail the test")]

mod admin;
mod apps;
mod binary;
mod endpoints;
mod faults;
mod graph;
mod rules;
mod scenario;
mod sockets;
mod support;
mod world;
mod x;
