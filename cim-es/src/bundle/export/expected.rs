//! What the manifest of a whole store will say, told before the events are read from what the engine keeps beside them. It
//! may be wrong, where somebody writes meanwhile: only its length is used, and compared in the end.

use crate::bundle::AggregateRange;
use crate::domain::aggregate::IdText;
use crate::store::{AggregateKey, EventStore, StoreError};

/// The bytes of the blocks of an event, about.
const BYTES: u64 = 600;

/// The aggregates, and the number of events and of bytes.
pub(super) struct Expected {
    pub(super) aggregates: Vec<AggregateRange>,
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// None where the engine keeps nothing that tells it.
pub(super) async fn of(store: &dyn EventStore) -> Result<Option<Expected>, StoreError> {
    let Some(raw) = store.settings().raw else {
        return Ok(None);
    };
    let (mut aggregates, mut key) = (Vec::new(), None);
    loop {
        let page = raw.heads(key).await?;
        for row in page.rows {
            let (Some(head), Ok(id)) = (row.cid, IdText::new(&row.id)) else {
                return Ok(None);
            };
            aggregates.push(AggregateRange {
                aggregate: AggregateKey::new(row.kind, id),
                from: 1,
                previous: None,
                to: row.version,
                head,
            });
        }
        match page.last_key {
            Some(last) if page.damage.is_none() => key = Some(last),
            _ => break,
        }
    }
    let events = aggregates.iter().map(AggregateRange::count);
    let events = events.fold(0, u64::saturating_add);
    Ok((events > 0).then(|| Expected {
        aggregates,
        events,
        bytes: events.saturating_mul(BYTES),
    }))
}
