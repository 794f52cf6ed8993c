//! The connection: made again for ever, while each call fails fast.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, RedisError, RedisResult, TlsCertificates,
    Value,
};
use story_checker_core::{Certainty, Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::RedisOptions;
use crate::address::Address;
use crate::error::{Effect, failed, wants_new_connection};

/// The pauses between two attempts to connect: from the first, doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How often the client of a cluster follows a redirection by itself.
const REDIRECTIONS: u32 = 3;

#[derive(Clone)]
enum Connection {
    Cluster(ClusterConnection),
    Single(MultiplexedConnection),
}

/// One connection that all calls share.
pub(crate) struct Link {
    address: Address,
    options: RedisOptions,
    current: Mutex<Option<(u64, Connection)>>,
    /// One at a time makes a connection; the others wait for what comes of it.
    attempts: tokio::sync::Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    made: u64,
    failed: u32,
    not_before: Option<Instant>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn new(address: Address, options: RedisOptions) -> Self {
        let attempts = tokio::sync::Mutex::default();
        Self { address, options, current: Mutex::new(None), attempts }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends one command and returns its reply, or the error as Redis says it, with whether it was
    /// sent at all.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        effect: Effect,
        command: &Cmd,
    ) -> Result<RedisResult<Value>> {
        let (made, connection) = self.connection(operation).await?;
        let reply = match connection {
            Connection::Single(mut connection) => connection.req_packed_command(command).await,
            Connection::Cluster(mut connection) => connection.req_packed_command(command).await,
        };
        let reply = reply.and_then(Value::extract_error);
        match reply {
            Err(error) if wants_new_connection(&error) => {
                self.discard(made);
                Err(failed(operation, effect, &self.address.to_string(), error))
            }
            reply => Ok(reply),
        }
    }

    /// Sends one command.
    pub(crate) async fn ask(
        &self,
        operation: &'static str,
        effect: Effect,
        command: &Cmd,
    ) -> Result<Value> {
        let reply = self.send(operation, effect, command).await?;
        reply.map_err(|error| failed(operation, effect, &self.address.to_string(), error))
    }

    fn current(&self) -> Option<(u64, Connection)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn discard(&self, made: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(number, _)| *number == made) {
            *current = None;
        }
    }

    async fn connection(&self, operation: &'static str) -> Result<(u64, Connection)> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let mut attempts = self.attempts.lock().await;
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let place = self.address.to_string();
        if let Some(pause) = attempts.not_before
            && pause > Instant::now()
        {
            let error = Error::new(ErrorKind::Unavailable, Certainty::Transient, operation);
            return Err(error.with_context(format!("{place}: connecting to it failed just now")));
        }
        match self.connect().await {
            Ok(connection) => {
                attempts.made += 1;
                attempts.failed = 0;
                attempts.not_before = None;
                let current = (attempts.made, connection);
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(current.clone());
                Ok(current)
            }
            Err(error) => {
                attempts.not_before = Some(Instant::now() + pause(attempts.failed));
                attempts.failed = attempts.failed.saturating_add(1);
                // Nothing was sent yet, whatever it is.
                Err(failed(operation, Effect::Reads, &place, error))
            }
        }
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let RedisOptions { response_timeout, connect_timeout, .. } = self.options;
        if self.address.cluster {
            let mut builder = ClusterClientBuilder::new(self.address.nodes.clone())
                .connection_timeout(connect_timeout)
                .response_timeout(response_timeout)
                .retries(REDIRECTIONS);
            if let Some(certificates) = self.certificates() {
                builder = builder.certs(certificates);
            }
            let connecting = async { builder.build()?.get_async_connection().await };
            let connection = within(connect_timeout * 2, connecting).await?;
            return Ok(Connection::Cluster(connection));
        }
        self.connect_to(&self.address.nodes[0]).await.map(Connection::Single)
    }

    async fn connect_to(&self, node: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        let RedisOptions { response_timeout, connect_timeout, .. } = self.options;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(response_timeout));
        let client = self.client(node)?;
        // Its own limit does not cover the greeting.
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        within(connect_timeout, connecting).await
    }

    fn client(&self, node: &ConnectionInfo) -> RedisResult<Client> {
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(node.clone(), certificates),
            None => Client::open(node.clone()),
        }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = Some(self.options.authority.clone()?);
        Some(TlsCertificates { client_tls: None, root_cert })
    }

    /// A connection of its own to any one node, for questions about the server itself.
    pub(crate) async fn any_node(&self) -> RedisResult<MultiplexedConnection> {
        let mut result = Err(RedisError::from((redis::ErrorKind::Client, "no node is named")));
        for node in &self.address.nodes {
            result = self.connect_to(node).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// A connection of its own that listens to `channel`.
    pub(crate) async fn listen(&self, channel: &[u8]) -> RedisResult<PubSub> {
        let mut result = Err(RedisError::from((redis::ErrorKind::Client, "no node is named")));
        for node in &self.address.nodes {
            let client = self.client(node)?;
            let connecting = async {
                let mut connection = client.get_async_pubsub().await?;
                connection.subscribe(channel).await?;
                Ok(connection)
            };
            result = within(self.options.connect_timeout, connecting).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

async fn within<T>(
    limit: Duration,
    connecting: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    match tokio::time::timeout(limit, connecting).await {
        Ok(result) => result,
        Err(_) => {
            let text = format!("no connection after {limit:?}");
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text).into())
        }
    }
}

/// How long to wait after so many failures: half of it by chance, so that many processes do not come
/// back in the same moment.
pub(crate) fn pause(failed: u32) -> Duration {
    let (first, most) = PAUSES;
    let full = first.saturating_mul(1 << failed.min(10)).min(most);
    let chance = RandomState::new().hash_one(failed) % 1_000;
    full / 2 + full.mul_f64(0.0005).saturating_mul(u32::try_from(chance).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        assert!((0..100).all(|_| pause(0) >= PAUSES.0 / 2 && pause(0) <= PAUSES.0));
        assert!((0..100).all(|_| pause(u32::MAX) >= PAUSES.1 / 2 && pause(50) <= PAUSES.1));
        let distinct: std::collections::HashSet<_> = (0..100).map(|_| pause(9)).collect();
        assert!(distinct.len() > 10);
    }
}
