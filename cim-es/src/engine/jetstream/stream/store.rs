//! The store itself: the port for events on one stream.

use std::sync::Arc;

use async_trait::async_trait;
use cid::Cid;

use super::{Finding, doctor};
use super::{Stream, append, history, scan, setup, tip};
use crate::block::StoredEvent;
use crate::engine::jetstream::api::Api;
use crate::engine::jetstream::config::JetStreamOptions;
use crate::engine::jetstream::connect::Connection;
use crate::store::{
    AggregateKey, CommitRequest, EventStore, EventStream, Head, Position, SnapshotStore,
    StoreError, StoredSubjects,
};

/// Keeps events in one JetStream stream on NATS servers.
///
/// A clone is another handle to the same store.
///
/// What costs what, beside the round trip to a server:
/// - A commit of one event is one guarded publish; of several, or over several aggregates, one atomic batch, which takes
///   the server a few milliseconds more on file storage.
/// - Loading is one round trip, at any size of the stream, when the aggregate's event types are known
///   ([`AggregateKey::of`]); by kind alone ([`AggregateKey::new`]) the server searches the stream.
/// - [`get_by_cid`](EventStore::get_by_cid) answers from memory where the event stands that this store wrote or read
///   lately; another CID is looked for in the headers of all events, and by [`get_event`](EventStore::get_event) in the
///   history of its aggregate alone.
#[derive(Clone)]
pub struct JetStreamEventStore {
    stream: Arc<Stream>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
}

impl JetStreamEventStore {
    /// Opens the stream on a connection: creates it when it is missing, and compares it with what the store needs
    /// when it is there.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a server older than 2.14.4, for options or a stream that could lose events
    /// without the opt-in, and for a stream of another layout; the failures of the connection.
    pub async fn open(
        connection: impl Into<Connection>,
        options: impl Into<JetStreamOptions>,
    ) -> Result<Self, StoreError> {
        let options = options.into();
        let name = &options.stream.stream_name;
        let api = Api::new(&timed(connection.into(), &options), name);
        let found = setup::open(&api, &options).await?;
        Ok(Self {
            stream: Arc::new(Stream::new(api, options, found)),
            snapshots: None,
        })
    }

    /// The same store with a place for snapshots, which repositories on it use.
    pub fn with_snapshots(self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self {
            snapshots: Some(snapshots),
            ..self
        }
    }

    /// What a person or a program should know about the servers and the stream: what is dangerous, and what could be
    /// better. Each finding says what to do.
    ///
    /// # Errors
    /// The failures of the connection.
    pub async fn doctor(&self) -> Result<Vec<Finding>, StoreError> {
        doctor::examine(&self.stream.api, &self.stream.options).await
    }

    /// How this store makes stored subjects from public ones.
    pub fn subjects(&self) -> &StoredSubjects {
        self.stream.subjects()
    }

    /// The name of the stream.
    pub fn stream_name(&self) -> &str {
        &self.stream.api.stream
    }
}

/// The connection with the patience that the options ask for.
fn timed(mut connection: Connection, options: &JetStreamOptions) -> Connection {
    if let Some(timeout) = options.request_timeout {
        connection = connection.with_request_timeout(timeout);
    }
    if let Some(patience) = options.patience {
        connection = connection.with_patience(patience);
    }
    connection
}

impl std::fmt::Debug for JetStreamEventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamEventStore")
            .field("stream", &self.stream.api.stream)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for JetStreamEventStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.stream.check_types(&commit)?;
        let stored = append::append(&self.stream, commit).await?;
        self.stream.remember(&stored);
        Ok(stored)
    }

    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = history::read(&self.stream, aggregate, from_version, None).await?;
        self.stream.remember(&events);
        Ok(events)
    }

    async fn get_events_from(
        &self,
        aggregate: &AggregateKey,
        known: &Head,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let version = known.version;
        let events = history::read(&self.stream, aggregate, version, Some(known)).await?;
        self.stream.remember(&events);
        Ok(events)
    }

    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        scan::of_type(&self.stream, event_type, after, limit).await
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        let deadline = self.stream.api.deadline();
        let last = tip::read(&self.stream, aggregate, deadline).await?;
        self.stream.remember(last.event.as_slice());
        Ok(last.event)
    }

    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        scan::by_cid(&self.stream, cid).await
    }

    async fn get_event(
        &self,
        aggregate: &AggregateKey,
        cid: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        // A history is found at once; a CID by itself only in the headers of all events.
        if self.stream.place_of(cid).is_none() {
            match self.get_events(aggregate, 1).await {
                Ok(events) => return Ok(events.into_iter().find(|event| event.cid == *cid)),
                // It may be there all the same, behind what the stream has dropped.
                Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let found = self.get_by_cid(cid).await?;
        Ok(found.filter(|event| aggregate.has(event)))
    }

    fn read_all(&self, after: Position) -> EventStream {
        scan::read_all(self.stream.clone(), after)
    }

    fn subscribe(&self, after: Position) -> EventStream {
        scan::subscribe(self.stream.clone(), after)
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        self.snapshots.clone()
    }

    fn snapshot_threshold(&self) -> Option<u64> {
        Some(self.stream.options.stream.snapshot_threshold)
    }

    fn publishes(&self) -> bool {
        true
    }
}
