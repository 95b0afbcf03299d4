//! The kinds of the aggregates that have events under an id.

use std::collections::BTreeSet;

use super::Stream;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{Leader, direct};
use crate::engine::jetstream::retry;
use crate::store::StoreError;

/// The kinds that the last event of each type under an id shows.
///
/// A kind all of whose types were used by another kind of the same id after it does not show.
pub(super) async fn read(store: &Stream, id: &IdText) -> Result<Vec<String>, StoreError> {
    let pattern = store.subjects().guard(id);
    let leader = Leader::new(&store.api);
    let Some(last) = leader.last(&pattern).await? else {
        return Ok(Vec::new());
    };
    let mut retry = retry::REPLICA.within(store.api.patience);
    let lasts = loop {
        match direct::last_of_each(&store.api, &pattern).await {
            Ok(lasts) if lasts.iter().any(|raw| raw.sequence >= last.sequence) => break lasts,
            // The replica lags, or does not answer.
            Ok(_) | Err(_) if retry.pause().await => {}
            Ok(lasts) => break lasts,
            Err(failure) => return Err(store.api.error("read the last events", failure)),
        }
    };
    let mut kinds = BTreeSet::new();
    for raw in lasts.into_iter().chain([last]) {
        kinds.insert(store.verify(raw)?.envelope.aggregate);
    }
    Ok(kinds.into_iter().collect())
}
