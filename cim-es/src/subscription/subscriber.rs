//! A subscriber: starts subscriptions.

use std::sync::Arc;

use super::ParkedEvents;
use crate::store::subscription::{Plan, Subscription, SubscriptionEngine, SubscriptionError};

/// What listens to events; [`EventSubscriberBuilder`](super::EventSubscriberBuilder) makes it.
#[derive(Clone)]
pub struct EventSubscriber {
    engine: Arc<dyn SubscriptionEngine>,
    plan: Arc<Plan>,
}

impl EventSubscriber {
    pub(super) fn new(engine: Arc<dyn SubscriptionEngine>, plan: Plan) -> Self {
        let plan = Arc::new(plan);
        Self { engine, plan }
    }

    /// Starts a subscription. What is appended once this has returned reaches the handler.
    ///
    /// # Errors
    /// [`SubscriptionError`] says what keeps it from starting.
    pub async fn subscribe(&self) -> Result<Subscription, SubscriptionError> {
        self.engine.subscribe(Arc::clone(&self.plan)).await
    }

    /// What is parked under the name of this subscriber.
    ///
    /// # Errors
    /// The failures of what keeps it.
    pub async fn parked(&self) -> Result<ParkedEvents, SubscriptionError> {
        ParkedEvents::find(&*self.engine, self.plan.mode.name()).await
    }
}

impl std::fmt::Debug for EventSubscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSubscriber")
            .field("mode", &self.plan.mode)
            .field("wanted", &self.plan.wanted)
            .finish_non_exhaustive()
    }
}
