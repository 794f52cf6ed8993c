use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::proxy::{Probe, Proxy};
use story_checker_core::{Class, Fault, Scope};
use url::Url;

use crate::transport::{Request, Transport};

/// What is read of an answer at most: only its status counts.
const LONGEST: usize = 1 << 20;

/// Probes a proxy by one `GET` of an address that the operator has chosen: one of their own, never
/// the platform's. Any answer of 2xx will do; an empty one of 204 is the cheapest.
#[derive(Clone)]
pub struct UrlProbe {
    transport: Arc<dyn Transport>,
    url: Url,
    timeout: Duration,
}

impl UrlProbe {
    /// Asks for this address through each proxy, for at most so long.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, url: Url, timeout: Duration) -> Self {
        Self { transport, url, timeout }
    }
}

impl fmt::Debug for UrlProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str();
        f.debug_struct("UrlProbe")
            .field("host", &host)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for UrlProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "probe of {}", self.url.host_str().unwrap_or("no host"))
    }
}

#[async_trait]
impl Probe for UrlProbe {
    async fn probe(&self, proxy: &Arc<Proxy>) -> Result<Duration, Fault> {
        let request = Request::get(self.url.clone(), self.timeout);
        let request = request.with_proxy(Some(Arc::clone(proxy)));
        let answer = async { self.transport.send(request).await?.collect(LONGEST).await };
        let answer = answer.await.map_err(|error| error.to_fault())?;
        let status = answer.head.status;
        if status.is_success() {
            return Ok(answer.took);
        }
        // Over http a proxy may answer in its own name. Over https only the server can.
        let scope = match status.as_u16() {
            407 => Scope::Proxy,
            _ => Scope::Endpoint,
        };
        let message = format!("{self} was answered with {status} instead of 2xx");
        Err(Fault::new(Class::Blocked, scope, message))
    }
}
