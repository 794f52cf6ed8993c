//! The answers of the Graph API (domain: Graph error codes, Meta docs).

use super::row::Row;

pub(super) const GRAPH: &[Row] = &[];
