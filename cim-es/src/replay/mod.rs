//! Replay: what was stored is gone through once more, for a view that is made anew, a check, or a report.
//!
//! A view that a [manager](crate::projection) keeps needs none of this: it is built from the start by itself. A replay is
//! for what is done once: count what happened since a date, fill a table of another program, prove that a fold still
//! gives what it gave.
//!
//! ```
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::sync::Arc;
//!
//! use cim_es::prelude::*;
//! use cim_es::replay::{EventReplayService, ReplayFrom};
//! use cim_es::store::Selection;
//! # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
//! # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
//! # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! # enum LampEvent { Switched { on: bool } }
//! # #[derive(Command, Clone, Debug)]
//! # enum LampCommand { Switch }
//! # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
//! # #[aggregate(domain = "home", name = "lamp")]
//! # struct Lamp { state: LampState, on: bool }
//! # impl Decide for Lamp {
//! #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
//! #         emit(LampEvent::Switched { on: !self.on })
//! #     }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryEventStore::new();
//! let lamps = Repository::<Lamp>::new(store.clone());
//! let hall = Id::new();
//! for _ in 0..3 {
//!     lamps.execute(&hall, LampCommand::Switch, &MessageIdentity::new_from_user("me")).await?;
//! }
//!
//! let switched_on = Arc::new(AtomicU64::new(0));
//! let counter = Arc::clone(&switched_on);
//! let replays = EventReplayService::new(store);
//! let stats = replays
//!     .replay_all_events(ReplayFrom::Start)
//!     .selection(Selection::events::<LampEvent>())
//!     .each(move |event| {
//!         let counter = Arc::clone(&counter);
//!         async move {
//!             let LampEvent::Switched { on } = event.decode()?;
//!             counter.fetch_add(u64::from(on), Ordering::Relaxed);
//!             Ok(())
//!         }
//!     })
//!     .await?;
//! assert_eq!((stats.events_processed, stats.aggregates_rebuilt), (3, 1));
//! assert_eq!(switched_on.load(Ordering::Relaxed), 2);
//!
//! let lamp = replays.replay_aggregate::<Lamp>(&hall).await?;
//! assert_eq!((lamp.version(), lamp.on), (3, true));
//! # Ok(())
//! # }
//! ```

mod error;
mod from;
mod progress;
#[expect(clippy::module_inception)]
mod replay;
mod share;
mod sink;
mod stats;
mod worker;

use std::sync::Arc;

pub use error::ReplayError;
pub use from::ReplayFrom;
pub use progress::{ReplayProgress, ReplayProgressStream};
pub use replay::{CancelReplay, Replay};
pub use sink::ReplayFault;
pub use stats::{ReplayEnd, ReplayFailure, ReplayStats};

use crate::domain::aggregate::Aggregate;
use crate::repository::{LoadError, Loaded, Repository};
use crate::store::EventStore;

/// Goes through the events of a store once more.
///
/// It keeps nothing and changes nothing; several may run at the same time, while others write.
#[derive(Clone)]
pub struct EventReplayService {
    store: Arc<dyn EventStore>,
}

impl EventReplayService {
    /// Replays what a store has, of whichever engine.
    pub fn new(store: impl EventStore) -> Self {
        Self {
            store: Arc::new(store),
        }
    }

    /// All events from a place or a time on, up to the last one that the store has when it begins.
    ///
    /// Nothing is read before [`Replay::each`] or [`Replay::project`] says what to do with them.
    pub fn replay_all_events(&self, from: impl Into<ReplayFrom>) -> Replay {
        Replay::new(Arc::clone(&self.store), from.into())
    }

    /// One aggregate as its whole history makes it, without a snapshot and past everything that is kept in memory;
    /// version 0 and the default for an id without events.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn replay_aggregate<A: Aggregate>(&self, id: &A::Id) -> Result<Loaded<A>, LoadError> {
        Repository::<A>::new(Arc::clone(&self.store))
            .replay(id)
            .await
    }
}

impl std::fmt::Debug for EventReplayService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventReplayService").finish_non_exhaustive()
    }
}
