//! Tests of the stores on Redis: each starts a server of its own.

mod queue;
mod server;
