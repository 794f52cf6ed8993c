//! The X API v2.

use http::StatusCode;

use crate::answer::{Answer, Asked};
use crate::config::SimConfig;

/// The X API v2.
#[derive(Debug)]
pub(crate) struct X;

impl X {
    pub(crate) fn new(_config: &SimConfig) -> Self {
        Self
    }

    pub(crate) fn answer(&self, _asked: &Asked<'_>) -> Answer {
        Answer::json(StatusCode::NOT_FOUND, "{}")
    }
}
