use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::keys::GateKeys;
use super::profile::CheckerProfile;
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::gate::Need;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::session::SessionHandle;

/// Lends pairs of its pool to one call of a checker.
#[async_trait]
pub(crate) trait Lender: Debug + Send + Sync {
    /// Under which names and limits the requests of a checker are counted.
    fn keys(&self, profile: &CheckerProfile) -> Arc<GateKeys>;

    /// Keeps a fault of the pair that the call runs on, and that will not be in its answer.
    fn note(&self, fault: Fault);

    /// A request has waited for its pass.
    fn waited(&self, time: Duration);

    /// A request got no pass: of these, something is not ready before then.
    fn refused(&self, needs: &[Need], until: Timestamp);

    /// A pair for this checker, waiting a little if need be.
    async fn lend(
        &self,
        profile: &CheckerProfile,
        keys: &GateKeys,
        account: Option<&str>,
        patience: Duration,
    ) -> Result<Box<dyn Lent>, Fault>;
}

/// A pair that is lent. Dropped, it goes back as it is.
#[async_trait]
pub(crate) trait Lent: Debug + Send + Sync {
    fn session(&self) -> Option<&Arc<SessionHandle>>;

    fn proxy(&self) -> Option<&Arc<Proxy>>;

    /// Stores what the answers, and faults that are not among them, say about the pair.
    async fn give_back(self: Box<Self>, answers: &[Result<Report, Fault>], noted: Vec<Fault>);
}
