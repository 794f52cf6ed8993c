//! The checker and the transport against real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has to stop")]

mod catalogue;
mod faults;
mod graph;
mod properties;
mod proxies;
mod second;
mod secrets;
mod sockets;
mod sources;
mod support;
mod verdicts;
mod x;
