//! The rules of a platform, and how its proxies fail by them.

#[cfg(feature = "server")]
use std::time::Duration;

#[cfg(feature = "server")]
use crate::answer::Answer;
#[cfg(feature = "server")]
use crate::platform::Plan;
use crate::platform::Platform;
#[cfg(feature = "server")]
use crate::request::ProxyId;
#[cfg(feature = "server")]
use crate::scenario::ProxyFault;
use crate::scenario::{Rule, RuleError, RuleStatus};
use crate::time::Timestamp;

impl Platform {
    /// Adds a rule, and returns its number. It counts behind those that are there.
    ///
    /// # Errors
    ///
    /// A rule that can never do what it says.
    pub fn add_rule(&self, rule: Rule) -> Result<u64, RuleError> {
        let targets = rule
            .target
            .as_deref()
            .map_or_else(Vec::new, |target| self.accounts().aliases(target, Timestamp::default()));
        self.rules().add(rule, targets)
    }

    /// Removes the rule with this number. Says whether there was one.
    pub fn remove_rule(&self, number: u64) -> bool {
        self.rules().remove(number)
    }

    /// Removes all rules. What they did to sessions stays.
    pub fn clear_rules(&self) {
        self.rules().clear();
    }

    /// All rules, and how often they happened.
    pub fn rules_status(&self) -> Vec<RuleStatus> {
        self.rules().status()
    }

    /// How a proxy fails now, if it does: its connections or the requests on them.
    #[cfg(feature = "server")]
    pub(crate) fn proxy_fault(
        &self,
        proxy: ProxyId,
        now: Timestamp,
        connecting: bool,
    ) -> Option<ProxyFault> {
        let (fault, label) = self.rules().apply_to_proxy(proxy, now, connecting)?;
        self.audit_log().count_fault(&label);
        Some(fault)
    }

    /// What a proxy answers by itself, if it does.
    #[cfg(feature = "server")]
    pub(crate) fn proxy_page(&self, fault: ProxyFault, now: Timestamp) -> Option<Plan> {
        let (answer, date) = match fault {
            ProxyFault::Wall => (Answer::named("T-captive"), now),
            ProxyFault::Cloudflare => (Answer::named("T-cf"), now),
            ProxyFault::Foreign => (Answer::named("T-foreign"), now),
            ProxyFault::Stale => {
                (Answer::named("T-stale"), now.saturating_sub(Duration::from_secs(86_400)))
            }
            _ => return None,
        };
        Some(self.plan(answer, date))
    }
}
