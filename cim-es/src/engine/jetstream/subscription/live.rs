//! A live subscription: what happens from now on.

use super::SubscriptionError;
use super::coordination::Coordination;
use super::failure::MayPass;
use super::feed::{Fed, Source};
use crate::block::StoredEvent;
use crate::engine::jetstream::api::log_cut_off;
use crate::engine::jetstream::retry;
use crate::store::subscription::{Outcome, ParkedEvent, Turn};
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
                // It is no event that a live listener misses.
                Some(Ok(Some(Fed::CutOff(event)))) => {
                    log_cut_off(&self.source.api.stream, &event);
                }
                Some(Ok(Some(Fed::Event(event)))) => {
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
        let turn = Turn { stop, lease: None };
        match self.source.plan.worker.work(event, turn).await {
            Outcome::Handled | Outcome::Interrupted => Ok(()),
            Outcome::GivenUp { reason, attempts } => self.park(event, reason, attempts, stop).await,
        }
    }

    /// Parks an event, however long the servers are away.
    async fn park(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let mut retry = retry::REQUEST.without_end();
        loop {
            let written = self.write(event, reason.clone(), attempts).await;
            let written = written.map_err(|source| SubscriptionError::NotParked {
                position: event.position,
                reason: reason.clone(),
                source,
            });
            match written {
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "an event that is to be parked waits for the servers");
                    stop.run_until_cancelled(retry.pause()).await.ok_or(error)?;
                }
                written => return written,
            }
        }
    }

    async fn write(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
    ) -> Result<(), StoreError> {
        let source = &self.source;
        // Opened when it is needed: a live subscription that has nothing to park writes nothing.
        let coordination = Coordination::open(
            &source.api.connection,
            source.plan.mode.name(),
            source.replicas,
        )
        .await?;
        let entry = ParkedEvent::new(event, reason, attempts);
        entry.write(&coordination).await.map(drop)
    }
}
