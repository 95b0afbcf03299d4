//! A view of events that are given, with no store behind it.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cid::Cid;

use super::{InMemory, ProjectionManager, UpTo, panic};
use crate::block::StoredEvent;
use crate::store::{Position, SelectionError};

/// After how many events others on this thread come to their turn.
const TURN: usize = 256;

/// Why a view cannot be made of events that are given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// An event stands before one that was given earlier, or was given twice.
    #[error(
        "view `{name}` cannot be made: the event at position {position} was given behind the one at {before}; give the events of one store in its order, each once"
    )]
    OutOfOrder {
        /// The name of the view.
        name: &'static str,
        /// The event.
        position: Position,
        /// The one before it.
        before: Position,
    },
    /// The projection cannot take an event.
    #[error(
        "view `{name}` cannot be made: `{event_type}` at position {position} ({cid}): {reason}"
    )]
    Refused {
        /// The name of the view.
        name: &'static str,
        /// The event's position.
        position: Position,
        /// Its CID.
        cid: Cid,
        /// Its type.
        event_type: String,
        /// Why: what the projection, its panic, or the decoder said.
        reason: String,
    },
    /// The projection selects no event.
    #[error("view `{name}` would never count an event")]
    NothingSelected {
        /// The name of the view.
        name: &'static str,
        /// Why not.
        source: SelectionError,
    },
}

impl ProjectionManager {
    /// Makes a view in memory of events that are given: of a list that was read before, or of a bundle that came from
    /// elsewhere. It takes those that its projection lists, and passes over the others.
    ///
    /// The view is true up to the last event that was given, whether it took that one or not. It is no running view:
    /// nothing is read from a store, and what comes later is not in it. A view that is kept current needs none of this, see
    /// [`in_memory`](Self::in_memory), and [`RunningView::rebuild`](super::RunningView::rebuild) where it is to be made
    /// again. What a projection does outside is not done again: no event [is new](super::Source::is_new).
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// # impl Decide for Lamp {
    /// #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
    /// #         emit(LampEvent::Switched { on: !self.on })
    /// #     }
    /// # }
    /// # #[derive(Projection, Debug, Default)]
    /// # #[projection(name = "switches", version = 1, events = [LampEvent])]
    /// # struct Switches(u64);
    /// # impl Project<LampEvent> for Switches {
    /// #     fn project(&mut self, _: LampEvent, _: &Source<Lamp>) {
    /// #         self.0 += 1;
    /// #     }
    /// # }
    /// use cim_es::block::StoredEvent;
    /// use cim_es::projection::ProjectionManager;
    /// use cim_es::store::{EventStoreExt, Position, TryStreamExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryEventStore::new();
    /// let lamps = Repository::<Lamp>::new(store.clone());
    /// lamps.execute(&Id::new(), LampCommand::Switch, &MessageIdentity::new_from_user("me")).await?;
    ///
    /// let events: Vec<StoredEvent> = store.read_all(Position::START).try_collect().await?;
    /// let switches = ProjectionManager::rebuild::<Switches>(&events).await?;
    /// assert_eq!((switches.value.0, switches.position), (1, Position(1)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RebuildError`]: the events are not in order, or the projection cannot take one of them.
    pub async fn rebuild<V: InMemory + Default>(
        events: impl IntoIterator<Item = impl Borrow<StoredEvent>>,
    ) -> Result<UpTo<V>, RebuildError> {
        let (name, selection) = (V::NAME, V::selection());
        let checked = selection.check();
        checked.map_err(|source| RebuildError::NothingSelected { name, source })?;
        let mut view = V::default();
        let mut before = Position::START;
        for (number, event) in events.into_iter().enumerate() {
            if number % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            let event = event.borrow();
            let position = event.position;
            if position <= before {
                return Err(RebuildError::OutOfOrder {
                    name,
                    position,
                    before,
                });
            }
            before = position;
            if selection.includes(event) {
                take(&mut view, event)?;
            }
        }
        Ok(UpTo {
            value: view,
            position: before,
        })
    }
}

fn take<V: InMemory>(view: &mut V, event: &StoredEvent) -> Result<(), RebuildError> {
    let taken = catch_unwind(AssertUnwindSafe(|| view.take(event, false)));
    let reason = match taken {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic::reason(&*panic),
    };
    Err(RebuildError::Refused {
        name: V::NAME,
        position: event.position,
        cid: event.cid,
        event_type: event.event_type().to_owned(),
        reason,
    })
}
