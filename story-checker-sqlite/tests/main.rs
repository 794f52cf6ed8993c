//! Tests of the SQLite store from outside.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod files;
mod fixture;
mod processes;
mod suites;
