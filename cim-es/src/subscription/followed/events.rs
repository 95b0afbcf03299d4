//! The events of a store that a subscription wants.

use std::sync::Arc;

use futures_util::StreamExt;

use crate::block::StoredEvent;
use crate::store::subscription::{ParkedEvent, Plan, SubscriptionError, SubscriptionStart};
use crate::store::{Bookmark, EventStore, EventStream, Position, Selection, StoreError};

/// A store, and what is wanted of it.
pub(super) struct Events {
    store: Arc<dyn EventStore>,
    selection: Selection,
    name: String,
}

impl Events {
    pub(super) fn new(store: Arc<dyn EventStore>, plan: &Plan) -> Self {
        Self {
            store,
            selection: Selection::subjects(plan.wanted.clone()),
            name: plan.mode.name().to_owned(),
        }
    }

    pub(super) async fn first(
        &self,
        start: SubscriptionStart,
    ) -> Result<Position, SubscriptionError> {
        match start {
            SubscriptionStart::First => Ok(Position::START),
            SubscriptionStart::Now => Ok(self.store.last_position().await?),
            SubscriptionStart::After(position) => Ok(position),
        }
    }

    pub(super) fn follow(&self, after: Bookmark) -> EventStream {
        self.store.follow(self.selection.clone(), after)
    }

    /// What a followed stream gave; it never ends.
    pub(super) fn given(
        &self,
        next: Option<Result<StoredEvent, StoreError>>,
    ) -> Result<StoredEvent, SubscriptionError> {
        match next {
            Some(given) => given.map_err(|error| self.named(error)),
            None => Err(SubscriptionError::Task {
                reason: "the store ended a stream that does not end".to_owned(),
            }),
        }
    }

    /// The event that was parked; none when the store no longer has it, or has another one there.
    pub(super) async fn parked(
        &self,
        parked: &ParkedEvent,
    ) -> Result<Option<StoredEvent>, SubscriptionError> {
        let before = Position(parked.position.0.saturating_sub(1));
        let mut events = self.store.read(self.selection.clone(), before.into());
        let next = events.next().await.transpose();
        let next = next.map_err(|error| self.named(error))?;
        Ok(next.filter(|event| parked.is_about(event)))
    }

    /// What a store says, in the words of subscriptions.
    fn named(&self, error: StoreError) -> SubscriptionError {
        let StoreError::AnotherHistory(history) = error else {
            return error.into();
        };
        let (name, location) = (self.name.clone(), history.location);
        match history.found {
            Some(_) => SubscriptionError::StreamRemade { name, location },
            None => SubscriptionError::BeyondStream {
                name,
                location,
                position: history.known.position,
                last: history.last,
            },
        }
    }
}
