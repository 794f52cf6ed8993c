use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Proxy;
use crate::fault::Fault;

/// Tells whether a proxy works, without bothering a platform: by a request through it to an address
/// that the operator has chosen.
#[async_trait]
pub trait Probe: Debug + Display + Send + Sync + 'static {
    /// Sends one request through the proxy; how long the answer took. It ends in some seconds,
    /// whatever happens.
    ///
    /// # Errors
    /// A [`Fault`] of the scope [`Proxy`](crate::Scope::Proxy) if it is to blame. Any other scope
    /// says nothing of it, such as that of an address which answers nobody.
    ///
    /// # Cancel safety
    /// Safe: a probe that is dropped has told nothing.
    async fn probe(&self, proxy: &Arc<Proxy>) -> Result<Duration, Fault>;
}

const _: Option<&dyn Probe> = None;
