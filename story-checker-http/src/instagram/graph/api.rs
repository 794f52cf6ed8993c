//! The Graph API: where it is, and how it is spoken to.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use story_checker_core::session::SessionKind;
use url::Url;

use super::config::{Checked, GraphConfig};
use super::token::{ACCESS_TOKEN, GraphLogin, Token};
use super::usage::usage;
use crate::client::{ApiClient, ClientConfig};
use crate::config::InvalidConfig;
use crate::transport::Transport;

pub(super) const SESSION_KIND: SessionKind = SessionKind::from_static("instagram-graph");
pub(super) const APP: &str = "instagram-graph";
pub(super) const SOURCE: &str = "instagram-graph/1";
pub(super) const DISCOVERY: &str = "discovery";
pub(super) const REFRESH: &str = "refresh";
pub(super) const STORIES: &str = "stories";

/// Without this list only ids come back (domain: Meta docs, IG User stories).
const FIELDS: &str =
    "fields=id,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username";

/// What every check works with.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) api: ApiClient,
    pub(super) config: GraphConfig,
    urls: Checked,
}

impl Graph {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        config: GraphConfig,
    ) -> Result<Self, InvalidConfig> {
        let urls = config.check()?;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let client = ClientConfig {
            source: SOURCE,
            jar: None,
            // In a header, so that no address ever holds it.
            bearer: Some(ACCESS_TOKEN),
            headers,
            user_agent: urls.user_agent.clone(),
            cookie_echo: &[],
            token_echo: &[],
            usage,
            max_body: config.max_body,
            timeout: config.request_timeout,
        };
        Ok(Self { api: ApiClient::new(transport, client), config, urls })
    }

    /// The stories of the token's own account, on the page after this cursor.
    pub(super) fn stories(&self, token: &Token, after: Option<&str>) -> Url {
        let mut url = self.of_user(token, "/stories");
        url.set_query(Some(&format!("{FIELDS}&limit={}", self.config.page_size)));
        if let Some(after) = after {
            // Never the answer's own link to the next page: it holds the token.
            url.query_pairs_mut().append_pair("after", after);
        }
        url
    }

    /// A look-up of somebody else by name, which is checked before.
    pub(super) fn discovery(&self, token: &Token, name: &str) -> Url {
        let mut url = self.of_user(token, "");
        url.set_query(Some(&format!(
            "fields=business_discovery.username({name})%7Bid,username,media_count%7D"
        )));
        url
    }

    /// A new token for one of Instagram Login.
    pub(super) fn refresh(&self, access_token: &str) -> Url {
        let mut url = self.urls.instagram.route("/refresh_access_token");
        url.set_query(Some("grant_type=ig_refresh_token"));
        if self.config.refresh_by_query {
            url.query_pairs_mut().append_pair("access_token", access_token);
        }
        url
    }

    fn of_user(&self, token: &Token, edge: &str) -> Url {
        let host = match token.login {
            GraphLogin::Facebook => &self.urls.facebook,
            GraphLogin::Instagram => &self.urls.instagram,
        };
        host.route(&format!("/{}/{}{edge}", self.config.version, token.ig_user_id))
    }
}
