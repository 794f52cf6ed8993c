//! The limits of a checker.

use std::collections::BTreeMap;

use super::quota::Quota;

/// The quotas of one checker's requests. A class without a quota is not limited, only blocked when
/// the platform says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// All requests of the checker together.
    pub app: Option<Quota>,
    /// Each named endpoint.
    pub endpoints: BTreeMap<String, Quota>,
    /// Each proxy.
    pub proxy: Option<Quota>,
    /// Each session.
    pub session: Option<Quota>,
}
