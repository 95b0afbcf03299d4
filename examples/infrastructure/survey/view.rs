//! What the store knows.

use std::collections::BTreeMap;

use cim_es::prelude::*;
use cim_es::repository::LoadError;
use cim_es::store::EventStore;

/// Every aggregate of a kind that has not reached a terminal state, by its id.
///
/// # Errors
/// [`LoadError`] for a store that cannot be read, and for an event that this program cannot.
pub async fn live<A: Aggregate<Id = Id<A>>>(
    store: &(impl EventStore + Clone),
) -> Result<BTreeMap<Id<A>, A>, LoadError> {
    let all = Repository::<A>::new(store.clone()).load_all().await?;
    let live = all
        .into_iter()
        .filter(|(_, root)| !root.state().is_terminal());
    Ok(live.map(|(id, root)| (id, root.into_aggregate())).collect())
}
