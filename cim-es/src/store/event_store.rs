//! The port for events.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use cid::Cid;
use futures_core::Stream;

use super::forward::forward_event_store;
use super::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, SealedCommit, Selection,
    StoreError, Versions,
};
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;

/// Events as they are read, each verified; the first error ends the stream.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<StoredEvent, StoreError>> + Send>>;

/// Where events are kept: append-only, guarded by the expected version, verified on every read.
///
/// These are the methods that an engine writes; [`EventStoreExt`](super::EventStoreExt) has what is made of them.
///
/// Everything that gives events gives them as they were written: a block that does not hash to the CID beside it, a
/// gap in a history or a broken link is [`StoreError::Damaged`], never a shorter answer. A stream reads as it is asked,
/// and holds a bounded number of bytes in memory.
///
/// ```
/// # use cim_es::prelude::*;
/// # async fn read(store: MemoryEventStore) -> Result<(), cim_es::store::StoreError> {
/// use cim_es::store::{Bookmark, EventStore, Selection, StreamExt};
///
/// let mut events = store.read(Selection::everything(), Bookmark::START);
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

    /// Stores commits that were sealed elsewhere as they are, byte by byte: what imports and replicas do. Gives for each
    /// its events at their places, and whether it stood there already.
    ///
    /// The whole list is proved and compared with what is here before anything of it is stored; its commits may follow
    /// each other. A commit that stands at its place already is passed over, so a list may be sent again. Each commit
    /// is stored whole or not at all, over all its aggregates. What keeps the engine from storing one of them leaves
    /// those before it.
    ///
    /// # Errors
    /// [`StoreError::Unproved`] and [`StoreError::InvalidCommit`] for what is not a whole commit as it was sealed;
    /// [`StoreError::Diverged`] where another event stands; [`StoreError::MissingPredecessor`] where what it follows is
    /// missing; what keeps the engine from storing it.
    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError>;

    /// The events of an aggregate at some versions, in order, up to the last that it had when the stream was first
    /// asked; none when it has no such version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream;

    /// The last event of an aggregate; none when it has no event.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError>;

    /// The kinds of the aggregates that have events under an id, in any order: by it, an aggregate whose kind was renamed
    /// is told from one that is new.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError>;

    /// The event with a CID; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError>;

    /// The events of a selection behind a bookmark, in the store's order, up to the last one that the store had when
    /// the stream was made or first asked for an event; then the stream ends, even while others keep writing.
    ///
    /// # Errors
    /// In the stream: [`StoreError::NothingSelected`] for a selection that can match nothing,
    /// [`StoreError::AnotherHistory`] for a bookmark that is not of this store's history, [`StoreError::Damaged`] and
    /// the engine's failures.
    fn read(&self, selection: Selection, after: Bookmark) -> EventStream;

    /// The events of a selection behind a bookmark, then those that are yet to come; the stream does not end by itself.
    ///
    /// # Errors
    /// In the stream, as for [`read`](Self::read).
    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream;

    /// What the engine says of itself.
    fn settings(&self) -> EngineSettings;
}

forward_event_store!([S: EventStore + ?Sized] Arc<S>, |this| (**this));
forward_event_store!([S: EventStore + ?Sized] Box<S>, |this| (**this));
