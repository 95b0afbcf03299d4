//! A signal that is given once and seen by many: stop.

use std::future::{Future, pending};
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::watch;

/// Gives the signal.
#[derive(Clone, Debug)]
pub(super) struct Giver(watch::Sender<bool>);

/// Sees the signal.
#[derive(Clone, Debug)]
pub(super) struct Signal(watch::Receiver<bool>);

pub(super) fn signal() -> (Giver, Signal) {
    let (sender, receiver) = watch::channel(false);
    (Giver(sender), Signal(receiver))
}

impl Giver {
    pub(super) fn give(&self) {
        self.0.send_replace(true);
    }
}

impl Signal {
    pub(super) fn is_given(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the signal.
    pub(super) async fn given(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|given| *given).await.is_err() {
            // Nobody is left who could give it.
            pending::<()>().await;
        }
    }

    /// Does some work, which is dropped when the signal is given; none then.
    pub(super) async fn unless_given<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(self.given()), pin!(work)).await {
            Either::Left(_) => None,
            Either::Right((done, _)) => Some(done),
        }
    }
}
