//! What callers want of every store, made of what an engine writes.

use async_trait::async_trait;
use cid::Cid;
use futures_util::{StreamExt, TryStreamExt};

use super::{
    AggregateKey, Bookmark, EventStore, EventStream, Position, Selection, SelectionError,
    StoreError, Versions,
};
use crate::block::StoredEvent;
use crate::domain::subject::pattern::is_literal;

/// What callers want of every store, made of the methods of [`EventStore`].
///
/// The methods that give a list hold all of it in memory; the streams of the port do not.
#[async_trait]
pub trait EventStoreExt: EventStore {
    /// The events of an aggregate from a version (1 and 0: from the first) to its last, in order; empty when the
    /// aggregate has no such version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.get_versions(aggregate, Versions::starting_at(from_version))
            .await
    }

    /// The events of an aggregate at some versions, in order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_versions(
        &self,
        aggregate: &AggregateKey,
        versions: Versions,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.history(aggregate, versions).try_collect().await
    }

    /// At most `limit` events of a type behind a bookmark, in the store's order.
    ///
    /// The type is the one under which an event is stored: after a rename, older events are found under the former
    /// type alone, which [`EventInfo::former_types`](crate::event::EventInfo::former_types) has.
    ///
    /// # Errors
    /// As for [`EventStore::read`].
    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: impl Into<Bookmark> + Send,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        if !is_literal(event_type) {
            let event_type = event_type.to_owned();
            return Err(SelectionError::Type { event_type }.into());
        }
        let events = self.read(Selection::subjects(event_type.to_owned()), after.into());
        events.take(limit).try_collect().await
    }

    /// The event with a CID; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.find(cid).await
    }

    /// The event of an aggregate with a CID; none when the aggregate does not have it. On an engine without an index by
    /// CID this is far less work than [`EventStore::find`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn find_in(
        &self,
        aggregate: &AggregateKey,
        cid: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        if !self.settings().has_cid_index {
            let mut events = self.history(aggregate, Versions::ALL);
            loop {
                match events.next().await {
                    Some(Ok(event)) if event.cid == *cid => return Ok(Some(event)),
                    Some(Ok(_)) => {}
                    None => return Ok(None),
                    // It may be there all the same, behind what the store has dropped.
                    Some(Err(StoreError::Damaged(_))) => break,
                    Some(Err(error)) => return Err(error),
                }
            }
        }
        let found = self.find(cid).await?;
        Ok(found.filter(|event| aggregate.has(event)))
    }

    /// All events after a position, up to the last one that the store had when the stream was made or first asked.
    fn read_all(&self, after: Position) -> EventStream {
        self.read(Selection::everything(), after.into())
    }

    /// All events after a position, then those that are yet to come.
    fn subscribe(&self, after: Position) -> EventStream {
        self.follow(Selection::everything(), after.into())
    }
}

impl<S: EventStore + ?Sized> EventStoreExt for S {}
