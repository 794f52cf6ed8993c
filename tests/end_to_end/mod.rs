//! The whole engine against the simulated platform, which knows the truth.

mod catalogue;
mod judge;
mod official;
mod sessions;
mod truth;
mod virtual_time;
mod world;
