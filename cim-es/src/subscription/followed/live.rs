//! A live subscription: what happens from now on.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio_util::sync::CancellationToken;

use super::Kept;
use super::durable::{Pauses, may_pass};
use super::events::Events;
use super::live_parked::{LiveParked, Wanted};
use super::term::sleep_until_some;
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::store::Bookmark;
use crate::store::subscription::{Outcome, ParkedEvent, Plan, SubscriptionError, Turn, cut};

/// All that a live subscription works with.
pub(super) struct Live {
    events: Events,
    plan: Arc<Plan>,
    parked: LiveParked,
    after: Bookmark,
}

impl Live {
    pub(super) fn new(events: Events, plan: Arc<Plan>, kept: Arc<Kept>, after: Bookmark) -> Self {
        Self {
            events,
            parked: LiveParked::new(kept, plan.mode.name()),
            plan,
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
            let look = pin!(sleep_until_some(self.parked.look_at()));
            let next = select(feed.next(), look);
            let next = match stop.run_until_cancelled(next).await {
                None => return Ok(()),
                Some(Either::Left((next, _))) => next,
                Some(Either::Right(((), _))) => {
                    self.look(stop).await?;
                    continue;
                }
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

    /// Hands over what persons ask for, unless another program does.
    async fn look(&mut self, stop: &CancellationToken) -> Result<(), SubscriptionError> {
        for wanted in self.parked.look().await? {
            let Some(event) = self.events.parked(wanted.event()).await? else {
                // A live subscription of other subjects, or of another store, has parked it under the same name.
                continue;
            };
            if !self.parked.take(&wanted).await? {
                continue;
            }
            if !self.serve(&wanted, &event, stop).await? {
                break;
            }
        }
        Ok(())
    }

    /// Hands over a parked event; gives whether to go on.
    async fn serve(
        &mut self,
        wanted: &Wanted,
        event: &StoredEvent,
        stop: &CancellationToken,
    ) -> Result<bool, SubscriptionError> {
        let turn = Turn { stop, lease: None };
        match self.plan.worker.work(event, turn).await {
            Outcome::Handled => self.parked.remove(wanted).await?,
            Outcome::Interrupted => self.parked.leave(wanted).await?,
            Outcome::GivenUp { reason, attempts } => {
                self.parked.keep(wanted, cut(reason), attempts).await?;
            }
        }
        Ok(!stop.is_cancelled())
    }

    /// Parks an event, however long the storage is away.
    async fn park(
        &mut self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let mut pauses = Pauses::default();
        loop {
            let parked = ParkedEvent::new(event, reason.clone(), attempts);
            match self.parked.park(parked).await {
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
}
