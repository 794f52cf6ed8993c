//! What bounds the throughput, by where a worker's time goes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ProxyId;

/// What keeps a worker from beginning another check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wait {
    /// The quota of the whole app.
    AppLimit,
    /// The platform has asked to be left alone, or answers with nothing but faults.
    Blocked,
    /// The quota of an endpoint.
    EndpointLimit,
    /// It was told to wait: a pause, or a mode.
    Held,
    /// No job is due.
    Jobs,
    /// Nothing: it is busy beginning checks.
    Nothing,
    /// No proxy may be used.
    Proxies,
    /// The quota of a proxy.
    ProxyLimit,
    /// Jobs wait for another try after a fault that passes.
    Retries,
    /// The quota of a session.
    SessionLimit,
    /// All sessions are in use.
    Sessions,
    /// Sessions rest, or other workers hold them.
    SessionsAway,
    /// No session can be used before the operator acts.
    SessionsOut,
    /// As many checks run as may.
    Slots,
    /// The store has not answered yet.
    Store,
}

/// What went through one proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProxyUse {
    /// Calls of checkers.
    pub calls: u64,
    /// How long they took, without waiting for limits.
    pub time: Duration,
}

/// Where the time of a worker, or of several, went in the last minute or two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Shares {
    /// What the dispatcher waited for; all its time.
    pub waits: BTreeMap<Wait, Duration>,
    /// How long the store took to settle jobs, beside all else.
    pub settling: Duration,
    /// Calls of checkers.
    pub calls: u64,
    /// How long they took, without waiting for limits.
    pub calling: Duration,
    /// How long they waited for limits.
    pub passing: Duration,
    /// Targets that were asked about.
    pub asked: u64,
    /// Those among them that are asked about again after a fault that passes.
    pub failed: u64,
    /// What went through each proxy.
    pub proxies: BTreeMap<ProxyId, ProxyUse>,
}

impl Shares {
    /// All the time that is accounted for.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.waits.values().sum()
    }

    /// The part of the time that this was waited for, from 0 to 1.
    #[must_use]
    pub fn share(&self, wait: Wait) -> f64 {
        part(self.waits.get(&wait).copied().unwrap_or_default(), self.span())
    }

    /// Adds what another worker, or another time, has seen.
    pub fn add(&mut self, other: &Self) {
        for (wait, time) in &other.waits {
            *self.waits.entry(*wait).or_default() += *time;
        }
        self.settling += other.settling;
        self.calls += other.calls;
        self.calling += other.calling;
        self.passing += other.passing;
        self.asked += other.asked;
        self.failed += other.failed;
        for (id, used) in &other.proxies {
            let sum = self.proxies.entry(id.clone()).or_default();
            sum.calls += used.calls;
            sum.time += used.time;
        }
    }

    /// How long one call takes.
    #[must_use]
    pub fn mean_call(&self) -> Duration {
        mean(self.calling, self.calls)
    }

    /// A proxy that is much slower than the others and holds up a good part of the calls.
    fn slow_proxy(&self) -> Option<(&ProxyId, Duration, Duration)> {
        const SLOWER: u32 = 3;
        const HELD_UP: f64 = 0.15;
        let worst = |(_, used): &(&ProxyId, &ProxyUse)| mean(used.time, used.calls);
        let (id, used) =
            self.proxies.iter().filter(|(_, used)| used.calls > 0).max_by_key(worst)?;
        let (calls, time) = (self.calls - used.calls.min(self.calls), self.calling);
        let others = mean(time.saturating_sub(used.time), calls);
        let own = mean(used.time, used.calls);
        let slow = calls > 0 && own >= others * SLOWER && part(used.time, time) >= HELD_UP;
        slow.then_some((id, own, others))
    }
}

fn mean(time: Duration, count: u64) -> Duration {
    time.checked_div(u32::try_from(count).unwrap_or(u32::MAX)).unwrap_or_default()
}

fn part(time: Duration, of: Duration) -> f64 {
    if of.is_zero() { 0.0 } else { time.as_secs_f64() / of.as_secs_f64() }
}

/// What bounds the throughput.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bottleneck", content = "of", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bottleneck {
    /// The platform has asked to be left alone, or answers with nothing but faults.
    Blocked,
    /// As many checks run as may.
    Concurrency,
    /// A pause or a mode.
    Held,
    /// A quota: that of an app, endpoint, proxy or session.
    Limit(String),
    /// There is nothing to do.
    NoWork,
    /// The platform takes long.
    PlatformSlow,
    /// No proxy may be used.
    Proxies,
    /// Faults that pass.
    Retries,
    /// There are too few sessions.
    Sessions,
    /// Sessions rest, or other workers hold them.
    SessionsAway,
    /// No session can be used before the operator acts.
    SessionsOut,
    /// One proxy is much slower than the others.
    SlowProxy(String),
    /// The store is slow.
    Store,
    /// Too little was seen yet.
    Unknown,
    /// The worker itself is busy.
    Worker,
}

/// What bounds the throughput, how that is known, and what would raise it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What bounds it.
    #[serde(flatten)]
    pub bottleneck: Bottleneck,
    /// What would raise it.
    pub advice: String,
    /// What was measured, one sentence each.
    pub evidence: Vec<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.advice, self.evidence.join("; "))
    }
}

/// A call that takes longer than this is the platform's doing.
const SLOW: Duration = Duration::from_secs(2);
/// A store that settles for so much of the time is the bound, whatever the dispatcher waits for.
const SETTLING: f64 = 0.7;

/// Says what bounds the throughput.
#[must_use]
pub fn diagnose(shares: &Shares) -> Diagnosis {
    let span = shares.span();
    let main = shares.waits.iter().max_by_key(|(_, time)| **time);
    let Some((&wait, &time)) = main.filter(|(_, time)| !time.is_zero()) else {
        return Diagnosis {
            bottleneck: Bottleneck::Unknown,
            advice: "nothing was measured yet: look again in a minute".to_owned(),
            evidence: Vec::new(),
        };
    };
    let call = shares.mean_call();
    let mut evidence =
        vec![format!("{} {:.0} % of the time", text(wait), 100.0 * part(time, span))];
    if shares.calls > 0 {
        evidence.push(format!("{} calls took {} each", shares.calls, millis(call)));
    }
    let settling = part(shares.settling, span);
    let slow_proxy = shares.slow_proxy();
    let (bottleneck, advice) = match (wait, slow_proxy) {
        (Wait::Jobs, _) => {
            (Bottleneck::NoWork, "there is nothing more to do: enqueue more".to_owned())
        }
        _ if settling >= SETTLING => {
            evidence.push(format!("the store settled {:.0} % of the time", 100.0 * settling));
            (Bottleneck::Store, STORE.to_owned())
        }
        (Wait::Store, _) => (Bottleneck::Store, STORE.to_owned()),
        _ if 2 * shares.failed > shares.asked => {
            evidence.push(format!("{} of {} checks failed", shares.failed, shares.asked));
            let (bottleneck, advice) = simple(Wait::Retries);
            (bottleneck, advice.to_owned())
        }
        // Checks that have begun hold their sessions while they wait for a pass.
        (Wait::Sessions | Wait::Slots, _) if shares.passing > shares.calling => {
            let passing = mean(shares.passing, shares.calls);
            evidence.push(format!("each call waited {} for limits", millis(passing)));
            let (bottleneck, advice) = simple(Wait::EndpointLimit);
            (bottleneck, advice.to_owned())
        }
        (Wait::Sessions | Wait::Slots, Some((id, own, others))) => {
            evidence.push(format!(
                "calls through {id} take {}, others {}",
                millis(own),
                millis(others)
            ));
            let advice = format!("replace the proxy {id}, or take it out of use");
            (Bottleneck::SlowProxy(id.to_string()), advice)
        }
        (Wait::Sessions, _) if call >= SLOW => {
            let advice =
                "the platform takes long: more sessions let more checks wait for it at once";
            (Bottleneck::PlatformSlow, advice.to_owned())
        }
        (Wait::Slots, _) if call >= SLOW => {
            let advice = "the platform takes long: a higher concurrency lets more checks wait for it at once";
            (Bottleneck::PlatformSlow, advice.to_owned())
        }
        _ => {
            let (bottleneck, advice) = simple(wait);
            (bottleneck, advice.to_owned())
        }
    };
    Diagnosis { bottleneck, advice, evidence }
}

const STORE: &str = "the store answers slowly: bring it nearer, give it a faster disk, or let fewer \
                     workers share it";

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// What follows from the wait alone.
fn simple(wait: Wait) -> (Bottleneck, &'static str) {
    let limit = |of: &str| Bottleneck::Limit(of.to_owned());
    match wait {
        Wait::AppLimit => (
            limit("app"),
            "raise the limit of the app if the platform allows more; more sessions or workers do not help",
        ),
        Wait::EndpointLimit => (
            limit("endpoint"),
            "raise the limit of the endpoint if the platform allows more; more workers do not help",
        ),
        Wait::ProxyLimit => (limit("proxy"), "add proxies, or raise the limit of each"),
        Wait::SessionLimit => (
            limit("session"),
            "add sessions, or raise the limit of each if the platform allows more",
        ),
        Wait::Blocked => (
            Bottleneck::Blocked,
            "wait: the platform asks to be left alone, and asking more makes it worse",
        ),
        Wait::Held => (Bottleneck::Held, "resume the queues, or set the mode to normal"),
        Wait::Jobs => (Bottleneck::NoWork, "there is nothing more to do: enqueue more"),
        Wait::Nothing => (Bottleneck::Worker, "the worker itself is busy: start more workers"),
        Wait::Proxies => (
            Bottleneck::Proxies,
            "all proxies rest or are disabled: add proxies, or see why with `proxies list`",
        ),
        Wait::Retries => (
            Bottleneck::Retries,
            "checks fail and wait for another try: see the notes with `jobs list`",
        ),
        Wait::Sessions => (Bottleneck::Sessions, "add sessions: all there are, are in use"),
        Wait::SessionsAway => (
            Bottleneck::SessionsAway,
            "add sessions: all there are rest, or other workers hold them",
        ),
        Wait::SessionsOut => (
            Bottleneck::SessionsOut,
            "log sessions in again: none can be used; `sessions list` says why",
        ),
        Wait::Slots => (
            Bottleneck::Concurrency,
            "raise the concurrency, or start more workers: as many checks run as may",
        ),
        Wait::Store => (Bottleneck::Store, STORE),
    }
}

const fn text(wait: Wait) -> &'static str {
    match wait {
        Wait::AppLimit => "the limit of the app was full",
        Wait::Blocked => "the platform was left alone",
        Wait::EndpointLimit => "the limit of an endpoint was full",
        Wait::Held => "the worker was told to wait",
        Wait::Jobs => "no job was due",
        Wait::Nothing => "the worker was busy",
        Wait::Proxies => "no proxy could be used",
        Wait::ProxyLimit => "the limit of the proxies was full",
        Wait::Retries => "jobs waited for another try",
        Wait::SessionLimit => "the limit of the sessions was full",
        Wait::Sessions => "all sessions were in use",
        Wait::SessionsAway => "sessions rested or were elsewhere",
        Wait::SessionsOut => "no session could be used",
        Wait::Slots => "as many checks ran as may",
        Wait::Store => "the store had not answered",
    }
}
