//! All stores of a configuration behind one handle.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;

use super::buckets::check::Beside;
use super::buckets::create::Making;
use super::subscription::make_room;
use super::{
    ConnectError, Connection, JetStreamCheckpointStore, JetStreamEventStore, JetStreamObjectStore,
    JetStreamSnapshotStore, NatsConfig,
};
use crate::store::{
    AggregateKey, Bookmark, CheckpointStore, ContentType, ObjectInfo, ObjectStore, Snapshot,
    SnapshotStore, StoreError, forward_event_store,
};

/// Events, snapshots, objects and checkpoints on the servers of one configuration.
///
/// A clone is another handle to the same stores.
///
/// ```no_run
/// use cim_es::jetstream::NatsConfig;
///
/// # async fn example() -> Result<(), cim_es::jetstream::OpenError> {
/// let stores = NatsConfig::new(["nats://127.0.0.1:4222"]).open().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamStores {
    /// The connection under all of them.
    pub connection: Connection,
    /// The events; repositories on it use the snapshots.
    pub events: JetStreamEventStore,
    /// The snapshots, in a bucket for this stream.
    pub snapshots: JetStreamSnapshotStore,
    /// The objects, in the bucket that the configuration names.
    pub objects: JetStreamObjectStore,
    /// The checkpoints, in a bucket for this stream.
    pub checkpoints: JetStreamCheckpointStore,
}

/// Why the stores of a configuration cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration says that the program works on no server.
    #[error(
        "`nats.enabled` is false: set it to true, or open the file that `offline.offline_storage` names"
    )]
    Disabled,
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A stream or a bucket cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NatsConfig {
    /// Connects, and opens the stores; creates the stream and the buckets that are missing, that of the subscriptions among
    /// them.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong, where, and what to do.
    pub async fn open(&self) -> Result<JetStreamStores, OpenError> {
        if !self.enabled {
            return Err(OpenError::Disabled);
        }
        let connection = self.connect().await?;
        connection.check_jetstream().await?;
        let config = &self.event_store;
        let making = Making {
            replicas: config.replicas,
            creates: config.create,
        };
        let snapshots = config.snapshot_bucket();
        let snapshots =
            JetStreamSnapshotStore::open_or_make(connection.clone(), &snapshots, making).await?;
        if config.create {
            make_room(&connection, config.replicas).await?;
        }
        let events = JetStreamEventStore::open(connection.clone(), config.clone()).await?;
        let objects = &self.object_store_bucket;
        let objects = JetStreamObjectStore::open_or_make(connection.clone(), objects, making);
        let checkpoints = config.checkpoint_bucket();
        let checkpoints =
            JetStreamCheckpointStore::open_or_make(connection.clone(), &checkpoints, making);
        let objects = objects.await?.hash(config.seal.hash);
        let beside = Beside {
            objects: Some(objects.clone()),
            snapshots: Some(snapshots.clone()),
        };
        let events = events.with_snapshots(Arc::new(snapshots.clone()));
        Ok(JetStreamStores {
            events: events.beside(beside),
            snapshots,
            objects,
            checkpoints: checkpoints.await?,
            connection,
        })
    }
}

forward_event_store!([] JetStreamStores, |this| this.events);

#[async_trait]
impl SnapshotStore for JetStreamStores {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        self.snapshots.save_snapshot(aggregate, snapshot).await
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.snapshots.get_latest_snapshot(aggregate, tag).await
    }
}

#[async_trait]
impl ObjectStore for JetStreamStores {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        self.objects.put_object_as(bytes, content_type).await
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.objects.get_object(cid).await
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        self.objects.object_info(cid).await
    }
}

#[async_trait]
impl CheckpointStore for JetStreamStores {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.checkpoints.save_checkpoint(reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        self.checkpoints.get_checkpoint(reader).await
    }
}
