//! The one door: requests to the admin API and to the platform come in here.

use crate::admin;
use crate::platform::{Plan, Platform};
use crate::request::{Peer, Request};
use crate::time::Timestamp;

impl Platform {
    /// Answers a request that arrives now. Paths below `/_sim/` are the admin API, which the audit
    /// does not see.
    pub fn handle(&self, request: &Request<'_>, now: Timestamp, peer: &Peer) -> Plan {
        match request.path().strip_prefix("/_sim/") {
            Some(path) => {
                let (status, body) = admin::handle(self, request, path, now);
                self.plan_json(status, body, now)
            }
            None => self.serve(request, now, peer),
        }
    }
}
