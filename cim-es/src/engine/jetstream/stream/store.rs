//! The store itself: the port for events on one stream.

use std::sync::Arc;

use async_trait::async_trait;
use cid::Cid;

use super::{Finding, doctor, fragments};
use super::{Stream, append, history, import, kinds, scan, setup, tip};
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::Api;
use crate::engine::jetstream::config::JetStreamOptions;
use crate::engine::jetstream::connect::Connection;
use crate::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore, EventStream,
    SealedCommit, Selection, SnapshotStore, StoreError, StoredSubjects, Versions,
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
/// - [`find`](EventStore::find) answers from memory where the event stands that this store wrote or read lately; another
///   CID is looked for in the headers of all events, and by [`find_in`](crate::store::EventStoreExt::find_in) in the
///   history of its aggregate alone.
/// - The server filters what is read by subjects, kinds with known types, aggregates and partitions.
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
    /// better. Each finding says what to do. On a stream that a single server keeps it reads all events, to find commits
    /// that a limit has cut off.
    ///
    /// # Errors
    /// The failures of the connection.
    pub async fn doctor(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = doctor::examine(&self.stream.api, &self.stream.options).await?;
        findings.extend(fragments::find(&self.stream).await?);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(findings)
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
        let events = commit.aggregates.iter().flat_map(|part| &part.events);
        self.stream
            .check_types(events.map(|event| event.event_type.as_str()))?;
        let stored = append::append(&self.stream, commit).await?;
        self.stream.remember(&stored);
        Ok(stored)
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let appended = import::append_sealed(&self.stream, commits).await?;
        for commit in &appended {
            self.stream.remember(&commit.events);
        }
        Ok(appended)
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        history::stream(self.stream.clone(), aggregate.clone(), versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        let deadline = self.stream.api.deadline();
        let last = tip::read(&self.stream, aggregate, deadline).await?;
        self.stream.remember(last.event.as_slice());
        Ok(last.event)
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        kinds::read(&self.stream, id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        scan::by_cid(&self.stream, cid).await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        scan::read(self.stream.clone(), selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        scan::follow(self.stream.clone(), selection, after)
    }

    fn settings(&self) -> EngineSettings {
        let threshold = self.stream.options.stream.snapshot_threshold;
        let settings = EngineSettings::default()
            .shared_as(&self.stream)
            .publishing()
            .with_snapshot_threshold(threshold);
        match &self.snapshots {
            Some(snapshots) => settings.with_snapshots(snapshots.clone()),
            None => settings,
        }
    }
}
