//! The port for snapshots: a cache of folded aggregates.

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
use sha2::{Digest, Sha256};

use super::{AggregateKey, Position, StoreError};

/// A folded aggregate up to one of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Which declarations and which fold made it; a snapshot with another tag is not used.
    pub tag: u64,
    /// The version of the aggregate.
    pub version: u64,
    /// The CID of the event at that version; where the store has another, the snapshot is not used.
    pub last_cid: Cid,
    /// The position of that event.
    pub position: Position,
    /// The aggregate and the message ids of its last commits, as one dag-cbor block.
    pub state: Bytes,
}

impl Snapshot {
    /// A digest of all that it has, which engines keep beside it.
    #[cfg(any(feature = "sqlite", feature = "jetstream"))]
    pub(crate) fn digest(&self, aggregate: &AggregateKey) -> [u8; 32] {
        Sha256::new()
            .chain_update(aggregate.kind())
            .chain_update([0])
            .chain_update(aggregate.id().as_str())
            .chain_update([0])
            .chain_update(self.tag.to_be_bytes())
            .chain_update(self.version.to_be_bytes())
            .chain_update(self.position.0.to_be_bytes())
            .chain_update(self.last_cid.to_bytes())
            .chain_update(&self.state)
            .finalize()
            .into()
    }
}

/// Where snapshots are kept. They are a cache: losing one costs time, never data.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// Keeps a snapshot in place of an older one of the same aggregate and tag.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError>;

    /// The newest snapshot of an aggregate with a tag; none when there is none.
    ///
    /// # Errors
    /// The engine's failures.
    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError>;
}
