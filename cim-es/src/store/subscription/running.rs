//! A running subscription, as the program holds it.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::future::{Either, select};
use tokio::task::JoinHandle;

use super::SubscriptionError;
use tokio_util::sync::CancellationToken;

/// A running subscription. It is a future that ends when the subscription does: well after it was
/// [stopped](Self::stop), with the error that ended it otherwise. [`until`](Self::until) stops it when the program is asked
/// to end, so that the next one with its name need not wait for a lease.
///
/// Dropping it stops the subscription in the background, as [`stop`](Self::stop) does;
/// [`detach`](Self::detach) lets it run as long as the program.
#[must_use = "a subscription stops when it is dropped; `detach` lets it run"]
pub struct Subscription {
    task: JoinHandle<Result<(), SubscriptionError>>,
    stop: CancellationToken,
    stops_on_drop: bool,
}

impl Subscription {
    pub(crate) fn spawn<F>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self {
            task: tokio::spawn(run(stop.clone())),
            stop,
            stops_on_drop: true,
        }
    }

    /// Stops it: the event that is being handled is finished, how far it came is stored, its consumers are removed. An
    /// event between two attempts is left for the next time.
    ///
    /// # Errors
    /// The error that ended it before.
    pub async fn stop(self) -> Result<(), SubscriptionError> {
        self.stop.cancel();
        self.await
    }

    /// Waits until it ends by itself, or until something else happens, such as Ctrl-C: then stops it.
    ///
    /// ```no_run
    /// # async fn example(subscription: cim_es::subscription::Subscription) -> Result<(), cim_es::subscription::SubscriptionError> {
    /// # mod tokio { pub mod signal { pub async fn ctrl_c() {} } }
    /// subscription.until(tokio::signal::ctrl_c()).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error that ended it before.
    pub async fn until<T>(
        mut self,
        asked_to_end: impl Future<Output = T>,
    ) -> Result<(), SubscriptionError> {
        match select(&mut self, pin!(asked_to_end)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => self.stop().await,
        }
    }

    /// Asks it to stop, without waiting: awaiting it tells when it has.
    pub fn request_stop(&self) {
        self.stop.cancel();
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it at once, in the middle of an event, and leaves everything as a crash would.
    pub fn abort(mut self) {
        self.stops_on_drop = false;
        self.task.abort();
    }

    /// Lets it run as long as the program. What ends it is then in the log alone.
    pub fn detach(mut self) {
        self.stops_on_drop = false;
    }
}

impl Future for Subscription {
    type Output = Result<(), SubscriptionError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.task).poll(context);
        ended.map(|ended| match ended {
            Ok(ended) => ended,
            Err(error) => Err(SubscriptionError::Task {
                reason: error.to_string(),
            }),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.stops_on_drop {
            self.stop.cancel();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}
