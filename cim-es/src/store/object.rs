//! The port for objects: blocks by CID.

use std::any::type_name;

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ContentType, ObjectInfo, StoreError};
use crate::block::canonical;

/// Where blocks are kept under their CID, each once, never overwritten.
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Keeps a block and gives its CID; the same bytes have the same CID and are kept once. Beside it stand what its bytes
    /// are and the time, as they were when it was kept first.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError>;

    /// The same for bytes of which nothing is said: [`ContentType::BYTES`].
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError> {
        self.put_object_as(bytes, ContentType::BYTES).await
    }

    /// The block with a CID, its hash checked; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes do not hash to the CID, and the engine's failures.
    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;

    /// What stands beside the block with a CID, which is not read for it; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it is not what was written, and the engine's failures.
    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError>;
}

/// What callers want of every object store: values of their own, each kept as a block of dag-cbor.
///
/// ```
/// # use cim_es::MemoryEventStore;
/// use cim_es::block::Cid;
/// use cim_es::store::{ContentType, ObjectStore, ObjectStoreExt};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Report {
///     title: String,
///     /// A link to another object, which every tool of IPLD can follow.
///     follows: Option<Cid>,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let objects = MemoryEventStore::new();
/// let first = objects.store(&Report { title: "March".into(), follows: None }).await?;
/// let second = Report { title: "April".into(), follows: Some(first) };
/// let cid = objects.store(&second).await?;
/// // Equal values have one CID, and are kept once.
/// assert_eq!(objects.store(&second).await?, cid);
/// assert_eq!(objects.get::<Report>(&cid).await?, Some(second));
/// // Beside it stand its size, what it is, and since when it is kept.
/// let info = objects.object_info(&cid).await?.expect("it was kept");
/// assert_eq!(info.content_type, Some(ContentType::DAG_CBOR));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ObjectStoreExt: ObjectStore {
    /// Keeps a value as a block of dag-cbor, unless it is there already, and gives its CID.
    ///
    /// # Errors
    /// [`ObjectError::NotStorable`] for a value that dag-cbor does not have, such as a float that is no number or a map
    /// whose keys are no texts; [`ObjectError::Store`].
    async fn store<T: Serialize + Sync + ?Sized>(&self, value: &T) -> Result<Cid, ObjectError> {
        let block = encode(value).map_err(|reason| ObjectError::NotStorable {
            name: type_name::<T>(),
            reason,
        })?;
        let kept = self.put_object_as(block.into(), ContentType::DAG_CBOR);
        Ok(kept.await?)
    }

    /// The value that was kept under a CID; none when the store does not have it.
    ///
    /// # Errors
    /// [`ObjectError::Unreadable`] for a block that is no such value, and [`ObjectError::Store`].
    async fn get<T: DeserializeOwned>(&self, cid: &Cid) -> Result<Option<T>, ObjectError> {
        let Some(block) = self.get_object(cid).await? else {
            return Ok(None);
        };
        let value = serde_ipld_dagcbor::from_slice(&block);
        let value = value.map_err(|error| ObjectError::Unreadable {
            cid: Box::new(*cid),
            name: type_name::<T>(),
            reason: error.to_string(),
        })?;
        Ok(Some(value))
    }
}

impl<S: ObjectStore + ?Sized> ObjectStoreExt for S {}

/// The block of a value, which every reader can read.
fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let block = serde_ipld_dagcbor::to_vec(value).map_err(|error| error.to_string())?;
    match canonical::check(&block) {
        Ok(()) => Ok(block),
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// What can go wrong with a value in an object store.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The value has something that dag-cbor does not have.
    #[error("a value of `{name}` cannot be kept: {reason}")]
    NotStorable {
        /// The Rust type.
        name: &'static str,
        /// What is wrong, with its place.
        reason: String,
    },
    /// The block is another value.
    #[error("object {cid} does not read as `{name}`: {reason}")]
    Unreadable {
        /// The CID.
        cid: Box<Cid>,
        /// The Rust type.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
