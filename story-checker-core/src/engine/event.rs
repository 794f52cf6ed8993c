use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::gate::BreakerChange;
use crate::id::{BatchId, JobId, ProxyId, SessionId};
use crate::proxy::ProxyState;
use crate::report::{Cause, Report};
use crate::session::SessionState;

/// What happens in an engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A breaker has changed: an endpoint or a proxy is left alone, tried again, or well.
    BreakerChanged(BreakerChange),
    /// A job was cancelled; there is no report.
    Cancelled {
        /// The job.
        job: JobId,
        /// Its batch.
        batch: Option<BatchId>,
    },
    /// A job ended without a report: its payload could not be understood.
    Dropped {
        /// The job.
        job: JobId,
        /// Its batch.
        batch: Option<BatchId>,
        /// What was wrong with it.
        reason: String,
    },
    /// The state of a proxy changed.
    ProxyChanged {
        /// The proxy.
        proxy: ProxyId,
        /// Its state from now on.
        state: ProxyState,
    },
    /// A job will be checked again later.
    PutOff {
        /// The job.
        job: JobId,
        /// Its batch.
        batch: Option<BatchId>,
        /// Why.
        cause: Cause,
        /// The earliest time of the next check.
        until: Timestamp,
        /// Whether it used an attempt.
        attempt_used: bool,
    },
    /// A job has ended with a report: the one and only of this job.
    Reported {
        /// The job.
        job: JobId,
        /// Its batch.
        batch: Option<BatchId>,
        /// The answer, or why there is none.
        report: Arc<Report>,
    },
    /// The state of a session changed. Anything but a rest needs the operator.
    SessionChanged {
        /// The session.
        session: SessionId,
        /// Its state from now on; its reason says what to do.
        state: SessionState,
    },
}

/// What a subscriber wants when it cannot keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Miss events; [`Subscription::missed`] counts them. The engine never waits.
    Miss,
    /// Miss nothing: the engine waits, so it goes no faster than the subscriber reads. A subscriber
    /// that stops reading without being dropped stops the engine.
    Wait,
}

/// Receives events, in their order.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::Receiver<Event>,
    missed: Arc<AtomicU64>,
}

impl Subscription {
    /// The next event; `None` once the engine has shut down and everything was received.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event, if one is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// How many events did not fit, ever.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct Subscriber {
    events: mpsc::Sender<Event>,
    overflow: Overflow,
    missed: Arc<AtomicU64>,
}

/// Hands events to all subscribers.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// None once the engine has shut down.
    subscribers: Mutex<Option<Arc<[Subscriber]>>>,
}

impl Bus {
    pub(super) fn new() -> Self {
        Self { subscribers: Mutex::new(Some(Arc::default())) }
    }

    pub(super) fn subscribe(&self, capacity: usize, overflow: Overflow) -> Subscription {
        let (sender, events) = mpsc::channel(capacity.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        let subscriber = Subscriber { events: sender, overflow, missed: Arc::clone(&missed) };
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = subscribers.as_mut() {
            let open = list.iter().filter(|subscriber| !subscriber.events.is_closed()).cloned();
            *list = open.chain([subscriber]).collect();
        }
        Subscription { events, missed }
    }

    fn current(&self) -> Option<Arc<[Subscriber]>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands over an event, waiting for subscribers that miss nothing.
    pub(super) async fn emit(&self, event: Event) {
        let Some(subscribers) = self.current() else { return };
        for subscriber in &*subscribers {
            match subscriber.overflow {
                // A closed channel is a subscriber that has gone.
                Overflow::Wait => _ = subscriber.events.send(event.clone()).await,
                Overflow::Miss => {
                    if let Err(mpsc::error::TrySendError::Full(_)) =
                        subscriber.events.try_send(event.clone())
                    {
                        subscriber.missed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// Ends all subscriptions, after what is in their buffers.
    pub(super) fn close(&self) {
        *self.subscribers.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
