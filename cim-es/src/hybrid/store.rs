//! The store that a program uses: the file, and the task beside it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connector::{Connector, LocalStore, RemoteStore};
use super::divergence::Divergence;
use super::notice::Notice;
use super::options::HybridOptions;
use super::parked::{ParkedCommit, Way};
use super::protocol::Protocol;
use super::runner::{Line, Runner};
use super::status::HybridStatus;
use super::{ConnectFailure, HybridError, UpStep};
use crate::block::{Cid, StoredEvent};
use crate::domain::ErrorChain;
use crate::domain::aggregate::IdText;
use crate::store::{
    AggregateKey, AppendedCommit, Bookmark, CheckpointStore, CommitRequest, ContentType,
    EngineSettings, EventStore, EventStream, ObjectInfo, ObjectStore, Position, ProvedCommit,
    SealedCommit, Selection, Snapshot, SnapshotStore, StoreError, Versions,
};

/// A file that is kept level with a stream. Everything is read from the file and written to it; a commit is acknowledged when
/// the file has it, and goes into the stream as soon as there is a way.
///
/// A clone is another handle to the same store. When the last one is dropped, the task ends; [`close`](Self::close) waits
/// for it.
#[derive(Clone)]
pub struct HybridEventStore {
    protocol: Arc<Protocol>,
    task: Arc<Task>,
}

/// The task beside the file.
struct Task {
    line: Arc<Line>,
    connector: Arc<dyn Connector>,
    stop: CancellationToken,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl HybridEventStore {
    /// How to keep a file level with a stream otherwise than by default.
    pub fn options() -> HybridOptions {
        HybridOptions::new()
    }

    /// Keeps a store level with a stream, with the default options.
    ///
    /// # Errors
    /// See [`HybridOptions::open`].
    pub async fn open(
        local: impl LocalStore,
        connector: impl Connector,
    ) -> Result<Self, StoreError> {
        Self::options().open(local, connector).await
    }

    /// Keeps a file level with the stream of a configuration, with the default options; makes the file when it is missing.
    /// It waits for no server. This reads from the disk and blocks for as long.
    ///
    /// # Errors
    /// See [`SqliteOptions::open`](crate::SqliteOptions::open) and [`HybridOptions::open`].
    #[cfg(all(feature = "jetstream", feature = "sqlite"))]
    pub async fn open_file(
        path: impl AsRef<std::path::Path>,
        servers: crate::engine::jetstream::NatsConfig,
    ) -> Result<Self, StoreError> {
        let file = crate::engine::sqlite::SqliteEventStore::open(path)?;
        Self::open(file, super::NatsConnector::new(servers)).await
    }

    pub(super) fn start(protocol: Protocol, connector: Arc<dyn Connector>) -> Self {
        let (protocol, line) = (Arc::new(protocol), Arc::new(Line::default()));
        let stop = CancellationToken::new();
        let runner = Runner {
            protocol: Arc::clone(&protocol),
            connector: Arc::clone(&connector),
            line: Arc::clone(&line),
            stop: stop.clone(),
        };
        let handle = tokio::spawn(runner.run());
        Self {
            protocol,
            task: Arc::new(Task {
                line,
                connector,
                stop,
                handle: Mutex::new(Some(handle)),
            }),
        }
    }

    /// The store that everything is read from and written to.
    pub fn local(&self) -> &Arc<dyn LocalStore> {
        self.protocol.local()
    }

    /// The protocol under the task.
    pub fn protocol(&self) -> &Arc<Protocol> {
        &self.protocol
    }

    /// Whether the stream answered when it was last asked.
    pub fn is_connected(&self) -> bool {
        let is_up = self.task.line.remote().is_some();
        is_up && self.task.connector.is_connected().unwrap_or(true)
    }

    /// How many events of the file the stream has not acknowledged: those that will be sent, and those that wait behind a
    /// commit that was parked or a divergence.
    ///
    /// # Errors
    /// The failures of the file.
    pub async fn queue_size(&self) -> Result<u64, HybridError> {
        Ok(self.protocol.queue_size().await?)
    }

    /// The size of the queue as the file has it: what is queued needs no loading, since it is the end of the file.
    ///
    /// # Errors
    /// The failures of the file.
    pub async fn load_queue(&self) -> Result<u64, HybridError> {
        self.queue_size().await
    }

    /// Sends what is queued, and gives how many events reached the stream by that. The task does so by itself; this waits
    /// for it.
    ///
    /// # Errors
    /// [`HybridError::NotConnected`], and what keeps the stream from taking it; what was sent until then is sent.
    pub async fn flush_queue(&self) -> Result<u64, HybridError> {
        let Some(remote) = self.task.line.remote() else {
            let source = self.task.line.failure();
            return Err(HybridError::NotConnected { source });
        };
        let before = self.protocol.sent();
        loop {
            if self.protocol.up(&remote).await? == UpStep::Level {
                break;
            }
        }
        self.protocol.save().await?;
        Ok(self.protocol.sent() - before)
    }

    /// How the file and the stream stand to each other.
    ///
    /// # Errors
    /// The failures of the file.
    pub async fn status(&self) -> Result<HybridStatus, HybridError> {
        let is_connected = self.is_connected();
        let failure = match is_connected {
            true => self.protocol.full().map(|full| Arc::new(full) as _),
            false => self.task.line.failure(),
        };
        let divergences = self.protocol.recorded_divergences();
        Ok(HybridStatus {
            is_connected,
            queue_size: self.queue_size().await?,
            parked: self.protocol.parked().len(),
            diverged: divergences.iter().filter(|it| it.is_open()).count(),
            waiting: self.protocol.waiting(),
            acknowledged: self.protocol.acknowledged(),
            read: self.protocol.read_up_to().position,
            failure: failure.map(|failure: ConnectFailure| ErrorChain(&*failure).to_string()),
            notice: self.protocol.notices().last().map(Notice::to_string),
        })
    }

    /// The aggregates that went on differently here and in the stream and wait for a decision: since which common event, and
    /// what either side did.
    ///
    /// # Errors
    /// The failures of either side.
    pub async fn divergences(&self) -> Result<Vec<Divergence>, HybridError> {
        let remote = self.task.line.remote();
        let remote = remote.as_ref().map(|it| it as &dyn EventStore);
        Ok(self.protocol.divergences(remote).await?)
    }

    /// Ends the divergence of an aggregate whose history was brought to one of the two; see [`Protocol::resolve`].
    ///
    /// # Errors
    /// [`HybridError::NotConnected`]; else as [`Protocol::resolve`].
    pub async fn resolve(&self, aggregate: &AggregateKey, how: &str) -> Result<(), HybridError> {
        let Some(remote) = self.task.line.remote() else {
            let source = self.task.line.failure();
            return Err(HybridError::NotConnected { source });
        };
        self.protocol.resolve(&remote, aggregate, how).await
    }

    /// Ends the divergence of an aggregate by the stream's history; see [`Protocol::keep_theirs`].
    ///
    /// # Errors
    /// [`HybridError::NotConnected`]; else as [`Protocol::keep_theirs`].
    pub async fn keep_theirs(
        &self,
        aggregate: &AggregateKey,
        how: &str,
    ) -> Result<Divergence, HybridError> {
        let remote = self.remote()?;
        self.protocol.keep_theirs(&remote, aggregate, how).await
    }

    /// Ends the divergence of an aggregate as the author has said; see [`Protocol::reapply`].
    ///
    /// # Errors
    /// [`HybridError::NotConnected`]; else as [`Protocol::reapply`].
    pub async fn reapply(&self, aggregate: &AggregateKey) -> Result<Divergence, HybridError> {
        let remote = self.remote()?;
        self.protocol.reapply(&remote, aggregate).await
    }

    fn remote(&self) -> Result<Arc<dyn RemoteStore>, HybridError> {
        self.task
            .line
            .remote()
            .ok_or_else(|| HybridError::NotConnected {
                source: self.task.line.failure(),
            })
    }

    /// The commits that one side refuses for good, in the order of their positions.
    pub fn parked(&self) -> Vec<ParkedCommit> {
        self.protocol.parked()
    }

    /// Has a parked commit tried again, and what waits behind it; see [`Protocol::resend`].
    ///
    /// # Errors
    /// [`HybridError::NotParked`], [`StoreError::KeptLevel`] where another store keeps the file level, and the failures of the
    /// file.
    pub async fn resend(&self, way: Way, position: Position) -> Result<(), HybridError> {
        self.protocol.claim().await?;
        let decided = self.protocol.resend(way, position).await;
        self.release_if_closed();
        decided
    }

    /// Gives up a parked commit of the file, for a reason that is recorded; see [`Protocol::discard`].
    ///
    /// # Errors
    /// [`HybridError::NotParked`], [`HybridError::NoReason`], [`StoreError::KeptLevel`] where another store keeps the file
    /// level, and the failures of the file.
    pub async fn discard(&self, position: Position, reason: &str) -> Result<(), HybridError> {
        self.protocol.claim().await?;
        let decided = self.protocol.discard(position, reason).await;
        self.release_if_closed();
        decided
    }

    /// The task of a store that was closed does not give the claim back any more.
    fn release_if_closed(&self) {
        if self.task.stop.is_cancelled() {
            self.protocol.release();
        }
    }

    /// What a person should know, in its order.
    pub fn notices(&self) -> Vec<Notice> {
        self.protocol.notices()
    }

    /// What a person should know, from now on.
    pub fn follow_notices(&self) -> broadcast::Receiver<Notice> {
        self.protocol.follow_notices()
    }

    /// Ends the task for all handles and saves what is known of the stream. The file stays open, and what is written to it
    /// then is queued for the next program.
    pub async fn close(&self) {
        self.task.stop.cancel();
        let handle = {
            let mut handle = self
                .task
                .handle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            handle.take()
        };
        if let Some(handle) = handle
            && handle.await.is_err()
        {
            tracing::error!("the task between the file and the stream failed");
        }
    }
}

impl std::fmt::Debug for HybridEventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HybridEventStore")
            .field("node", &self.protocol.node())
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for HybridEventStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.protocol.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let appended = self.local().append_sealed(commits).await?;
        self.protocol.grown.notify_one();
        Ok(appended)
    }

    async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let appended = self.local().append_proved(commits).await?;
        self.protocol.grown.notify_one();
        Ok(appended)
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        self.local().history(aggregate, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.local().last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.local().kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.local().find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.local().last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.local().read(selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.local().follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        // Who replaces a branch past the protocol would move what that knows of.
        EngineSettings {
            branches: None,
            ..self.local().settings()
        }
    }
}

#[async_trait]
impl SnapshotStore for HybridEventStore {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        self.local().save_snapshot(aggregate, snapshot).await
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.local().get_latest_snapshot(aggregate, tag).await
    }
}

#[async_trait]
impl ObjectStore for HybridEventStore {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        self.local().put_object_as(bytes, content_type).await
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.local().get_object(cid).await
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        self.local().object_info(cid).await
    }
}

#[async_trait]
impl CheckpointStore for HybridEventStore {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.local().save_checkpoint(reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        self.local().get_checkpoint(reader).await
    }
}
