//! From names to proven verdicts, against the simulated platform.
//!
//! To ask the real one, leave out the simulator and the base URL, and bring a session of your own
//! with `import::sessions`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use story_checker_core::engine::{Engine, Event, Overflow, SubmitOptions};
use story_checker_core::queue::InMemoryJobQueue;
use story_checker_core::session::{Cookie, InMemorySessionStore, SessionStore};
use story_checker_core::{Clock, SystemClock};
use story_checker_http::instagram::{self, WebChecker, WebConfig};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig};
use story_checker_sim::{
    AccountKind, AccountScript, Platform, ScriptedStory, Server, ServerConfig, SimClock, SimConfig,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // The stand-in for Instagram, with one session that it knows.
    let platform = Arc::new(Platform::new(SimConfig::new(7).with_sessions(1))?);
    let server =
        Server::start(Arc::clone(&platform), ServerConfig::new(), SimClock::system()).await?;
    let (now, hour) = (SimClock::system().now(), Duration::from_secs(3_600));
    let story = ScriptedStory::image(now.saturating_sub(hour), now.saturating_add(hour));
    platform.set_account("tea_house", AccountScript::active([story]));
    platform.set_account("tap_shoes", AccountScript::new(AccountKind::NotFound));
    let cookies = platform.session_credentials(0).context("there is a session")?;
    let cookies = cookies.map(|(name, value)| Cookie::new(name, value)).to_vec();

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sessions = InMemorySessionStore::new(Arc::clone(&clock));
    sessions.put(vec![instagram::web_session_from_cookies("main".into(), cookies)?]).await?;
    let mut web = WebConfig::default();
    web.base_url = server.http_url();
    let transport = ReqwestTransport::new(ReqwestTransportConfig::default())?;
    let engine = Engine::builder()
        .checker(Arc::new(WebChecker::new(Arc::new(transport), web)?))
        .queue(Arc::new(InMemoryJobQueue::new(clock)))
        .sessions(Arc::new(sessions))
        .build()?
        .start()
        .await?;

    let mut events = engine.subscribe(64, Overflow::Wait);
    let names =
        ["tea_house", "@book.nook", "https://www.instagram.com/the_slow_oven/", "tap_shoes"];
    let targets = names.into_iter().map(instagram::account).collect::<Result<Vec<_>, _>>()?;
    let mut left = engine.submit(targets, SubmitOptions::default()).await?.accepted;
    while left > 0
        && let Some(event) = events.next().await
    {
        if let Event::Reported { report, .. } = event {
            println!("{:<14} {}", report.target.handle(), report.verdict.as_str());
            for fact in &report.evidence.facts {
                println!("{:<14}   {fact}", "");
            }
            left -= 1;
        }
    }
    engine.shutdown(Duration::from_secs(5)).await;
    server.shutdown().await;
    Ok(())
}
