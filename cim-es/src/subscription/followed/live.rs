//! A live subscription: what happens from now on.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::durable::{Pauses, may_pass};
use super::events::Events;
use super::names;
use super::record::{self, Entry, Record};
use super::{Kept, asked};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::store::Bookmark;
use crate::store::read_model::ReadModelError;
use crate::store::subscription::{Outcome, ParkedEvent, Plan, SubscriptionError, Turn};

/// All that a live subscription works with.
pub(super) struct Live {
    events: Events,
    plan: Arc<Plan>,
    kept: Arc<Kept>,
    after: Bookmark,
}

impl Live {
    pub(super) fn new(events: Events, plan: Arc<Plan>, kept: Arc<Kept>, after: Bookmark) -> Self {
        Self {
            events,
            plan,
            kept,
            after,
        }
    }

    /// Works until it is asked to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let mut pauses = Pauses::default();
        loop {
            match self.follow(&stop, &mut pauses).await {
                Err(error) if may_pass(&error) => {
                    tracing::warn!(error = %ErrorChain(&error), "a live subscription waits for its store");
                    if stop.run_until_cancelled(pauses.pause()).await.is_none() {
                        return Ok(());
                    }
                }
                ended => return ended,
            }
        }
    }

    async fn follow(
        &mut self,
        stop: &CancellationToken,
        pauses: &mut Pauses,
    ) -> Result<(), SubscriptionError> {
        let mut feed = self.events.follow(self.after);
        loop {
            let Some(next) = stop.run_until_cancelled(feed.next()).await else {
                return Ok(());
            };
            let event = self.events.given(next)?;
            let turn = Turn { stop, lease: None };
            match self.plan.worker.work(&event, turn).await {
                Outcome::Handled | Outcome::Interrupted => {}
                Outcome::GivenUp { reason, attempts } => {
                    self.park(&event, reason, attempts, stop).await?;
                }
            }
            self.after = event.bookmark();
            pauses.reset();
            // Others on this thread are to come to their turn while there is always more.
            tokio::task::yield_now().await;
        }
    }

    /// Parks an event, however long the storage is away.
    async fn park(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let mut pauses = Pauses::default();
        loop {
            match self.write(event, reason.clone(), attempts).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let error = SubscriptionError::from(error);
                    if !may_pass(&error) {
                        return Err(error);
                    }
                    tracing::warn!(error = %ErrorChain(&error), "an event that is to be parked waits for the storage");
                    stop.run_until_cancelled(pauses.pause())
                        .await
                        .ok_or(error)?;
                }
            }
        }
    }

    async fn write(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
    ) -> Result<(), ReadModelError> {
        // Opened when it is needed: a live subscription that has nothing to park writes nothing.
        let live =
            Record::open_as(self.kept.open().await?, names::LIVE, self.plan.mode.name()).await?;
        let entry = Entry {
            event: ParkedEvent::new(event, reason, attempts),
            answered: None,
        };
        asked::write(&live, vec![record::parked(&entry)]).await
    }
}
