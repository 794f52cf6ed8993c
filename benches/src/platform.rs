//! The simulated platform in a process of its own, on a core of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{COOKIE, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use story_checker_core::SessionId;
use story_checker_core::session::{Cookie, SessionRecord};
use story_checker_http::instagram;
use story_checker_sim::{
    AccountScript, Latency, Platform, Population, ScriptedStory, Server, ServerConfig, SimClock,
    SimConfig, numbered_name,
};

use crate::process::{self, BoxError};

/// The first argument of the process that serves.
pub(crate) const ROLE: &str = "--serve-platform";

/// How the platform of a bench is made.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Accounts with exactly one story each.
    pub(crate) active: u32,
    pub(crate) sessions: usize,
    pub(crate) latency_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ready {
    url: String,
    cookies: Vec<Vec<(String, String)>>,
}

/// Serves until standard input is closed.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BoxError> {
    let plan: Plan = serde_json::from_str(arguments.first().ok_or("no plan")?)?;
    process::pin(std::process::id(), 1);
    let latency = Duration::from_millis(plan.latency_ms);
    let config = SimConfig::new(1)
        .with_sessions(plan.sessions)
        .with_pad(3_000)
        .with_latency(Latency::fixed(latency))
        .with_population(Population::default().with_mix(0, 0, 0).with_posting(100, 1.0))
        .with_audit_capacity(1_000);
    let platform = Arc::new(Platform::new(config)?);
    let clock = SimClock::system();
    let (now, hour) = (clock.now(), Duration::from_secs(3_600));
    let story = ScriptedStory::image(now.saturating_sub(hour), now.saturating_add(hour * 20));
    for number in 0..plan.active {
        platform.set_account(&numbered_name(number), AccountScript::active([story]));
    }
    let pairs = |index| {
        let pairs = platform.session_credentials(index).into_iter().flatten();
        pairs.map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let cookies = (0..plan.sessions).map(pairs).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(Arc::clone(&platform), ServerConfig::new(), clock).await?;
        let ready = Ready { url: server.http_url(), cookies };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&ready)?)?;
        out.flush()?;
        // Whoever started this process holds the other end.
        tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
        server.shutdown().await;
        Ok(())
    })
}

/// A running platform; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    process: Child,
    pub(crate) url: String,
    cookies: Vec<Vec<(String, String)>>,
}

impl Running {
    pub(crate) fn start(plan: Plan) -> Result<Self, BoxError> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([ROLE, &serde_json::to_string(&plan)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = process.stdout.take().ok_or("no output of the platform")?;
        BufReader::new(out).read_line(&mut line)?;
        let Ready { url, cookies } = serde_json::from_str(&line)?;
        Ok(Self { process, url, cookies })
    }

    /// The sessions as the engine wants them.
    pub(crate) fn sessions(&self) -> Result<Vec<SessionRecord>, BoxError> {
        let record = |(index, pairs): (usize, &Vec<(String, String)>)| {
            let cookies = pairs.iter().map(|(name, value)| Cookie::new(name, value.as_str()));
            let id = SessionId::new(format!("viewer_{index}"));
            Ok(instagram::web_session_from_cookies(id, cookies.collect())?)
        };
        self.cookies.iter().enumerate().map(record).collect()
    }

    /// The sessions as a bare loop wants them: the headers that a checker would send too.
    pub(crate) fn headers(&self) -> Result<Vec<HeaderMap>, BoxError> {
        let headers = |pairs: &Vec<(String, String)>| {
            let cookies: Vec<_> =
                pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_str(&cookies.join("; "))?);
            for (_, value) in pairs.iter().filter(|(name, _)| name == "csrftoken") {
                headers.insert("x-csrftoken", HeaderValue::from_str(value)?);
            }
            headers.insert("x-ig-app-id", HeaderValue::from_static("936619743392459"));
            headers.insert("x-ig-www-claim", HeaderValue::from_static("0"));
            headers.insert("x-requested-with", HeaderValue::from_static("XMLHttpRequest"));
            headers.insert("accept", HeaderValue::from_static("application/json"));
            headers.insert("user-agent", HeaderValue::from_static("story-checker/0.1.0"));
            Ok(headers)
        };
        self.cookies.iter().map(headers).collect()
    }

    /// All requests that the platform has seen.
    pub(crate) async fn requests(&self) -> Result<u64, BoxError> {
        let audit = reqwest::get(format!("{}/_sim/audit", self.url)).await?.bytes().await?;
        let audit: serde_json::Value = serde_json::from_slice(&audit)?;
        Ok(audit["total"].as_u64().ok_or("the audit has no total")?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Closing its input ends it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
