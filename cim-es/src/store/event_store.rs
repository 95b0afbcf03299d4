//! The port for events.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use cid::Cid;
use futures_core::Stream;

use super::{AggregateKey, CommitRequest, Head, Position, SnapshotStore, StoreError};
use crate::block::StoredEvent;

/// Events as they are read, each verified; the first error ends the stream.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<StoredEvent, StoreError>> + Send>>;

/// Where events are kept: append-only, guarded by the expected version, verified on every read.
///
/// Every method that gives events gives them as they were written: a block that does not hash to the CID beside it, a
/// gap in a history or a broken link is [`StoreError::Damaged`], never a shorter answer.
///
/// ```
/// # use cim_es::prelude::*;
/// # async fn read(store: MemoryEventStore) -> Result<(), cim_es::store::StoreError> {
/// use cim_es::store::{EventStore, Position, StreamExt};
///
/// let mut events = store.read_all(Position::START);
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{} {} {}", event.position, event.event_type(), event.cid);
/// }
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event store",
    label = "this type keeps no events",
    note = "give a `SqliteEventStore`, a `MemoryEventStore` or another store; what opens one gives a `Result`, to be taken apart with `?`"
)]
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Stores a commit over one or several aggregates: all of it or nothing. Gives the sealed events in order.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an aggregate does not have the expected version; [`StoreError::Payload`] and
    /// [`StoreError::InvalidCommit`] when the commit is refused; what else keeps the engine from storing it. Only
    /// [`StoreError::OutcomeUnknown`] leaves open whether it was stored.
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError>;

    /// The events of an aggregate from a version (1 and 0: from the first) to its last, in order; empty when the
    /// aggregate has no such version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// The events of an aggregate from one that the caller knows (this one included) to its last; what is there from
    /// that version on when the event is another.
    ///
    /// An engine that finds events by their position reads no more than these. One that has dropped the known event, by age
    /// or by count, gives those behind it, as long as the first of them links to it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_events_from(
        &self,
        aggregate: &AggregateKey,
        known: &Head,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.get_events(aggregate, known.version).await
    }

    /// At most `limit` events of a type after a position, in the store's order.
    ///
    /// The type is the one under which an event is stored: after a rename, older events are found under the former
    /// type alone, which [`EventInfo::former_types`](crate::event::EventInfo::former_types) has.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// The last event of an aggregate; none when it has no event.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError>;

    /// The event with a CID; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError>;

    /// The event of an aggregate with a CID; none when the aggregate does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn get_event(
        &self,
        aggregate: &AggregateKey,
        cid: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let found = self.get_by_cid(cid).await?;
        Ok(found.filter(|event| aggregate.has(event)))
    }

    /// All events after a position in the store's order, up to the last one that the store had when the stream was
    /// made or first asked for an event; then the stream ends, also while others keep writing. It holds a bounded
    /// number of events in memory.
    fn read_all(&self, after: Position) -> EventStream;

    /// All events after a position, then those that are yet to come; the stream does not end by itself. A reader that
    /// goes on where it was keeps its position in a [`CheckpointStore`](super::CheckpointStore).
    fn subscribe(&self, after: Position) -> EventStream;

    /// The snapshots that are kept beside these events, if the engine has room for them; a repository uses them
    /// unless it is given others.
    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        None
    }

    /// After how many events of an aggregate a repository writes a snapshot, unless it is told otherwise; 0 is never. None
    /// leaves it to the repository.
    fn snapshot_threshold(&self) -> Option<u64> {
        None
    }

    /// Whether the engine itself publishes committed events on their public subjects, so that nobody else has to.
    fn publishes(&self) -> bool {
        false
    }
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        (**self).append(commit).await
    }

    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        (**self).get_events(aggregate, from_version).await
    }

    async fn get_events_from(
        &self,
        aggregate: &AggregateKey,
        known: &Head,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        (**self).get_events_from(aggregate, known).await
    }

    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        (**self).get_events_by_type(event_type, after, limit).await
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        (**self).last(aggregate).await
    }

    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        (**self).get_by_cid(cid).await
    }

    async fn get_event(
        &self,
        aggregate: &AggregateKey,
        cid: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        (**self).get_event(aggregate, cid).await
    }

    fn read_all(&self, after: Position) -> EventStream {
        (**self).read_all(after)
    }

    fn subscribe(&self, after: Position) -> EventStream {
        (**self).subscribe(after)
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        (**self).snapshots()
    }

    fn snapshot_threshold(&self) -> Option<u64> {
        (**self).snapshot_threshold()
    }

    fn publishes(&self) -> bool {
        (**self).publishes()
    }
}
