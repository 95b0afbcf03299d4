//! What an engine is asked for that runs subscriptions in its own way.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;

use super::plan::{Mode, Plan};
use super::{ParkedEvent, ParkedRequest, Subscription, SubscriptionError};
use crate::store::Position;

/// Runs subscriptions on the events of one store.
#[async_trait]
pub(crate) trait SubscriptionEngine: Any + Send + Sync {
    /// Refuses what it does not offer, before anything is started.
    ///
    /// # Errors
    /// [`SubscriptionError::NeedsServers`].
    fn check(&self, mode: &Mode) -> Result<(), SubscriptionError>;

    /// Starts a subscription. What is appended once this has returned reaches the handler.
    ///
    /// # Errors
    /// What keeps it from starting.
    async fn subscribe(&self, plan: Arc<Plan>) -> Result<Subscription, SubscriptionError>;

    /// What is parked for the subscription of a name.
    ///
    /// # Errors
    /// The failures of what keeps it.
    async fn parked(&self, name: &str) -> Result<Arc<dyn KeepsParked>, SubscriptionError>;
}

/// The parked events of one subscription.
#[async_trait]
pub(crate) trait KeepsParked: Send + Sync {
    /// Whether a subscription of the name has kept anything.
    async fn is_known(&self) -> Result<bool, SubscriptionError>;

    /// All of them, in the order of the store.
    async fn list(&self) -> Result<Vec<ParkedEvent>, SubscriptionError>;

    /// Says what is to be done with one. Gives whether it is parked.
    async fn request(
        &self,
        position: Position,
        request: ParkedRequest,
    ) -> Result<bool, SubscriptionError>;
}
