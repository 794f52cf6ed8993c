//! Checks over answers that the simulated platform gave once, without any network.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use story_checker_core::cache::{Cache, InMemoryCache};
use story_checker_core::checker::{CheckContext, Checker};
use story_checker_core::gate::Gate;
use story_checker_core::session::{Cookie, SessionHandle, SessionRecord};
use story_checker_core::{Clock, Report, Target, Timestamp};
use story_checker_http::instagram::{self, GraphChecker, GraphConfig, GraphToken, WebChecker};
use story_checker_http::x::{self, XChecker, XConfig};
use story_checker_http::{
    Head, Request as HttpRequest, Response, Transport, TransportError, TransportErrorKind,
};
use story_checker_sim::{
    AccountScript, GraphSettings, Peer, Platform, Request, ScriptedStory, SimConfig,
    Timestamp as SimTime, XAccountScript, XMedia, XScriptedPost, XSettings, numbered_id,
};
use tokio::runtime::Runtime;

use crate::process::BoxError;

/// The time of all clocks.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);
/// The account that is asked about.
pub(crate) const NAME: &str = "acct_000001";
/// Its id in the web API.
pub(crate) const WEB_ID: &str = "4200000001";

/// One checker and the answers to its requests.
#[derive(Debug)]
pub(crate) struct Canned {
    answers: Arc<Answers>,
    checker: Arc<dyn Checker>,
    record: SessionRecord,
    session: Arc<SessionHandle>,
    cache: Arc<dyn Cache>,
    targets: [Target; 1],
    runtime: Runtime,
}

impl Canned {
    /// The web API: one account with one story.
    pub(crate) fn web() -> Result<Self, BoxError> {
        let platform = platform(SimConfig::new(1).with_sessions(1).with_pad(3_000), 1)?;
        let cookies = platform.session_credentials(0).ok_or("no session")?;
        let cookie = cookies.clone().map(|(name, value)| format!("{name}={value}")).join("; ");
        let headers = [("x-ig-app-id", "936619743392459"), ("cookie", &cookie)];
        let answers = [
            format!("/api/v1/users/web_profile_info/?username={NAME}"),
            format!("/api/v1/feed/reels_media/?reel_ids={}", numbered_id(1)),
        ];
        let answers = Arc::new(Answers::of(&platform, &answers, &headers)?);
        let checker = WebChecker::new(Arc::clone(&answers) as _, instagram::WebConfig::default())?;
        let cookies = cookies.map(|(name, value)| Cookie::new(name, value)).to_vec();
        let record = instagram::web_session_from_cookies("main".into(), cookies)?;
        Self::new(answers, Arc::new(checker), record, "instagram")
    }

    /// The Graph API: a page of 9 stories.
    pub(crate) fn graph() -> Result<Self, BoxError> {
        let at = SimTime::from_unix_secs(NOW.as_secs());
        let config = SimConfig::new(1).with_graph(GraphSettings::new(2, at));
        let platform = platform(config, 9)?;
        let token = platform.graph_token(1).ok_or("no token")?;
        let fields =
            "id,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username";
        let answers = [format!("/v25.0/{}/stories?fields={fields}", token.ig_user_id)];
        let bearer = format!("Bearer {}", token.access_token);
        let answers = Arc::new(Answers::of(&platform, &answers, &[("authorization", &bearer)])?);
        let checker = GraphChecker::new(Arc::clone(&answers) as _, GraphConfig::default())?;
        let token = GraphToken::new(token.access_token, token.ig_user_id, token.username);
        let record = instagram::graph_session("main".into(), token)?;
        Self::new(answers, Arc::new(checker), record, "instagram")
    }

    /// The API of X: a page of 8 posts with media.
    pub(crate) fn x() -> Result<Self, BoxError> {
        let platform = platform(SimConfig::new(1).with_x(XSettings::new(1)), 1)?;
        let id = platform.x_register([NAME])[0].ok_or("no account on X")?;
        let token = platform.x_token(0).ok_or("no token")?;
        let answers = [
            format!("/2/users/by?usernames={NAME}&user.fields=protected"),
            format!(
                "/2/users/{id}/tweets?max_results=100&expansions=attachments.media_keys\
                 &tweet.fields=created_at,author_id,attachments&media.fields=media_key,type,url,\
                 preview_image_url,variants,width,height,duration_ms"
            ),
        ];
        let bearer = format!("Bearer {token}");
        let answers = Arc::new(Answers::of(&platform, &answers, &[("authorization", &bearer)])?);
        let checker = XChecker::new(Arc::clone(&answers) as _, XConfig::default())?;
        Self::new(answers, Arc::new(checker), x::x_session("main".into(), &token)?, "x")
    }

    fn new(
        answers: Arc<Answers>,
        checker: Arc<dyn Checker>,
        record: SessionRecord,
        platform: &str,
    ) -> Result<Self, BoxError> {
        let credentials = Arc::clone(&record.credentials);
        Ok(Self {
            answers,
            checker,
            session: Arc::new(SessionHandle::new(record.id.clone(), credentials)),
            record,
            cache: Arc::new(InMemoryCache::new(Arc::new(Stopped))),
            targets: [format!("{platform}/account/{NAME}").parse()?],
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build()?,
        })
    }

    /// The body of the answer whose path holds this.
    pub(crate) fn body(&self, path: &str) -> Result<Bytes, BoxError> {
        let answer = self.answers.0.iter().find(|answer| answer.path.contains(path));
        Ok(answer.ok_or("no such answer")?.body.clone())
    }

    /// One whole check of the account.
    pub(crate) fn check(&self) -> Result<Report, BoxError> {
        let mut answers = self.runtime.block_on(async {
            // A new one each time: the limits of before would stop a check that is repeated at once.
            let clock: Arc<dyn Clock> = Arc::new(Stopped);
            let gate = Arc::new(Gate::new(Arc::clone(&clock)));
            let cx =
                CheckContext::new(self.checker.profile(), gate, Arc::clone(&self.cache), clock)
                    .with_session(Some(Arc::clone(&self.session)))
                    .with_loan(self.record.kind.clone(), Some(NAME), Arc::clone(&self.session));
            self.checker.check(&self.targets, &cx).await
        });
        Ok(answers.pop().ok_or("no answer")??)
    }
}

/// A platform on which the account has so many stories, and 8 posts with media.
fn platform(config: SimConfig, stories: u64) -> Result<Platform, BoxError> {
    let platform = Platform::new(config)?;
    let now = SimTime::from_unix_secs(NOW.as_secs());
    let ago = |minutes| now.saturating_sub(Duration::from_secs(60 * minutes));
    let day = Duration::from_secs(86_400);
    let story = |number| ScriptedStory::image(ago(number), ago(number).saturating_add(day));
    platform.set_account(NAME, AccountScript::active((1..=stories).map(story)));
    let post = |number| XScriptedPost::new(ago(number), "tea").with_media(XMedia::Photo);
    platform.set_x_account(NAME, XAccountScript::posting((1..=8).map(post)));
    Ok(platform)
}

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// What the platform answered, by the path that was asked.
#[derive(Debug)]
struct Answers(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    path: String,
    head: Head,
    body: Bytes,
}

impl Answers {
    fn of(
        platform: &Platform,
        asked: &[String],
        headers: &[(&'static str, &str)],
    ) -> Result<Self, BoxError> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        let now = SimTime::from_unix_secs(NOW.as_secs());
        let peer = Peer::direct(([127, 0, 0, 1], 1).into());
        let answer = |asked: &String| {
            let uri: Uri = asked.parse()?;
            let plan = platform.handle(&Request::new(&Method::GET, &uri, &all), now, &peer);
            if !plan.status.is_success() {
                return Err(format!("{} answered {}", uri.path(), plan.status).into());
            }
            let head = Head::new(plan.status, Version::HTTP_11, plan.headers);
            Ok(Answer { path: uri.path().to_owned(), head, body: plan.body })
        };
        Ok(Self(asked.iter().map(answer).collect::<Result<_, BoxError>>()?))
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canned answers")
    }
}

#[async_trait]
impl Transport for Answers {
    async fn send(&self, request: HttpRequest) -> Result<Response, TransportError> {
        let found = self.0.iter().find(|answer| answer.path == request.url.path());
        let answer = found.ok_or(TransportError::new(TransportErrorKind::Reset))?;
        let body = stream::iter([Ok(answer.body.clone())]).boxed();
        Ok(Response::new(answer.head.clone(), body, tokio::time::Instant::now()))
    }
}
