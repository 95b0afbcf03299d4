//! The store itself: the port for events on one stream.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cid::Cid;
use lru::LruCache;
use tokio::sync::Semaphore;

use super::api::Api;
use super::connect::Connection;
use super::doctor::{self, Finding};
use super::message::Raw;
use super::options::JetStreamOptions;
use super::reader::{Reader, Selection};
use super::{append, history, scan, setup, standing};
use crate::block::StoredEvent;
use crate::domain::declared::matches;
use crate::store::StoredSubjects;
use crate::store::{
    AggregateKey, CommitRequest, EventStore, EventStream, Head, Position, SnapshotStore, StoreError,
};

/// How many events a store remembers the places of.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// How many atomic batches one store has in flight; the server takes 50 for a stream.
const BATCHES_IN_FLIGHT: usize = 16;

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
    inner: Arc<Inner>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
}

pub(super) struct Inner {
    pub(super) api: Api,
    pub(super) options: JetStreamOptions,
    /// Turns for atomic batches.
    pub(super) batches: Semaphore,
    places: Mutex<LruCache<Cid, Position>>,
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
        let stream = &options.stream.stream_name;
        let api = Api::new(&connection.into(), stream, options.request_timeout);
        setup::open(&api, &options).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                api,
                options,
                batches: Semaphore::new(BATCHES_IN_FLIGHT),
                places: Mutex::new(LruCache::new(REMEMBERED)),
            }),
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
        doctor::examine(&self.inner.api, &self.inner.options).await
    }

    /// How this store makes stored subjects from public ones.
    pub fn subjects(&self) -> &StoredSubjects {
        self.inner.subjects()
    }

    /// The name of the stream.
    pub fn stream_name(&self) -> &str {
        &self.inner.api.stream
    }
}

impl std::fmt::Debug for JetStreamEventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamEventStore")
            .field("stream", &self.inner.api.stream)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn subjects(&self) -> &StoredSubjects {
        &self.options.subjects
    }

    /// Refuses events whose type the stream does not keep, which no server would answer for.
    pub(super) fn check_types(&self, commit: &CommitRequest) -> Result<(), StoreError> {
        let public = &self.options.stream.subjects;
        let events = commit.aggregates.iter().flat_map(|part| &part.events);
        for event in events {
            let event_type = &event.event_type;
            let is_kept = public.iter().any(|filter| matches(filter, event_type));
            if !is_kept {
                return Err(invalid(format!(
                    "stream {} keeps events on {}, and `{event_type}` is not among them: append it to the stream of its domain",
                    self.api.stream,
                    public.join(", "),
                )));
            }
            let first = |subject: &str| subject.split('.').next().map(str::to_owned);
            let is_republished_bare = self.options.public_prefix.is_none();
            if is_republished_bare && first(event_type) == first(self.subjects().prefix()) {
                return Err(invalid(format!(
                    "`{event_type}` starts like a stored subject, and would be stored twice: give the domain another name"
                )));
            }
        }
        Ok(())
    }

    /// The event that a message holds, proved.
    pub(super) fn verify(&self, raw: Raw) -> Result<StoredEvent, StoreError> {
        raw.verify(&self.api, self.subjects())
    }

    pub(super) fn reader(&self, selection: Selection, after: u64) -> Reader {
        let patience = self.options.patience;
        Reader::new(
            self.api.clone(),
            selection,
            after.saturating_add(1),
            patience,
        )
    }

    pub(super) fn place_of(&self, cid: &Cid) -> Option<Position> {
        let mut places = self.places.lock().ok()?;
        places.get(cid).copied()
    }

    fn remember(&self, events: &[StoredEvent]) {
        if let Ok(mut places) = self.places.lock() {
            for event in events {
                places.put(event.cid, event.position);
            }
        }
    }
}

fn invalid(reason: String) -> StoreError {
    StoreError::InvalidCommit { reason }
}

#[async_trait]
impl EventStore for JetStreamEventStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.check_types(&commit)?;
        let stored = append::append(&self.inner, commit).await?;
        self.inner.remember(&stored);
        Ok(stored)
    }

    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = history::read(&self.inner, aggregate, from_version, None).await?;
        self.inner.remember(&events);
        Ok(events)
    }

    async fn get_events_from(
        &self,
        aggregate: &AggregateKey,
        known: &Head,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let version = known.version;
        let events = history::read(&self.inner, aggregate, version, Some(known)).await?;
        self.inner.remember(&events);
        Ok(events)
    }

    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        scan::of_type(&self.inner, event_type, after, limit).await
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        let standing = standing::read(&self.inner, aggregate).await?;
        self.inner.remember(standing.last.as_slice());
        Ok(standing.last)
    }

    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        scan::by_cid(&self.inner, cid).await
    }

    async fn get_event(
        &self,
        aggregate: &AggregateKey,
        cid: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        // A history is found at once; a CID by itself only in the headers of all events.
        if self.inner.place_of(cid).is_none() {
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
        scan::read_all(self.inner.clone(), after)
    }

    fn subscribe(&self, after: Position) -> EventStream {
        scan::subscribe(self.inner.clone(), after)
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        self.snapshots.clone()
    }

    fn snapshot_threshold(&self) -> Option<u64> {
        Some(self.inner.options.stream.snapshot_threshold)
    }

    fn publishes(&self) -> bool {
        true
    }
}
