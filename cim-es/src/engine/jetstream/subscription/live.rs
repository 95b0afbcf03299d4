//! A live subscription: what happens from now on.

use super::SubscriptionError;
use super::coordination::Coordination;
use super::feed::Source;
use super::parked::ParkedEvent;
use super::worker::Outcome;
use crate::block::StoredEvent;
use crate::store::{Position, StoreError};
use tokio_util::sync::CancellationToken;

/// All that a live subscription works with.
pub(super) struct Live {
    pub(super) source: Source,
    pub(super) after: Position,
}

impl Live {
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let mut feed = self.source.feed(None, self.after);
        let ended = loop {
            match stop.run_until_cancelled(feed.next()).await {
                None => break Ok(()),
                Some(Ok(None)) => {}
                Some(Ok(Some(event))) => {
                    if let Err(error) = self.handle(&event, &stop).await {
                        break Err(error);
                    }
                }
                Some(Err(error)) => break Err(error),
            }
        };
        feed.close().await;
        ended
    }

    async fn handle(
        &self,
        event: &StoredEvent,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        match self.source.plan.worker.work(event, stop).await {
            Outcome::Handled | Outcome::Interrupted => Ok(()),
            Outcome::GivenUp { reason, attempts } => {
                let parked = self.park(event, reason.clone(), attempts).await;
                parked.map_err(|source| SubscriptionError::NotParked {
                    position: event.position,
                    reason,
                    source,
                })
            }
        }
    }

    async fn park(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
    ) -> Result<(), StoreError> {
        let plan = &self.source.plan;
        // Opened when it is needed: a live subscription that has nothing to park writes nothing.
        let coordination =
            Coordination::open(&plan.connection, plan.mode.name(), self.source.replicas).await?;
        let entry = ParkedEvent::new(event, reason, attempts);
        entry.write(&coordination).await.map(drop)
    }
}
