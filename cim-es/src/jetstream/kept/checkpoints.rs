//! Checkpoints in a key-value bucket.

use async_trait::async_trait;
use bytes::Bytes;

use super::bucket::{Bucket, Layout};
use super::name::token;
use crate::jetstream::Connection;
use crate::store::{CheckpointStore, Damage, Position, StoreError};

/// Keeps checkpoints in a key-value bucket: the reader's name is the key, its position in decimal digits the value.
///
/// A clone is another handle to the same bucket.
#[derive(Clone, Debug)]
pub struct JetStreamCheckpointStore {
    bucket: Bucket,
}

impl JetStreamCheckpointStore {
    /// The bucket of [`open`](Self::open) where nobody names another.
    pub const BUCKET: &'static str = "cim-es-checkpoints";

    /// Opens a bucket, and creates it with a number of replicas when it is missing.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when it is missing and this user may not create it, and the engine's failures.
    pub async fn open(
        connection: impl Into<Connection>,
        bucket: &str,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        let bucket = Bucket::open(connection.into(), bucket, Layout::KeyValue, replicas).await?;
        Ok(Self { bucket })
    }

    fn subject(&self, reader: &str) -> String {
        format!("$KV.{}.{}", self.bucket.name(), token(reader))
    }
}

#[async_trait]
impl CheckpointStore for JetStreamCheckpointStore {
    async fn save_checkpoint(&self, reader: &str, position: Position) -> Result<(), StoreError> {
        let value = Bytes::from(position.to_string());
        self.bucket
            .write(&self.subject(reader), value, None)
            .await?;
        Ok(())
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Position>, StoreError> {
        let Some(message) = self.bucket.last(&self.subject(reader)).await? else {
            return Ok(None);
        };
        // A tool that deletes a key leaves an empty value.
        if message.payload.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&message.payload).ok();
        match text.and_then(|text| text.parse().ok()) {
            Some(position) => Ok(Some(Position(position))),
            None => Err(StoreError::Damaged(Damage {
                place: self.bucket.place(),
                position: None,
                cid: None,
                reason: format!(
                    "the checkpoint of `{reader}` is not a number; delete the key to start over"
                ),
            })),
        }
    }
}
