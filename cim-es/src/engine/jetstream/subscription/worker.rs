//! Handing one event to the handler, again after an error, up to a limit.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::handler::{EventHandler, HandlerError};
use crate::block::StoredEvent;
use tokio_util::sync::CancellationToken;

/// How often a handler gets an event that it failed on, and when.
///
/// ```
/// use std::time::Duration;
/// use cim_es::jetstream::Retry;
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
pub(super) enum Outcome {
    /// The handler is done with it.
    Handled,
    /// The handler failed too often, or for good.
    GivenUp { reason: String, attempts: u32 },
    /// The subscription was asked to stop between two attempts.
    Interrupted,
}

/// A handler, and how patient to be with it.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) handler: Arc<dyn EventHandler>,
    pub(super) retry: Retry,
    pub(super) time_limit: Option<Duration>,
}

impl Worker {
    /// Hands an event over until it is handled or given up.
    pub(super) async fn work(&self, event: &StoredEvent, stop: &CancellationToken) -> Outcome {
        let mut attempts = 0;
        loop {
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
            if stop.run_until_cancelled(pause).await.is_none() {
                return Outcome::Interrupted;
            }
        }
    }

    /// Hands an event over once. A panic and a handler that takes too long are failures like others.
    pub(super) async fn attempt(&self, event: StoredEvent) -> Result<(), HandlerError> {
        let work = caught(self.handler.handle(event));
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
            let text = text_of(&*panic);
            Err(HandlerError::new(format!("the handler panicked: {text}")))
        })
    }
}

async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut work = pin!(work);
    // What the work leaves half done is the handler's own, and it is not polled again.
    poll_fn(move |context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("without a text")
}
