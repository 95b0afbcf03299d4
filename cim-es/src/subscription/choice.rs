//! Where a subscriber gets its events, and what runs the subscription.

use std::sync::Arc;

use super::followed::Followed;
#[cfg(feature = "jetstream")]
use super::nats::Servers;
use crate::store::read_model::ReadModelStorage;
use crate::store::subscription::{SubscriptionEngine, SubscriptionError};
use crate::store::{EngineSettings, EventStore};

/// A store, and what it says of itself.
#[derive(Clone)]
pub(super) struct Store {
    events: Arc<dyn EventStore>,
    settings: EngineSettings,
}

impl Store {
    pub(super) fn new(events: impl EventStore) -> Self {
        Self {
            settings: events.settings(),
            events: Arc::new(events),
        }
    }

    /// What runs subscriptions on the store: its own engine, or what follows its events.
    pub(super) fn engine(self) -> Arc<dyn SubscriptionEngine> {
        let Self { events, settings } = self;
        match settings.subscriptions {
            Some(engine) => engine,
            None => Arc::new(Followed::beside(events, settings.read_models)),
        }
    }
}

/// What a builder was told of it.
#[derive(Clone, Default)]
pub(super) struct Chosen {
    store: Option<Store>,
    pub(super) kept_in: Option<Arc<dyn ReadModelStorage>>,
    #[cfg(feature = "jetstream")]
    pub(super) servers: Servers,
}

impl Chosen {
    /// The last word on the store and its stream.
    pub(super) fn store(&mut self, store: Store) {
        self.store = Some(store);
        #[cfg(feature = "jetstream")]
        self.servers.forget_stream();
    }

    /// What runs the subscription.
    pub(super) fn engine(self) -> Result<Arc<dyn SubscriptionEngine>, SubscriptionError> {
        let refused = |reason: &str| {
            let reason = reason.to_owned();
            Err(SubscriptionError::Setting { reason })
        };
        match (self.store, self.kept_in) {
            (Some(store), Some(storage)) => Ok(Arc::new(Followed::kept_in(store.events, storage))),
            #[cfg(feature = "jetstream")]
            (Some(store), None) => self.servers.instead_of(store.engine()),
            #[cfg(not(feature = "jetstream"))]
            (Some(store), None) => Ok(store.engine()),
            (None, Some(_)) => {
                refused("`kept_in` is for a subscription on a store: call `store(…)` as well")
            }
            #[cfg(feature = "jetstream")]
            (None, None) => self.servers.engine(),
            #[cfg(not(feature = "jetstream"))]
            (None, None) => Err(SubscriptionError::Incomplete {
                part: "store",
                call: "store(…)",
            }),
        }
    }
}
