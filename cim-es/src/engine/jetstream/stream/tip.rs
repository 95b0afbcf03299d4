//! The tip of an aggregate: its last event, and the value of its guard.

use std::time::Duration;

use tokio::time::sleep;

use super::Stream;
use super::history;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{Leader, direct};
use crate::store::{AggregateKey, StoreError};

/// What the next write on an aggregate must follow.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    /// The last event of the aggregate.
    pub(super) last: Option<StoredEvent>,
    /// The last sequence under the guard, whichever kind of aggregate wrote it; 0 when nothing stands there.
    pub(super) guard: u64,
}

/// Reads the tip of an aggregate from the leader.
pub(super) async fn read(store: &Stream, key: &AggregateKey) -> Result<Tip, StoreError> {
    let leader = Leader::new(&store.api, store.options.patience);
    let pattern = store.subjects().guard(key.id());
    let Some(last) = leader.last(&pattern).await? else {
        return Ok(Tip {
            last: None,
            guard: 0,
        });
    };
    let last = store.verify(last)?;
    let guard = last.position.0;
    let last = match last.envelope.aggregate == key.kind() {
        true => Some(last),
        false => behind_another_kind(store, key, &pattern, guard).await?,
    };
    Ok(Tip { last, guard })
}

/// The last event of a kind when another kind with the same id wrote after it.
async fn behind_another_kind(
    store: &Stream,
    key: &AggregateKey,
    pattern: &str,
    guard: u64,
) -> Result<Option<StoredEvent>, StoreError> {
    const REPEATS: u32 = 5;
    let mut pause = Duration::from_millis(2);
    for _ in 0..REPEATS {
        let lasts = direct::last_of_each(&store.api, pattern).await;
        let lasts = lasts.map_err(|failure| store.api.error("read the last events", failure));
        let lasts = match lasts {
            Ok(lasts) if lasts.iter().any(|raw| raw.sequence >= guard) => lasts,
            // The replica lags, or does not answer.
            Ok(_) | Err(_) => {
                sleep(pause).await;
                pause *= 2;
                continue;
            }
        };
        let mut ours: Option<StoredEvent> = None;
        for raw in lasts.into_iter().filter(|raw| raw.sequence <= guard) {
            let event = store.verify(raw)?;
            if event.envelope.aggregate == key.kind() {
                ours = match ours {
                    Some(present) if present.position > event.position => Some(present),
                    _ => Some(event),
                };
            } else if key.types().is_empty() || key.types().contains(&event.event_type()) {
                // Both kinds may use the type, and the other kind's event hides an earlier one of ours.
                return from_history(store, key).await;
            }
        }
        return Ok(ours);
    }
    from_history(store, key).await
}

async fn from_history(
    store: &Stream,
    key: &AggregateKey,
) -> Result<Option<StoredEvent>, StoreError> {
    Ok(history::read(store, key, 1, None).await?.pop())
}
