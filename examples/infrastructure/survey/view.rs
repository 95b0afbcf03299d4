//! What the store knows, folded from all of its events in one pass.

use std::collections::BTreeMap;

use cim_es::prelude::*;
use cim_es::repository::LoadError;
use cim_es::store::{EventStore, Position, StreamExt};

/// Every aggregate of a kind that has not reached a terminal state, by its id.
///
/// # Errors
/// [`LoadError`] for a store that cannot be read, and for an event that this program cannot.
pub async fn live<A: Aggregate<Id = Id<A>>>(
    store: &dyn EventStore,
) -> Result<BTreeMap<Id<A>, A>, LoadError> {
    let mut known: BTreeMap<Id<A>, A> = BTreeMap::new();
    let mut events = store.read_all(Position::START);
    while let Some(event) = events.next().await {
        let event = event?;
        if event.envelope.aggregate != A::KIND {
            continue;
        }
        let Ok(id) = event.envelope.aggregate_id.parse() else {
            continue;
        };
        let aggregate = known.entry(id).or_default();
        let applied = aggregate.apply(event.decode()?);
        applied.map_err(|source| LoadError::UnexpectedEvent {
            cid: event.cid,
            version: event.envelope.sequence,
            source,
        })?;
        if aggregate.state().is_terminal() {
            known.remove(&id);
        }
    }
    Ok(known)
}
