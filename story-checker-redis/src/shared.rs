//! What queue, sessions and cache have in common.

use std::sync::Arc;

use crate::link::Link;
use crate::wake::Wake;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) link: Arc<Link>,
    /// The namespace in braces: what is within decides about the node of a cluster.
    pub(crate) tag: Vec<u8>,
    /// As the scripts want it.
    pub(crate) retention: Vec<u8>,
    pub(crate) wake: Wake,
    pub(crate) cache_capacity: usize,
}
