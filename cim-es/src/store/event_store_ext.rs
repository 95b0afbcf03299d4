//! What callers want of every store, made of what an engine writes.

use async_trait::async_trait;
use cid::Cid;
use futures_util::{StreamExt, TryStreamExt};

use super::{
    AggregateKey, Bookmark, CommitRequest, EventStore, EventStream, ExpectedVersion, NewEvent,
    Position, Selection, SelectionError, StoreError, Versions,
};
use crate::block::StoredEvent;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::AggregateEvent;
use crate::domain::message::{Clock, MessageIdentity, SystemClock};
use crate::domain::subject::pattern::is_literal;

/// What callers want of every store, made of the methods of [`EventStore`].
///
/// The methods that give a list hold all of it in memory; the streams of the port do not.
#[async_trait]
pub trait EventStoreExt: EventStore {
    /// Appends typed events to one aggregate as one commit, at the time of the system's clock: the short way to append
    /// without a repository, as an import or a test does. Nothing asks whether an event fits the state of its aggregate.
    ///
    /// A commit takes effect once by its identity, as [`EventStore::append`] says. [`CommitRequest`] makes what is more:
    /// several aggregates, another clock, a known head, payloads of other programs.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use cim_es::store::{EventStoreExt, ExpectedVersion};
    ///
    /// let store = MemoryEventStore::new();
    /// let (hall, import) = (Id::new(), MessageIdentity::new_from_user("import"));
    /// let events = [LampEvent::Switched { on: true }];
    /// let stored = store.append_events(&hall, ExpectedVersion::NoStream, &events, &import).await?;
    /// // Sent again, it is the same commit.
    /// let again = store.append_events(&hall, ExpectedVersion::NoStream, &events, &import).await?;
    /// assert_eq!(again, stored);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Payload`] with the path of a field that cannot stand in a block, [`StoreError::Id`] for an id that is
    /// empty or too long; else as [`EventStore::append`].
    async fn append_events<E: AggregateEvent>(
        &self,
        id: &<E::Aggregate as Aggregate>::Id,
        expected: ExpectedVersion,
        events: &[E],
        identity: &MessageIdentity,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let key = AggregateKey::of::<E::Aggregate>(id)?;
        let events = events.iter().map(NewEvent::of).collect::<Result<_, _>>()?;
        let commit = CommitRequest::new(identity.clone(), SystemClock.now());
        self.append(commit.aggregate(key, expected, events)).await
    }

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
