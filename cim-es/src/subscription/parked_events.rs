//! Where a person sees what is parked, and has it handled again or given up.

use std::sync::Arc;
use std::time::Duration;

use super::choice::Store;
use super::followed;
#[cfg(feature = "jetstream")]
use crate::engine::jetstream::{Connection, JetStreamSubscriptions};
use crate::store::read_model::ReadModelStorage;
use crate::store::subscription::{
    KeepsParked, Mode, ParkedEvent, ParkedRequest, SubscriptionEngine, SubscriptionError,
};
use crate::store::{EventStore, Position};

/// The parked events of one subscription, by its name.
///
/// ```
/// use cim_es::MemoryEventStore;
/// use cim_es::subscription::ParkedEvents;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryEventStore::new();
/// let parked = ParkedEvents::of(&store, "invoices").await?;
/// for event in parked.list().await? {
///     println!("{} {}: {}", event.position, event.event_type, event.reason);
///     parked.resend(event.position).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ParkedEvents {
    kept: Arc<dyn KeepsParked>,
    name: String,
}

impl ParkedEvents {
    /// What is parked for the subscription of a name on a store; on NATS servers, for that of its account.
    ///
    /// # Errors
    /// On NATS servers [`StoreError::Incompatible`](crate::store::StoreError::Incompatible) when no subscription of the
    /// account was ever started. [`SubscriptionError::NowhereKept`] on a store that keeps nothing beside its events: take
    /// [`kept_in`](Self::kept_in). The failures of what keeps it.
    pub async fn of<S: EventStore + Clone>(
        store: &S,
        name: &str,
    ) -> Result<Self, SubscriptionError> {
        let engine = Store::new(store.clone()).engine();
        engine.check(&Mode::Durable {
            name: name.to_owned(),
            lease: Duration::ZERO,
        })?;
        Self::find(&*engine, name).await
    }

    /// What is parked for a subscription that was [kept in](super::EventSubscriberBuilder::kept_in) a storage of its own.
    ///
    /// # Errors
    /// A name that cannot be one.
    pub fn kept_in(storage: impl ReadModelStorage, name: &str) -> Result<Self, SubscriptionError> {
        let kept = followed::parked(Arc::new(storage), name)?;
        let name = name.to_owned();
        Ok(Self { kept, name })
    }

    /// What is parked for the subscription of a name on NATS servers, for a program that opens no store.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`](crate::store::StoreError::Incompatible) when no subscription of the account was ever
    /// started, and the failures of the connection.
    #[cfg(feature = "jetstream")]
    pub async fn open(
        connection: impl Into<Connection>,
        name: &str,
    ) -> Result<Self, SubscriptionError> {
        let engine = JetStreamSubscriptions {
            connection: connection.into(),
            stream: None,
            layout: Default::default(),
        };
        Self::find(&engine, name).await
    }

    pub(super) async fn find(
        engine: &dyn SubscriptionEngine,
        name: &str,
    ) -> Result<Self, SubscriptionError> {
        let kept = engine.parked(name).await?;
        let name = name.to_owned();
        Ok(Self { kept, name })
    }

    /// Whether a subscription of this name has kept anything: where it has not, the name is probably misspelled. A live one
    /// keeps nothing before it parks an event.
    ///
    /// # Errors
    /// The failures of what keeps it.
    pub async fn is_known(&self) -> Result<bool, SubscriptionError> {
        self.kept.is_known().await
    }

    /// All of them, in the order of the store.
    ///
    /// # Errors
    /// The failures of what keeps them.
    pub async fn list(&self) -> Result<Vec<ParkedEvent>, SubscriptionError> {
        self.kept.list().await
    }

    /// Has the running subscription hand an event to its handler again; where none runs, the next one that starts does.
    ///
    /// An event that waits behind another of its aggregate needs no call: it follows when the other is handled or
    /// discarded. Of several live subscriptions of one name one hands the event over; where its program ends meanwhile, the
    /// event stays parked, and is to be asked for again. One that the store no longer has, or has in another history, is no
    /// longer parked then; a live subscription leaves such a one, and one that is not of its subjects, as it is.
    ///
    /// # Errors
    /// [`SubscriptionError::NotThere`] when it is not parked, and the failures of what keeps it.
    pub async fn resend(&self, position: Position) -> Result<(), SubscriptionError> {
        self.request(position, ParkedRequest::Resend).await
    }

    /// Has the running subscription go on without an event. The event itself stays in the store.
    ///
    /// # Errors
    /// [`SubscriptionError::NotThere`] when it is not parked, and the failures of what keeps it.
    pub async fn discard(&self, position: Position) -> Result<(), SubscriptionError> {
        self.request(position, ParkedRequest::Discard).await
    }

    async fn request(
        &self,
        position: Position,
        request: ParkedRequest,
    ) -> Result<(), SubscriptionError> {
        if self.kept.request(position, request).await? {
            return Ok(());
        }
        let name = self.name.clone();
        Err(SubscriptionError::NotThere { name, position })
    }
}

impl std::fmt::Debug for ParkedEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParkedEvents")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
