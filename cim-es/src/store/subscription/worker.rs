//! Handing one event to the handler, again after an error, up to a limit, and only while the event is this member's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::handler::{EventHandler, HandlerError};
use super::lease::Lease;
use crate::block::StoredEvent;
use crate::domain::panicked;
use tokio_util::sync::CancellationToken;

/// How often a handler gets an event that it failed on, and when.
///
/// ```
/// use std::time::Duration;
/// use cim_es::subscription::Retry;
///
/// let retry = Retry { attempts: 3, ..Retry::default() };
/// assert_eq!(retry.pause(1), Duration::from_millis(200));
/// assert_eq!(retry.pause(2), Duration::from_millis(400));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often an event is handed over before it is parked; 6 by default, at least 1.
    pub attempts: u32,
    /// How long to wait after the first failure; 200 ms by default. Each further wait is twice as long.
    pub first_pause: Duration,
    /// The longest wait; 30 s by default.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// How long to wait after a number of failures.
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let pause = self.first_pause.saturating_mul(1 << doublings);
        pause.min(self.longest_pause)
    }
}

/// What came of handing an event over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The handler is done with it.
    Handled,
    /// The handler failed too often, or for good.
    GivenUp { reason: String, attempts: u32 },
    /// The subscription was asked to stop before an attempt, or others may have the event.
    Interrupted,
}

/// Until when a handler may be given an event.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    /// Whether the subscription was asked to stop.
    pub(crate) stop: &'a CancellationToken,
    /// The lease of the member; none where an event is nobody's in particular.
    pub(crate) lease: Option<&'a Lease>,
}

impl Turn<'_> {
    /// Whether it is over: an event may come together with the wish to stop, and a handler that blocked its thread let a
    /// lease end that nobody could look at meanwhile.
    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.lease.is_some_and(Lease::is_over)
    }
}

/// A handler, and how patient to be with it.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) handler: Arc<dyn EventHandler>,
    pub(crate) retry: Retry,
    pub(crate) time_limit: Option<Duration>,
}

impl Worker {
    /// Hands an event over until it is handled or given up.
    pub(crate) async fn work(&self, event: &StoredEvent, turn: Turn<'_>) -> Outcome {
        let mut attempts = 0;
        loop {
            if turn.is_over() {
                return Outcome::Interrupted;
            }
            attempts += 1;
            let error = match self.attempt(event.clone()).await {
                Ok(()) => return Outcome::Handled,
                Err(error) => error,
            };
            let position = event.position;
            tracing::warn!(%position, attempts, %error, "a handler failed");
            if error.is_permanent() || attempts >= self.retry.attempts {
                let reason = error.to_string();
                return Outcome::GivenUp { reason, attempts };
            }
            let pause = sleep(self.retry.pause(attempts));
            if turn.stop.run_until_cancelled(pause).await.is_none() {
                return Outcome::Interrupted;
            }
        }
    }

    /// Hands an event over once. A panic and a handler that takes too long are failures like others.
    pub(crate) async fn attempt(&self, event: StoredEvent) -> Result<(), HandlerError> {
        let work = panicked::caught(self.handler.handle(event));
        let done = match self.time_limit {
            None => work.await,
            Some(limit) => match timeout(limit, work).await {
                Ok(done) => done,
                Err(_) => {
                    let limit = limit.as_millis();
                    return Err(HandlerError::new(format!("not done after {limit} ms")));
                }
            },
        };
        done.unwrap_or_else(|panic| {
            let text = panicked::text(&*panic).unwrap_or("without a text");
            Err(HandlerError::new(format!("the handler panicked: {text}")))
        })
    }
}
