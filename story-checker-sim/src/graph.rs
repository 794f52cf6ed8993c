//! The Instagram Graph API.

use http::StatusCode;

use crate::answer::{Answer, Asked};
use crate::config::SimConfig;

/// The Graph API.
#[derive(Debug)]
pub(crate) struct Graph;

impl Graph {
    pub(crate) fn new(_config: &SimConfig) -> Self {
        Self
    }

    pub(crate) fn answer(&self, _asked: &Asked<'_>) -> Answer {
        Answer::json(StatusCode::NOT_FOUND, "{}")
    }
}
