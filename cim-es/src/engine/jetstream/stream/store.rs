//! The store itself: the port for events on one stream.

use std::sync::Arc;

use async_trait::async_trait;
use cid::Cid;

use super::{Copied, Finding, UnfinishedCommit, doctor, existing, fragments};
use super::{Stream, append, history, import, kinds, listing, scan, setup};
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{Api, Leader};
use crate::engine::jetstream::buckets::check::Beside;
use crate::engine::jetstream::config::JetStreamOptions;
use crate::engine::jetstream::connect::Connection;
use crate::engine::jetstream::subscription::JetStreamSubscriptions;
use crate::store::{
    AggregateKey, AggregatePage, AggregateQuery, AppendedCommit, Bookmark, CommitRequest,
    EngineSettings, EventStore, EventStream, Position, ProvedCommit, SealedCommit, Selection,
    SnapshotStore, StoreError, StoredSubjects, StoredType, Versions,
};

/// Keeps events in one JetStream stream on NATS servers.
///
/// A clone is another handle to the same store.
///
/// What costs what, beside the round trip to a server:
/// - A commit of one event is one guarded publish; of several, or over several aggregates, one atomic batch, which takes
///   the server a few milliseconds more on file storage.
/// - A bare append has to know that its message is new: the first one through a handle on an aggregate with events reads
///   its history, once. A repository knows it already.
/// - Loading is one round trip, at any size of the stream, when the aggregate's event types are known
///   ([`AggregateKey::of`]); by kind alone ([`AggregateKey::new`]) the server searches the stream.
/// - [`find`](EventStore::find) answers from memory where the event stands that this store wrote or read lately; another
///   CID is looked for in the headers of all events, and by [`find_in`](crate::store::EventStoreExt::find_in) in the
///   history of its aggregate alone.
/// - Of a list of sealed commits ([`append_sealed`](EventStore::append_sealed)) many are on their way at once, in the order
///   of the list, each whole or not at all; where they would wait for each other, several go as one atomic batch. What
///   ends it in between leaves a part stored; bringing the list again goes on with the rest.
/// - The server filters what is read by subjects, kinds with known types, aggregates and partitions.
#[derive(Clone)]
pub struct JetStreamEventStore {
    stream: Arc<Stream>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    /// What a verification checks with the events.
    beside: Arc<Beside>,
}

impl JetStreamEventStore {
    /// Opens the stream on a connection: creates it when it is missing, and compares it with what the store needs
    /// when it is there. Every server that can be found is asked for its version, by a short connection of its own; what
    /// could not be asked, and what else should be changed, is logged.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a server older than 2.14.4 among them, for options or a stream that could lose events
    /// without the opt-in, and for a stream of another layout; the failures of the connection.
    pub async fn open(
        connection: impl Into<Connection>,
        options: impl Into<JetStreamOptions>,
    ) -> Result<Self, StoreError> {
        let options = options.into();
        let name = &options.stream.stream_name;
        let api = Api::new(&timed(connection.into(), &options), name);
        let connects = api.connects();
        let found = setup::open(&api, &options).await?;
        Ok(Self {
            stream: Arc::new(Stream::new(api, options, found, connects)),
            snapshots: None,
            beside: Arc::default(),
        })
    }

    /// Opens a stream as it is, for a tool that does not know how it was configured: its subjects, their prefixes and its
    /// limits are read from the stream itself. Nothing is created, and what the stream can lose is accepted;
    /// [`doctor`](Self::doctor) names it.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a stream that is missing, or is none of this library; else as [`open`](Self::open).
    pub async fn open_existing(
        connection: impl Into<Connection>,
        stream_name: &str,
    ) -> Result<Self, StoreError> {
        let connection = connection.into();
        let api = Api::new(&connection, stream_name);
        let options = existing::options(&api).await?;
        Self::open(connection, options).await
    }

    /// A page of the aggregates, in an order that depends on their ids alone. Each has the kind that the last event of each
    /// type under its id shows, as for [`kinds`](EventStore::kinds).
    ///
    /// The server lists the subjects of a partition, 1/64 of all, and the last events of each id are read. Kinds do not
    /// stand in subjects: with a kind, a page has those of that kind among 2,000 ids, which may be none while there are
    /// more.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the failures of the connection.
    pub async fn aggregates(&self, query: AggregateQuery) -> Result<AggregatePage, StoreError> {
        listing::aggregates(&self.stream, &query).await
    }

    /// The types of events that the stream has, each with the kind of its last event, in the order of the kinds and then of
    /// the types. The server lists all subjects, which takes seconds in a stream of millions.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the failures of the connection.
    pub async fn event_types(&self) -> Result<Vec<StoredType>, StoreError> {
        listing::event_types(&self.stream).await
    }

    /// The same store with a place for snapshots, which repositories on it use.
    pub fn with_snapshots(self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self {
            snapshots: Some(snapshots),
            ..self
        }
    }

    /// The same store with the buckets beside it: objects in the bucket of a name, and the snapshots of this stream. A
    /// [`Verification`](crate::verify::Verification) checks what they have with the events. A bucket that does not exist has
    /// nothing to check. The stores that [`NatsConfig::open`](crate::jetstream::NatsConfig::open) opens have theirs already.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a bucket of another kind, and the engine's failures.
    pub async fn with_buckets(self, object_bucket: &str) -> Result<Self, StoreError> {
        let connection = &self.stream.api.connection;
        let snapshots = self.stream.options.stream.snapshot_bucket();
        let beside = Beside::find(connection, object_bucket, &snapshots).await?;
        Ok(self.beside(beside))
    }

    /// The same with buckets that are open.
    pub(in crate::engine::jetstream) fn beside(self, beside: Beside) -> Self {
        Self {
            beside: Arc::new(beside),
            ..self
        }
    }

    /// The buckets beside it, as far as they are known.
    pub(super) fn buckets(&self) -> &Beside {
        &self.beside
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

    /// What is stored of commits that a limit of the stream or of the account has cut off, as [`doctor`](Self::doctor)
    /// lists it. It reads all events; where several servers keep the stream, it finds nothing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for what cannot be proved, and the failures of the connection.
    pub async fn unfinished_commits(&self) -> Result<Vec<UnfinishedCommit>, StoreError> {
        fragments::list(&self.stream).await
    }

    /// Removes what [`unfinished_commits`](Self::unfinished_commits) gives, so that its aggregates take commits again. None
    /// of it was ever acknowledged. What it gives back is the note of what was removed: the events themselves; they are
    /// logged too.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] on a stream with `deny_delete`, which every stream has that this library has made: copy it
    /// with [`copy_whole_commits`](Self::copy_whole_commits). It is an error as well where this user may not delete
    /// messages.
    pub async fn remove_unfinished_commits(&self) -> Result<Vec<UnfinishedCommit>, StoreError> {
        fragments::remove(&self.stream).await
    }

    /// Stores every whole commit of this stream in another store, of whichever engine: the same blocks in the same order,
    /// without what is unfinished. Doing it again goes on where it ended.
    ///
    /// # Errors
    /// Those of [`append_sealed`](EventStore::append_sealed), [`StoreError::Damaged`] for what cannot be proved, and the
    /// failures of the connection.
    pub async fn copy_whole_commits(&self, target: &dyn EventStore) -> Result<Copied, StoreError> {
        fragments::copy(&self.stream, target).await
    }

    /// What everything that the store does has in common.
    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
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
        let events = commit.aggregates.iter().flat_map(|part| {
            let types = part.events.iter().map(|event| event.event_type.as_str());
            types.map(|event_type| (part.aggregate.id().as_str(), event_type))
        });
        self.stream.check_events(events)?;
        let deadline = self.stream.api.deadline();
        self.stream
            .versions
            .check(&self.stream.api, deadline)
            .await?;
        // Whatever was sent has an outcome of its own.
        let stored = append::append(&self.stream, commit).await;
        let stored = stored.map_err(append::not_sent)?;
        self.stream.remember(&stored);
        Ok(stored)
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let proved = import::prove(&self.stream, commits).await?;
        self.append_proved(proved).await
    }

    async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let deadline = self.stream.api.deadline();
        self.stream
            .versions
            .check(&self.stream.api, deadline)
            .await?;
        let appended = import::append_proved(&self.stream, commits).await;
        let stored: Vec<&AppendedCommit> = match &appended {
            Ok(appended) => appended.iter().collect(),
            Err(StoreError::PartlyStored(partly)) => partly.appended().collect(),
            Err(_) => Vec::new(),
        };
        for commit in stored {
            self.stream.remember(&commit.events);
        }
        appended
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        history::stream(self.stream.clone(), aggregate.clone(), versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        let last = history::last(&self.stream, aggregate).await?;
        self.stream.remember(last.as_slice());
        Ok(last)
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        kinds::read(&self.stream, id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        scan::by_cid(&self.stream, cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        let state = Leader::new(&self.stream.api).state().await?;
        Ok(Position(state.last_seq))
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
            .with_snapshot_threshold(threshold)
            .with_raw_events(Arc::new(self.clone()))
            .with_subscriptions(Arc::new(JetStreamSubscriptions {
                connection: self.stream.api.connection.clone(),
                stream: Some(self.stream_name().to_owned()),
                layout: self.subjects().clone(),
            }));
        match &self.snapshots {
            Some(snapshots) => settings.with_snapshots(snapshots.clone()),
            None => settings,
        }
    }
}
