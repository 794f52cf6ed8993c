//! The scenario engine: rules, and what they do to a request.
//!
//! All rules that match a request count, in the order in which they were added. Where two want the
//! same thing (both a row, both a delivery), the first one has its way. Whether a rule with a
//! percentage matches follows from the seed, the rule, the session and how many requests came
//! before, so a run replays.

mod mix;
mod rule;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::catalogue::{self, Row};
use crate::delivery::Delivery;
use crate::form::Form;
use crate::hash;
use crate::request::{Api, ProxyId, Request, Route};
use crate::time::Timestamp;
use crate::traffic::SessionState;

pub use rule::{Effect, ProxyFault, Rule, RuleError};

/// The largest body that a rule may ask for.
const MAX_BODY: usize = 64 << 20;

/// Reads one rule, or a list of them, written as JSON.
///
/// # Errors
///
/// Text that is no rule.
pub fn parse_rules(json: &[u8]) -> serde_json::Result<Vec<Rule>> {
    // By the first byte rather than by trying both, so that the message is about the rule.
    if json.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(json)
    } else {
        serde_json::from_slice(json).map(|rule| vec![rule])
    }
}

/// A rule at work.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleStatus {
    /// Its number: rules are numbered from 0 as they are added.
    pub number: u64,
    /// How often it happened.
    pub hits: u64,
    /// The rule.
    pub rule: Rule,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) api: Api,
    pub(crate) route: Route,
    pub(crate) session: Option<u32>,
    pub(crate) proxy: Option<ProxyId>,
    pub(crate) now: Timestamp,
    /// A hash of who asks and how often before.
    pub(crate) draw: u64,
}

/// What the rules do to a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) row: Option<&'static Row>,
    pub(crate) form: Option<Form>,
    /// Names and ids of the account that the form is for; empty for everybody.
    pub(crate) form_targets: Arc<[String]>,
    pub(crate) delivery: Option<Delivery>,
    pub(crate) content_type: Option<String>,
    pub(crate) oversized: Option<usize>,
    pub(crate) delay_ms: u64,
    pub(crate) session: Option<SessionState>,
    /// What to count.
    pub(crate) labels: Vec<Arc<str>>,
}

/// All rules.
#[derive(Debug)]
pub(crate) struct Rules {
    seed: u64,
    next: u64,
    rules: Vec<Active>,
    /// How often each proxy was asked whether it fails.
    proxy_draws: HashMap<ProxyId, u64>,
}

#[derive(Debug)]
struct Active {
    number: u64,
    rule: Rule,
    hits: u64,
    label: Arc<str>,
    targets: Arc<[String]>,
}

impl Active {
    fn is_due(&self, proxy: Option<ProxyId>, now: Timestamp) -> bool {
        let Rule { from, until, times, .. } = self.rule;
        self.rule.proxy.is_none_or(|wanted| proxy == Some(wanted))
            && from.is_none_or(|from| from <= now)
            && until.is_none_or(|until| now < until)
            && times.is_none_or(|times| self.hits < times)
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        let Rule { api, route, session, .. } = self.rule;
        self.is_due(facts.proxy, facts.now)
            && api.is_none_or(|api| api == facts.api)
            && route.is_none_or(|route| route == facts.route)
            && session.is_none_or(|session| facts.session == Some(session))
            && (self.targets.is_empty()
                || self.targets.iter().any(|target| facts.request.names(target)))
    }

    /// The hash that this rule draws by, if the draw hits.
    fn hit(&self, seed: u64, draw: u64, percent: f64) -> Option<u64> {
        let draw = hash::pair(hash::pair(seed, self.number), draw);
        (hash::fraction(draw) * 100.0 < percent).then_some(draw)
    }
}

impl Rules {
    pub(crate) fn new(seed: u64) -> Self {
        let seed = hash::pair(seed, 50);
        Self { seed, next: 0, rules: Vec::new(), proxy_draws: HashMap::new() }
    }

    /// Adds a rule for an account with these names and ids, and returns its number.
    pub(crate) fn add(&mut self, rule: Rule, targets: Vec<String>) -> Result<u64, RuleError> {
        check(&rule)?;
        let number = self.next;
        self.next += 1;
        let label = rule.name.clone().unwrap_or_else(|| rule.effect.label()).into();
        self.rules.push(Active { number, rule, hits: 0, label, targets: targets.into() });
        Ok(number)
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Removes one rule. Says whether there was one.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|active| active.number != number);
        self.rules.len() < before
    }

    pub(crate) fn status(&self) -> Vec<RuleStatus> {
        let status = |active: &Active| RuleStatus {
            number: active.number,
            hits: active.hits,
            rule: active.rule.clone(),
        };
        self.rules.iter().map(status).collect()
    }

    /// What happens to a request.
    pub(crate) fn apply(&mut self, facts: &Facts<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        for active in &mut self.rules {
            if matches!(active.rule.effect, Effect::Proxy(_)) || !active.matches(facts) {
                continue;
            }
            let Some(draw) = active.hit(self.seed, facts.draw, active.rule.percent) else {
                continue;
            };
            let (effect, label);
            match active.rule.effect {
                Effect::Mix { lasting } => {
                    effect = mix::draw(facts.api, facts.session.is_some(), lasting, draw);
                    label = format!("{}: {}", active.label, effect.label()).into();
                }
                _ => {
                    effect = active.rule.effect.clone();
                    label = Arc::clone(&active.label);
                }
            }
            if outcome.take(effect, &active.targets) {
                active.hits += 1;
                outcome.labels.push(label);
            }
        }
        outcome
    }

    /// How a proxy fails now: its connections, or the requests on them. A fault that hits every
    /// connection also ends those that are open.
    pub(crate) fn apply_to_proxy(
        &mut self,
        proxy: ProxyId,
        now: Timestamp,
        connecting: bool,
    ) -> Option<(ProxyFault, Arc<str>)> {
        let fails =
            |active: &Active| matches!(active.rule.effect, Effect::Proxy(_) | Effect::Mix { .. });
        if !self.rules.iter().any(fails) {
            return None;
        }
        let ordinal = self.proxy_draws.entry(proxy).or_default();
        *ordinal += 1;
        let asked = hash::pair(hash::pair(u64::from(proxy.number()), 60), *ordinal);
        for active in &mut self.rules {
            // Whoever looks at more than the proxy knows is for requests to the platform alone.
            if !active.is_due(Some(proxy), now) || looks_at_requests(&active.rule) {
                continue;
            }
            let percent = active.rule.percent;
            let (fault, label) = match active.rule.effect {
                Effect::Proxy(fault) => {
                    let open_too = fault.is_of_connection() && percent >= 100.0;
                    if fault.is_of_connection() != connecting && !open_too
                        || active.hit(self.seed, asked, percent).is_none()
                    {
                        continue;
                    }
                    (fault, Arc::clone(&active.label))
                }
                Effect::Mix { .. } => {
                    let draw = active.hit(self.seed, asked, percent / mix::PROXY_SHARE);
                    let Some(draw) = draw else { continue };
                    let fault = mix::draw_proxy(draw);
                    if fault.is_of_connection() != connecting {
                        continue;
                    }
                    let inner = Effect::Proxy(fault).label();
                    (fault, format!("{}: {inner}", active.label).into())
                }
                _ => continue,
            };
            active.hits += 1;
            return Some((fault, label));
        }
        None
    }
}

impl Outcome {
    /// Takes an effect, unless an earlier one has taken its place.
    fn take(&mut self, effect: Effect, targets: &Arc<[String]>) -> bool {
        match effect {
            // A mix may name answers that this build does not have.
            Effect::Row(id) => fill(&mut self.row, catalogue::row(&id)),
            Effect::Form(form) => {
                let free = fill(&mut self.form, Some(form));
                if free {
                    self.form_targets = Arc::clone(targets);
                }
                free
            }
            Effect::Delivery(delivery) => fill(&mut self.delivery, Some(delivery)),
            Effect::ContentType(text) => fill(&mut self.content_type, Some(text)),
            Effect::Oversized(bytes) => fill(&mut self.oversized, Some(bytes)),
            Effect::DelayMs(millis) => {
                self.delay_ms = self.delay_ms.saturating_add(millis);
                true
            }
            Effect::Session(state) => fill(&mut self.session, Some(state)),
            Effect::Proxy(_) | Effect::Mix { .. } => false,
        }
    }
}

fn fill<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let free = place.is_none() && value.is_some();
    if free {
        *place = value;
    }
    free
}

fn looks_at_requests(rule: &Rule) -> bool {
    rule.api.is_some() || rule.route.is_some() || rule.target.is_some() || rule.session.is_some()
}

fn check(rule: &Rule) -> Result<(), RuleError> {
    let percent = |value: f64| (0.0..=100.0).contains(&value);
    if !percent(rule.percent) {
        return Err(RuleError::Percent);
    }
    match &rule.effect {
        Effect::Row(id) if catalogue::row(id).is_none() => Err(RuleError::Row { id: id.clone() }),
        Effect::ContentType(text) if http::HeaderValue::try_from(text).is_err() => {
            Err(RuleError::ContentType { text: text.clone() })
        }
        Effect::Oversized(bytes) if *bytes > MAX_BODY => {
            Err(RuleError::Oversized { most: MAX_BODY })
        }
        Effect::Mix { lasting } if !percent(*lasting) => Err(RuleError::Percent),
        Effect::Proxy(_) if looks_at_requests(rule) => Err(RuleError::Proxy),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
