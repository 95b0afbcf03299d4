//! Until when a member may work: a moment that is moved on with every heartbeat that the servers have.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Moves the moment.
pub(crate) struct Holder {
    until: watch::Sender<Instant>,
    /// How long a heartbeat is good for: less than what others wait, who see it later.
    length: Duration,
}

/// Sees the moment.
#[derive(Clone)]
pub(crate) struct Lease(watch::Receiver<Instant>);

impl Holder {
    /// Holds a lease from the moment at which the heartbeat was sent.
    pub(crate) fn new(sent: Instant, length: Duration) -> (Self, Lease) {
        let (until, receiver) = watch::channel(sent + length);
        (Self { until, length }, Lease(receiver))
    }

    pub(crate) fn extend(&self, sent: Instant) {
        self.until.send_replace(sent + self.length);
    }

    /// Gives it up at once.
    pub(crate) fn end(&self) {
        self.until.send_replace(Instant::now());
    }
}

impl Lease {
    /// Whether it is over now.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until()
    }

    pub(crate) fn until(&self) -> Instant {
        *self.0.borrow()
    }

    /// Waits until it is over.
    pub(crate) async fn over(&self) {
        let mut until = self.0.clone();
        loop {
            let moment = *until.borrow_and_update();
            if Instant::now() >= moment {
                return;
            }
            let is_open = {
                let changed = pin!(until.changed());
                match select(changed, pin!(sleep_until(moment))).await {
                    futures_util::future::Either::Left((changed, _)) => changed.is_ok(),
                    futures_util::future::Either::Right(_) => true,
                }
            };
            if !is_open {
                // Nobody can extend it any more.
                sleep_until(moment).await;
                return;
            }
        }
    }
}
