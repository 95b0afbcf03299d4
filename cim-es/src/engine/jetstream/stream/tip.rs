//! The tip of an aggregate: its head, and the value of its guard.

use tokio::time::Instant;

use super::Stream;
use super::history;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{ApiFailure, Extent, Leader, direct};
use crate::engine::jetstream::retry;
use crate::store::{AggregateKey, Damage, Head, StoreError, Versions};

/// What the next write on an aggregate must follow.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    /// The head of the aggregate; none when it has no event.
    pub(super) head: Option<Head>,
    /// The last sequence under the guard, whichever kind of aggregate wrote it; 0 when nothing stands there.
    pub(super) guard: u64,
}

/// The last event of an aggregate, and the value of its guard.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) event: Option<StoredEvent>,
    pub(super) guard: u64,
}

impl Last {
    pub(super) fn tip(&self) -> Tip {
        Tip {
            head: self.event.as_ref().map(StoredEvent::head),
            guard: self.guard,
        }
    }

    /// Refuses an aggregate whose last commit is not whole: nothing may follow it.
    pub(super) async fn check_whole(
        &self,
        store: &Stream,
        key: &AggregateKey,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Some(event) = &self.event else {
            return Ok(());
        };
        // One that is just being stored becomes whole.
        let mut retry = retry::HOLE.until(deadline);
        loop {
            match extent(store, event, deadline).await? {
                Extent::Whole => return Ok(()),
                Extent::Open if retry.pause().await => {}
                Extent::Open | Extent::CutOff => return Err(unfinished(store, key, event)),
            }
        }
    }
}

/// What the stream has of the commit of an aggregate's last event.
///
/// Several servers store the messages of a batch together. One server stores them one by one, so where the commit goes on
/// behind the aggregate's last event, its end is looked for.
pub(super) async fn extent(
    store: &Stream,
    last: &StoredEvent,
    deadline: Instant,
) -> Result<Extent, StoreError> {
    if store.is_replicated() && last.envelope.commit.is_last() {
        return Ok(Extent::Whole);
    }
    let leader = Leader::until(&store.api, deadline);
    store.around.extent(&leader, last).await
}

/// The error for an aggregate of whose last commit only a part is stored.
pub(super) fn unfinished(store: &Stream, key: &AggregateKey, event: &StoredEvent) -> StoreError {
    let reason = format!(
        "its last commit is not whole, its last event is {}: a limit of the stream or of the account cut it off; \
         nothing can follow it. Raise the limit, and let an operator remove the events that `doctor` lists, or copy \
         the stream without them",
        event.envelope.commit
    );
    Damage::new(store.api.location(), event.position, event.cid, reason)
        .in_history_of(key)
        .into()
}

/// Reads the last event of an aggregate, and the value of its guard, from the leader.
pub(super) async fn read(
    store: &Stream,
    key: &AggregateKey,
    deadline: Instant,
) -> Result<Last, StoreError> {
    let Some(last) = last(store, key, deadline).await? else {
        return Ok(Last {
            event: None,
            guard: 0,
        });
    };
    let guard = last.position.0;
    let event = match last.envelope.aggregate == key.kind() {
        true => Some(last),
        false => behind_another_kind(store, key, guard).await?,
    };
    Ok(Last { event, guard })
}

/// The last event under the guard of an aggregate, of whichever kind, from a leader that has what this program has seen
/// of it.
pub(super) async fn last(
    store: &Stream,
    key: &AggregateKey,
    deadline: Instant,
) -> Result<Option<StoredEvent>, StoreError> {
    let leader = Leader::until(&store.api, deadline);
    let pattern = store.subjects().guard(key.id());
    let id = key.id().as_str();
    let mut retry = match store.is_replicated() {
        true => retry::STALE.until(deadline),
        // A single server has no other that could know more.
        false => retry::STALE.until(Instant::now()),
    };
    loop {
        // Before it is asked: what is seen meanwhile proves nothing about the answer.
        let seen = store.api.seen.of_aggregate(id);
        let last = leader.last(&pattern).await?;
        if last.as_ref().map_or(0, |last| last.sequence) >= seen {
            let last = last.map(|raw| store.verify(raw)).transpose()?;
            if let Some(last) = &last {
                store.api.seen.note_aggregate(id, last.position.0);
            }
            return Ok(last);
        }
        let state = leader.state().await?;
        if state.last_until(seen) != Some(seen) {
            // The stream has dropped it, or an operator has removed it.
            store.api.seen.forget_aggregate(id);
            continue;
        }
        let stale = ApiFailure::Stale;
        store
            .api
            .wait(&mut retry, "read the last event", stale)
            .await?;
    }
}

/// The last event of a kind when another kind with the same id wrote after it.
async fn behind_another_kind(
    store: &Stream,
    key: &AggregateKey,
    guard: u64,
) -> Result<Option<StoredEvent>, StoreError> {
    let pattern = store.subjects().guard(key.id());
    let mut retry = retry::REPLICA.within(store.api.patience);
    loop {
        let lasts = direct::last_of_each(&store.api, &pattern).await;
        let lasts = match lasts {
            Ok(lasts) if lasts.iter().any(|raw| raw.sequence >= guard) => lasts,
            // The replica lags, or does not answer.
            Ok(_) | Err(_) if retry.pause().await => continue,
            Ok(_) | Err(_) => return from_history(store, key).await,
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
}

async fn from_history(
    store: &Stream,
    key: &AggregateKey,
) -> Result<Option<StoredEvent>, StoreError> {
    Ok(history::read(store, key, &Versions::ALL).await?.pop())
}
