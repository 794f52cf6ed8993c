//! How long a connection takes: only the connector knows.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Of the request that is polled. A connection that is made for it and then handed to another is
    /// told by nobody.
    static CONNECT: Cell<Duration>;
}

/// Sends a request; with the time that a new connection for it took, or 0.
pub(super) async fn timed<T>(send: impl Future<Output = T>) -> (T, Duration) {
    let send = async {
        let answer = send.await;
        (answer, CONNECT.with(Cell::get))
    };
    CONNECT.scope(Cell::new(Duration::ZERO), send).await
}

/// Takes the time of each connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeConnect;

/// A connector whose connections are timed.
#[derive(Clone, Debug)]
pub(super) struct Timed<S>(S);

impl<S> Layer<S> for TimeConnect {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed(inner)
    }
}

impl<S, R> Service<R> for Timed<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let begun = Instant::now();
        let connect = self.0.call(to);
        Box::pin(async move {
            let made = connect.await;
            // Out of scope once the request goes on over another connection.
            _ = CONNECT.try_with(|it| it.set(begun.elapsed()));
            made
        })
    }
}
