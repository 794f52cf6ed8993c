//! The permission to send one request.

use std::sync::Arc;
use std::time::Duration;

use super::key::{KeyClass, Need};
use super::limiter::{Gate, NotReady};
use crate::charge::charge;
use crate::clock::Timestamp;
use crate::fault::{Fault, Scope};

/// The permission to send one request. Dropped before [`Pass::mark_sent`], it gives back what it
/// took. Dropped after that without [`Pass::settle`], the request has no result: the breakers of its
/// keys learn nothing from it.
#[derive(Debug)]
#[must_use = "a pass that is dropped gives its place back"]
pub struct Pass {
    gate: Arc<Gate>,
    needs: Box<[Need]>,
    sent: bool,
    settled: bool,
}

impl Pass {
    /// What was taken for these needs.
    pub(super) fn new(gate: &Arc<Gate>, needs: Box<[Need]>) -> Self {
        Self { gate: Arc::clone(gate), needs, sent: false, settled: false }
    }

    /// The request is on its way: what was taken is spent, whatever happens now.
    pub fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// The platform wants the key of this class left alone until then, whatever became of the
    /// request: usage headers near their end, a window without anything left.
    pub fn hold(&self, class: KeyClass, until: Timestamp) {
        if let Some(need) = self.needs.iter().find(|need| need.key.class() == class) {
            self.gate.block_until(&need.key, until);
        }
    }

    /// The request has ended, with an answer or a fault. The breakers of its endpoint and its proxy
    /// count it as the [charges table](mod@crate::charge) says. A fault that blocks blocks the key of
    /// its scope until its hint, or for `otherwise` if it has none.
    pub fn settle(mut self, fault: Option<&Fault>, otherwise: Duration) {
        (self.sent, self.settled) = (true, true);
        self.gate.settle(&self.needs, fault);
        let Some(fault) = fault.filter(|fault| charge(fault.class, fault.scope).block) else {
            return;
        };
        let class = match fault.scope {
            Scope::Endpoint => KeyClass::Endpoint,
            _ => KeyClass::App,
        };
        self.hold(class, fault.until.unwrap_or_else(|| self.gate.now() + otherwise));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.sent {
            self.gate.give_back(&self.needs);
        }
        if !self.settled {
            self.gate.health().give_back(&self.needs);
        }
    }
}

impl Gate {
    /// Takes one unit of every key, or nothing.
    ///
    /// # Errors
    /// [`NotReady`] with the exact time at which all keys will be ready.
    pub fn try_pass(self: &Arc<Self>, mut needs: Box<[Need]>) -> Result<Pass, NotReady> {
        self.take(&mut needs)?;
        Ok(Pass::new(self, needs))
    }
}
