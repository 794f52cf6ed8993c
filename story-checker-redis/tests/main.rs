//! Tests of the stores on Redis: each starts a server of its own.

mod access;
mod cluster;
mod faults;
mod fixture;
mod server;
mod speed;
mod waking;
