use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use story_checker_core::proxy::{Proxy, ProxySource, ProxyState};
use story_checker_core::{Certainty, Error, ErrorKind, ProxyId, Result};
use tokio::time::Instant;
use url::Url;

use super::file::parse;
use crate::transport::{Request, Transport};

const OPERATION: &str = "fetch the list of proxies";

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest list that is read: a million addresses.
const LONGEST: usize = 64 << 20;

/// A list of proxies that a server hands out, in the form of
/// [`read_list`](story_checker_core::proxy::read_list), fetched directly and anew once in a while.
///
/// Its `ETag` is sent along, so that a list which has not changed costs next to nothing. If the
/// server does not answer, or not with a list, the engine goes on with the list it has.
#[derive(Clone)]
pub struct ProxyListUrl {
    transport: Arc<dyn Transport>,
    url: Url,
    interval: Duration,
    known: Arc<Mutex<Option<Known>>>,
}

#[derive(Debug)]
struct Known {
    proxies: Vec<Proxy>,
    etag: Option<HeaderValue>,
    fetched_at: Instant,
    /// It was fetched while waiting for a change, and not listed yet.
    is_news: bool,
}

impl ProxyListUrl {
    /// The list at this address, fetched anew every `interval`. Nothing is fetched yet.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, url: Url, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_millis(10));
        Self { transport, url, interval, known: Arc::default() }
    }

    /// Fetches the list; whether it is another one.
    async fn fetch(&self, is_news: bool) -> Result<bool> {
        let etag = self.with_known(|known| known.as_ref().and_then(|known| known.etag.clone()));
        let mut headers = HeaderMap::new();
        if let Some(etag) = etag {
            headers.insert(header::IF_NONE_MATCH, etag);
        }
        let request = Request::get(self.url.clone(), TIMEOUT).with_headers(headers);
        let answer = async { self.transport.send(request).await?.collect(LONGEST).await };
        let fetched_at = Instant::now();
        let answer = answer.await.map_err(|error| self.unavailable(&error.to_string()));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // The next try comes after an interval, too.
                self.with_known(|known| {
                    known.iter_mut().for_each(|known| known.fetched_at = fetched_at);
                });
                return Err(error);
            }
        };
        let status = answer.head.status;
        if status == StatusCode::NOT_MODIFIED {
            self.with_known(|known| {
                known.iter_mut().for_each(|known| known.fetched_at = fetched_at);
            });
            return Ok(false);
        }
        let read = || {
            if status != StatusCode::OK {
                return Err(self.unavailable(&format!("the server answered {status}")));
            }
            let text = std::str::from_utf8(&answer.body);
            let text = text.map_err(|_| self.invalid("the list is no text"))?;
            parse(text).map_err(|what| self.invalid(&what))
        };
        let proxies = read();
        let etag = answer.head.headers.get(header::ETAG).cloned();
        self.with_known(|known| {
            let proxies = match proxies {
                Ok(proxies) => proxies,
                Err(error) => {
                    known.iter_mut().for_each(|known| known.fetched_at = fetched_at);
                    return Err(error);
                }
            };
            let changed = known.as_ref().is_none_or(|known| known.proxies != proxies);
            let is_news = is_news && changed;
            *known = Some(Known { proxies, etag, fetched_at, is_news });
            Ok(changed)
        })
    }

    fn with_known<T>(&self, look: impl FnOnce(&mut Option<Known>) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn unavailable(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unavailable, Certainty::Transient, OPERATION)
            .with_context(format!("{self}: {what}"))
    }

    fn invalid(&self, what: &str) -> Error {
        Error::invalid(OPERATION, format!("{self}: {what}"))
    }
}

impl fmt::Debug for ProxyListUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str();
        f.debug_struct("ProxyListUrl").field("host", &host).finish_non_exhaustive()
    }
}

impl fmt::Display for ProxyListUrl {
    /// Without path and query: they may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of proxies at {}", self.url.host_str().unwrap_or("no host"))
    }
}

#[async_trait]
impl ProxySource for ProxyListUrl {
    async fn list(&self) -> Result<Vec<Proxy>> {
        let news = self.with_known(|known| {
            let known = known.as_mut()?;
            std::mem::take(&mut known.is_news).then(|| known.proxies.clone())
        });
        if let Some(news) = news {
            return Ok(news);
        }
        self.fetch(false).await?;
        let known = |known: &mut Option<Known>| known.as_ref().map(|known| known.proxies.clone());
        self.with_known(known).ok_or_else(|| self.unavailable("it says that nothing has changed"))
    }

    async fn changed(&self) -> Result<()> {
        loop {
            let (is_news, at) = self.with_known(|known| match known {
                Some(known) => (known.is_news, known.fetched_at),
                None => (false, Instant::now()),
            });
            if is_news {
                return Ok(());
            }
            tokio::time::sleep_until(at + self.interval).await;
            if self.fetch(true).await? {
                return Ok(());
            }
        }
    }

    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &[(ProxyId, ProxyState)]) -> Result<()> {
        Ok(())
    }
}
