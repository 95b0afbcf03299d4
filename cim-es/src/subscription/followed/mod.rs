//! Subscriptions on any store: they follow its events, and what is known of them is kept in a storage of read models.
//!
//! A durable one is held by one program at a time, for a lease. How far it came, what it parked, and which event it is at
//! are written by that program alone, in one commit each time; so whoever is killed when, an event is behind the place
//! that is kept, is parked, or comes again.

mod asked;
mod durable;
mod events;
mod heartbeat;
mod live;
mod live_parked;
mod names;
mod parked;
mod record;
mod term;

use std::sync::Arc;

use async_trait::async_trait;

use self::durable::Durable;
use self::events::Events;
use self::live::Live;
use self::parked::ParkedHere;
use self::record::Record;
use crate::engine::memory::MemoryReadModels;
use crate::store::read_model::{ReadModelError, ReadModelStorage, ReadModelsBeside};
use crate::store::subscription::{
    KeepsParked, Mode, Plan, Subscription, SubscriptionEngine, SubscriptionError,
};
use crate::store::{Bookmark, EventStore};

/// Runs subscriptions on a store by following it.
pub(super) struct Followed {
    events: Arc<dyn EventStore>,
    kept: Arc<Kept>,
}

/// Where what is known of a subscription is kept.
enum Kept {
    /// Where the author said.
    In(Arc<dyn ReadModelStorage>),
    /// Where the engine keeps read models.
    Beside(Arc<dyn ReadModelsBeside>),
    /// As long as the subscriber: a live subscription needs no more.
    Nowhere(MemoryReadModels),
}

impl Followed {
    pub(super) fn kept_in(events: Arc<dyn EventStore>, storage: Arc<dyn ReadModelStorage>) -> Self {
        let kept = Arc::new(Kept::In(storage));
        Self { events, kept }
    }

    pub(super) fn beside(
        events: Arc<dyn EventStore>,
        beside: Option<Arc<dyn ReadModelsBeside>>,
    ) -> Self {
        let kept = match beside {
            Some(beside) => Kept::Beside(beside),
            None => Kept::Nowhere(MemoryReadModels::new()),
        };
        let kept = Arc::new(kept);
        Self { events, kept }
    }
}

impl Kept {
    /// Whether something may be kept there.
    fn is_there(&self) -> bool {
        match self {
            Self::In(_) => true,
            Self::Beside(beside) => beside.is_there(),
            Self::Nowhere(_) => false,
        }
    }

    async fn open(&self) -> Result<Arc<dyn ReadModelStorage>, ReadModelError> {
        match self {
            Self::In(storage) => Ok(Arc::clone(storage)),
            Self::Beside(beside) => beside.open().await,
            Self::Nowhere(storage) => Ok(Arc::new(storage.clone())),
        }
    }
}

#[async_trait]
impl SubscriptionEngine for Followed {
    fn check(&self, mode: &Mode) -> Result<(), SubscriptionError> {
        let kind = match mode {
            Mode::Live { .. } => return Ok(()),
            Mode::Durable { .. } => {
                return match *self.kept {
                    Kept::Nowhere(_) => Err(SubscriptionError::NowhereKept),
                    Kept::In(_) | Kept::Beside(_) => Ok(()),
                };
            }
            Mode::Group { .. } => "a group",
            Mode::Partitioned { .. } => "a partitioned",
        };
        Err(SubscriptionError::NeedsServers { kind })
    }

    async fn subscribe(&self, plan: Arc<Plan>) -> Result<Subscription, SubscriptionError> {
        self.check(&plan.mode)?;
        let events = Events::new(Arc::clone(&self.events), &plan);
        let first = events.first(plan.start).await?;
        let Mode::Durable { name, lease } = &plan.mode else {
            let after = Bookmark::from(first);
            let live = Live::new(events, plan, Arc::clone(&self.kept), after);
            return Ok(Subscription::spawn(|stop| live.run(stop)));
        };
        let record = Record::open(self.kept.open().await?, name).await?;
        let durable = Durable::new(events, Arc::clone(&plan), record, *lease);
        let begun = durable.begin(first).await?;
        Ok(Subscription::spawn(|stop| durable.run(begun, stop)))
    }

    async fn parked(&self, name: &str) -> Result<Arc<dyn KeepsParked>, SubscriptionError> {
        parked(self.kept.open().await?, name)
    }
}

/// What is parked in a storage.
pub(super) fn parked(
    storage: Arc<dyn ReadModelStorage>,
    name: &str,
) -> Result<Arc<dyn KeepsParked>, SubscriptionError> {
    Ok(Arc::new(ParkedHere::new(storage, name)?))
}
