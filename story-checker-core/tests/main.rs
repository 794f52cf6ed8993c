//! What users of core rely on, through its public face.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::clone_on_ref_ptr, reason = "tests coerce clones to the ports")]

mod breakers;
mod cached;
mod doctor;
mod engine;
mod fallback;
mod faults;
mod loans;
mod mutants;
mod outages;
mod pools;
mod remember;
mod suites;
mod support;
mod suspects;
mod without_session;
