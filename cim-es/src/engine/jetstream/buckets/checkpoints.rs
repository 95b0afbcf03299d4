//! Checkpoints in a key-value bucket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::bucket::{Bucket, Write};
use super::create::Making;
use super::name::token;
use super::purpose::Purpose;
use crate::engine::jetstream::connect::Connection;
use crate::store::{Bookmark, CheckpointStore, Damage, Position, StoreError};

/// Keeps checkpoints in a key-value bucket: the reader's name is the key; the value is its position in decimal digits,
/// and behind a space the CID of the event there, where the reader named it.
///
/// A clone is another handle to the same bucket.
#[derive(Clone, Debug)]
pub struct JetStreamCheckpointStore {
    bucket: Bucket,
    /// Where this handle last saw each reader's checkpoint in the bucket.
    seen: Arc<Mutex<HashMap<String, u64>>>,
}

impl JetStreamCheckpointStore {
    /// Opens a bucket, and creates it with a number of replicas when it is missing. A position means something in one
    /// stream alone, so that each stream has a bucket of its own: [`EventStoreConfig::checkpoint_bucket`].
    ///
    /// [`EventStoreConfig::checkpoint_bucket`]: crate::jetstream::EventStoreConfig::checkpoint_bucket
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when it is missing and this user may not create it, and the engine's failures.
    pub async fn open(
        connection: impl Into<Connection>,
        bucket: &str,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        Self::open_or_make(connection.into(), bucket, Making::with_replicas(replicas)).await
    }

    /// The same, made as it is said when it is missing.
    pub(crate) async fn open_or_make(
        connection: Connection,
        bucket: &str,
        making: Making,
    ) -> Result<Self, StoreError> {
        let bucket = Bucket::open(connection, bucket, Purpose::Checkpoints, making).await?;
        Ok(Self {
            bucket,
            seen: Arc::default(),
        })
    }

    fn seen(&self, reader: &str) -> Option<u64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(reader).copied()
    }

    fn remember(&self, reader: &str, sequence: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(reader.to_owned(), sequence);
    }

    fn subject(&self, reader: &str) -> String {
        format!("$KV.{}.{}", self.bucket.name(), token(reader))
    }
}

#[async_trait]
impl CheckpointStore for JetStreamCheckpointStore {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        let subject = self.subject(reader);
        let value = Bytes::from(match &at.cid {
            Some(cid) => format!("{} {cid}", at.position),
            None => at.position.to_string(),
        });
        let mut guard = match self.seen(reader) {
            Some(sequence) => sequence,
            None => self
                .bucket
                .peek(&subject)
                .await?
                .map_or(0, |it| it.sequence),
        };
        // Guarded, so that a write that was sent again after a lost answer is not stored a second time behind a later one.
        let sequence = loop {
            if let Write::Stored(sequence) =
                self.bucket.write(&subject, value.clone(), guard).await?
            {
                break sequence;
            }
            match self.bucket.peek(&subject).await? {
                Some(message) if message.body == value => break message.sequence,
                message => guard = message.map_or(0, |it| it.sequence),
            }
        };
        self.remember(reader, sequence);
        Ok(())
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        let seen = self.seen(reader).unwrap_or(0);
        let Some(message) = self.bucket.last(&self.subject(reader), seen).await? else {
            return Ok(None);
        };
        self.remember(reader, message.sequence);
        // A tool that deletes a key leaves an empty value.
        if message.body.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&message.body).ok();
        match text.and_then(parse) {
            Some(at) => Ok(Some(at)),
            None => {
                let reason = format!(
                    "the checkpoint of `{reader}` is neither a position nor a position and a CID; delete the key to start over"
                );
                Err(Damage::new(self.bucket.location(), None, None, reason).into())
            }
        }
    }
}

fn parse(text: &str) -> Option<Bookmark> {
    let (position, cid) = match text.split_once(' ') {
        Some((position, cid)) => (position, Some(cid.parse().ok()?)),
        None => (text, None),
    };
    Some(Bookmark {
        position: Position(position.parse().ok()?),
        cid,
    })
}
