//! Tests of the SQLite store from outside.

#![expect(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod suites;
