//! Wake-ups: within the process by a channel, between processes by one of Redis.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::link::{Link, pause};

/// How long a waiter trusts that it will be woken: while the channel of Redis is heard, and while it
/// is not.
const FLOORS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(100));

/// Names of queues in which something may be due, one per line.
pub(crate) type Woken = Arc<str>;

/// Hears that queues have something due.
#[derive(Debug)]
pub(crate) struct Wake {
    channel: Vec<u8>,
    sender: broadcast::Sender<Woken>,
    heard: Arc<AtomicBool>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Wake {
    pub(crate) fn new(tag: &[u8]) -> Self {
        Self {
            channel: [tag, b"wake"].concat(),
            sender: broadcast::Sender::new(64),
            heard: Arc::default(),
            listener: Mutex::default(),
        }
    }

    /// Wakes the waiters of this process; the others hear it from Redis.
    pub(crate) fn notify(&self, queues: Woken) {
        // Without waiters nobody hears it.
        let _ = self.sender.send(queues);
    }

    /// From now on nothing is missed, for longer than [`Wake::floor`].
    pub(crate) fn hear(&self, link: &Arc<Link>) -> broadcast::Receiver<Woken> {
        let receiver = self.sender.subscribe();
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if listener.as_ref().is_none_or(JoinHandle::is_finished) {
            let (link, channel) = (Arc::clone(link), self.channel.clone());
            let (sender, heard) = (self.sender.clone(), Arc::clone(&self.heard));
            *listener = Some(tokio::spawn(listen(link, channel, sender, heard)));
        }
        receiver
    }

    pub(crate) fn floor(&self) -> Duration {
        if self.heard.load(Ordering::Relaxed) { FLOORS.0 } else { FLOORS.1 }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let listener = self.listener.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = listener.take() {
            listener.abort();
        }
    }
}

/// Passes on what the channel says, on a connection of its own, again and again.
async fn listen(
    link: Arc<Link>,
    channel: Vec<u8>,
    sender: broadcast::Sender<Woken>,
    heard: Arc<AtomicBool>,
) {
    let failed = AtomicU32::new(0);
    loop {
        match link.listen(&channel).await {
            Ok(connection) => {
                failed.store(0, Ordering::Relaxed);
                heard.store(true, Ordering::Relaxed);
                // What was said before could not be heard: everybody looks once.
                let _ = sender.send(Arc::from(""));
                let mut messages = connection.into_on_message();
                while let Some(message) = messages.next().await {
                    let queues = String::from_utf8_lossy(message.get_payload_bytes());
                    let _ = sender.send(Arc::from(&*queues));
                }
                heard.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                let place = link.address().to_string();
                tracing::debug!(%error, place, "wake-ups of other processes cannot be heard");
            }
        }
        tokio::time::sleep(pause(failed.fetch_add(1, Ordering::Relaxed))).await;
    }
}
