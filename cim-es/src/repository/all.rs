//! Loading every aggregate of a kind.

use std::collections::HashMap;

use futures_util::StreamExt;

use super::kind::two_histories;
use super::scope::is_of_a_name;
use super::{LoadError, Loaded, Repository};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, AggregateId, IdText};
use crate::store::{AggregateKey, Bookmark, Selection};

impl<A: Aggregate> Repository<A> {
    /// Every aggregate of this kind as it is now, in the order of their first events: for a list, a report or a check.
    ///
    /// All events of this kind are read once, and all its aggregates are in memory then. What is asked often belongs into a projection, which keeps only what it answers from.
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
    /// [`LoadError`] of the first aggregate that cannot be loaded, which it names; [`load_each`](Self::load_each) gives
    /// the others too.
    pub async fn load_all(&self) -> Result<Vec<(A::Id, Loaded<A>)>, LoadError> {
        let each = self.load_each().await?;
        each.into_iter().map(|(_, loaded)| loaded).collect()
    }

    /// Every aggregate of this kind as [`load_all`](Self::load_all) gives it, each with a result of its own: one that
    /// cannot be loaded, as for an event that only a newer program knows, does not hide the others.
    ///
    /// # Errors
    /// [`LoadError::Store`] when the store itself cannot be read to its end.
    pub async fn load_each(&self) -> Result<Vec<Each<A>>, LoadError> {
        let mut all: Vec<Each<A>> = Vec::new();
        let mut places = HashMap::new();
        let mut has_names = false;
        let selection = Selection::kind::<A>();
        let mut events = self.inner.store.read(selection, Bookmark::START);
        while let Some(event) = events.next().await {
            let event = event?;
            if !A::is_kind(&event.envelope.aggregate) {
                continue;
            }
            if is_of_a_name(&event) {
                if !has_names {
                    has_names = true;
                    tracing::warn!(
                        aggregate = A::KIND,
                        event = %event.cid,
                        "a scope of unique names is the name of this aggregate: its names are passed over; give the scope another word"
                    );
                }
                continue;
            }
            let text = IdText::new(&event.envelope.aggregate_id)?;
            let kind = event.envelope.aggregate.clone();
            let known = places.entry(text.clone());
            let (place, begun_as) = &*known.or_insert((all.len(), kind.clone()));
            let place = *place;
            if *begun_as != kind {
                all[place].1 = Err(two_histories(&text, begun_as, &kind));
                continue;
            }
            if place == all.len() {
                let id = A::Id::from_text(&text);
                let loaded = id.map(|id| (id, Loaded::empty()));
                let key = AggregateKey::new(kind, text);
                all.push((key, loaded.map_err(LoadError::from)));
            }
            let loaded = &mut all[place].1;
            if let Ok((id, aggregate)) = loaded
                && let Err(error) = self.take_next(id, aggregate, &event).await
            {
                *loaded = Err(error);
            }
        }
        Ok(all)
    }

    /// Folds an event that follows; what does not begin with its first event is read from its snapshot.
    async fn take_next(
        &self,
        id: &A::Id,
        loaded: &mut Loaded<A>,
        event: &StoredEvent,
    ) -> Result<(), LoadError> {
        let (sequence, known) = (event.envelope.sequence, loaded.version());
        if sequence <= known {
            return Ok(());
        }
        if sequence == known + 1 {
            return loaded.fold(event);
        }
        *loaded = self.read(&self.key(id).await?).await?.loaded;
        Ok(())
    }
}

/// An aggregate of a kind, and what came of loading it.
pub type Each<A> = (
    AggregateKey,
    Result<(<A as Aggregate>::Id, Loaded<A>), LoadError>,
);
