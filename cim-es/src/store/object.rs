//! The port for objects: blocks by CID.

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;

use super::StoreError;

/// Where blocks are kept under their CID, each once, never overwritten.
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Keeps a block and gives its CID; the same bytes have the same CID and are kept once.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError>;

    /// The block with a CID, its hash checked; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes do not hash to the CID, and the engine's failures.
    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;
}
