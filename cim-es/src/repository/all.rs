//! Loading every aggregate of a kind.

use std::collections::HashMap;

use futures_util::StreamExt;

use super::{LoadError, Repository, Root};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, AggregateId, IdText};
use crate::store::{AggregateKey, Position};

impl<A: Aggregate> Repository<A> {
    /// Every aggregate of this kind as it is now, in the order of their first events: for a list, a report or a check.
    ///
    /// All events of the store are read once, those of other kinds too, and all aggregates of this kind are in memory
    /// then. What is asked often belongs into a projection, which keeps only what it answers from.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
    /// lamps.execute(&Id::new(), LampCommand::Switch, &MessageIdentity::new_from_user("me")).await?;
    /// for (id, lamp) in lamps.load_all().await? {
    ///     println!("{id}: {}", if lamp.on { "on" } else { "off" });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LoadError`]; also for an id that is none of this kind's.
    pub async fn load_all(&self) -> Result<Vec<(A::Id, Root<A>)>, LoadError> {
        let mut all = Vec::new();
        let mut places = HashMap::new();
        let mut events = self.inner.store.read_all(Position::START);
        while let Some(event) = events.next().await {
            let event = event?;
            if event.envelope.aggregate != A::KIND {
                continue;
            }
            let text = IdText::new(&event.envelope.aggregate_id)?;
            let id = A::Id::from_text(&text)?;
            let place = *places.entry(text).or_insert(all.len());
            if place == all.len() {
                all.push((id, Root::empty(0)));
            }
            let (id, root) = &mut all[place];
            self.take_next(id, root, &event).await?;
        }
        Ok(all)
    }

    /// Folds an event that follows; what does not begin with its first event is read from its snapshot.
    async fn take_next(
        &self,
        id: &A::Id,
        root: &mut Root<A>,
        event: &StoredEvent,
    ) -> Result<(), LoadError> {
        let (sequence, known) = (event.envelope.sequence, root.version());
        if sequence <= known {
            return Ok(());
        }
        if sequence == known + 1 {
            return root.fold(event);
        }
        *root = self.read(&AggregateKey::of::<A>(id)?).await?;
        Ok(())
    }
}
