//! The answers of the X API (domain: X API v2 problems, X developer docs).

use super::row::Row;

pub(super) const X: &[Row] = &[];
