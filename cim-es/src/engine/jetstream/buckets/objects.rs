//! Blocks by CID in an object bucket.

use std::collections::HashMap;

use async_nats::jetstream::object_store::{ObjectInfo, ObjectOptions};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::{Bytes, BytesMut};
use cid::Cid;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bucket::{Bucket, Write};
use super::create::{Layout, Making};
use crate::block::{HashCode, verify_cid};
use crate::engine::jetstream::api::Raw;
use crate::engine::jetstream::connect::Connection;
use crate::engine::jetstream::retry;
use crate::store::{Damage, ObjectStore, StoreError};

/// How many bytes of an object a message holds: what the tools of NATS use.
const CHUNK: usize = 128 * 1024;

/// Keeps blocks in an object bucket under their CID, each once, never overwritten, at any size.
///
/// A block is cut into chunks, which other tools for NATS object stores can put together too. Its hash is checked
/// whenever it is read. [`link_objects`](Self::link_objects) keeps links between blocks.
///
/// A clone is another handle to the same bucket.
///
/// ```no_run
/// use cim_es::jetstream::{JetStreamObjectStore, NatsConfig};
/// use cim_es::store::ObjectStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = NatsConfig::default();
/// let connection = config.connect().await?;
/// let objects = JetStreamObjectStore::open(connection, &config.object_store_bucket, 1).await?;
/// let parent = objects.put_object("parent".into()).await?;
/// let child = objects.put_object("child".into()).await?;
/// objects.link_objects(&parent, &child, "contains").await?;
/// assert_eq!(objects.traverse(&parent, Some("contains")).await?[0].child, child);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamObjectStore {
    pub(super) objects: Bucket,
    pub(super) links: Bucket,
    hash: HashCode,
}

impl JetStreamObjectStore {
    /// Opens a bucket and the one for its links, `<bucket>-links`, and creates with a number of replicas what is missing.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when one is missing and this user may not create it, and the engine's failures.
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
        let links = format!("{bucket}-links");
        let objects = Bucket::open(connection.clone(), bucket, Layout::Objects, making).await?;
        let links = Bucket::open(connection, &links, Layout::KeyValue, making).await?;
        Ok(Self {
            objects,
            links,
            hash: HashCode::default(),
        })
    }

    /// Makes CIDs with another hash; blocks of both are read.
    pub fn hash(mut self, hash: HashCode) -> Self {
        self.hash = hash;
        self
    }
}

#[async_trait]
impl ObjectStore for JetStreamObjectStore {
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError> {
        let cid = self.hash.cid(&bytes);
        put(&self.objects, &cid, bytes).await?;
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        get(&self.objects, cid).await
    }
}

/// Keeps bytes under their CID.
///
/// The chunks go first, on a subject that no other writer has; the entry that names them goes last and only if there is
/// none yet. So a reader finds all of a block or nothing, and of two writers of one block the first one's stays.
pub(super) async fn put(bucket: &Bucket, cid: &Cid, bytes: Bytes) -> Result<(), StoreError> {
    let entry = entry_subject(bucket, cid);
    if find(bucket, cid).await?.is_some() {
        return Ok(());
    }
    let unique = Uuid::now_v7().simple().to_string();
    let chunks = format!("$O.{}.C.{unique}", bucket.name());
    let count = bytes.len().div_ceil(CHUNK);
    let mut sequence = 0;
    for at in 0..count {
        let chunk = bytes.slice(at * CHUNK..bytes.len().min((at + 1) * CHUNK));
        // A chunk that is sent again after a lost answer would stand there twice, so it is guarded by the one before.
        sequence = write_chunk(bucket, &chunks, chunk, sequence).await?;
    }
    let info = ObjectInfo {
        name: cid.to_string(),
        description: None,
        metadata: HashMap::new(),
        headers: None,
        options: Some(ObjectOptions {
            link: None,
            max_chunk_size: Some(CHUNK),
        }),
        bucket: bucket.name().to_owned(),
        nuid: unique,
        size: bytes.len(),
        chunks: count,
        modified: None,
        digest: Some(format!(
            "SHA-256={}",
            URL_SAFE.encode(Sha256::digest(&bytes))
        )),
        deleted: false,
    };
    let body = serde_json::to_vec(&info).map_err(|error| damaged(bucket, cid, error))?;
    let body = Bytes::from(body);
    let mut retry = retry::GUARDED.without_end();
    loop {
        if let Write::Stored(_) = bucket.write(&entry, body.clone(), 0).await? {
            return Ok(());
        }
        // Refused because of another writer, or because of itself after a lost answer.
        if let Some(present) = find(bucket, cid).await? {
            if present.nuid != info.nuid && count > 0 {
                bucket.discard(&chunks).await;
            }
            return Ok(());
        }
        if !retry.pause().await {
            let reason = "its entry was deleted by hand; restore it or use another bucket";
            return Err(damaged(bucket, cid, reason));
        }
    }
}

/// Writes a chunk behind the one at a sequence of the stream, 0 for the first; gives its own sequence.
async fn write_chunk(
    bucket: &Bucket,
    subject: &str,
    chunk: Bytes,
    guard: u64,
) -> Result<u64, StoreError> {
    let mut retry = retry::GUARDED.without_end();
    loop {
        if let Write::Stored(sequence) = bucket.write(subject, chunk.clone(), guard).await? {
            return Ok(sequence);
        }
        // Nobody else writes here: it was refused because of itself, or by a leader that is not up to date yet.
        match bucket.peek(subject).await? {
            Some(message) if message.sequence > guard && message.body == chunk => {
                return Ok(message.sequence);
            }
            Some(message) if message.sequence > guard => {}
            _ if retry.pause().await => continue,
            _ => {}
        }
        return Err(StoreError::Busy {
            place: bucket.place(),
            reason: "another program writes to the chunks of this object".to_owned(),
        });
    }
}

/// The bytes under a CID, their hash checked.
pub(super) async fn get(bucket: &Bucket, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
    let entry = bucket.last(&entry_subject(bucket, cid), 0).await?;
    let Some(info) = parse(bucket, cid, entry)? else {
        return Ok(None);
    };
    let chunks = format!("$O.{}.C.{}", bucket.name(), info.nuid);
    // The size stands in the entry, which is not trusted before the hash is checked.
    let mut bytes = BytesMut::with_capacity(
        info.size
            .min(info.chunks.saturating_mul(CHUNK))
            .min(1 << 26),
    );
    let mut sequence = 1;
    for at in 0..info.chunks {
        let Some(chunk) = bucket.next(&chunks, sequence).await? else {
            let reason = format!("chunk {} of {} is missing", at + 1, info.chunks);
            return Err(damaged(bucket, cid, reason));
        };
        sequence = chunk.sequence + 1;
        bytes.extend_from_slice(&chunk.body);
    }
    if !verify_cid(cid, &bytes) {
        return Err(damaged(bucket, cid, "the bytes do not hash to the CID"));
    }
    Ok(Some(bytes.freeze()))
}

/// Removes an object, as far as this user may.
pub(super) async fn discard(bucket: &Bucket, cid: &Cid) -> Result<(), StoreError> {
    if let Some(info) = find(bucket, cid).await? {
        bucket.discard(&entry_subject(bucket, cid)).await;
        bucket
            .discard(&format!("$O.{}.C.{}", bucket.name(), info.nuid))
            .await;
    }
    Ok(())
}

async fn find(bucket: &Bucket, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
    let message = bucket.peek(&entry_subject(bucket, cid)).await?;
    parse(bucket, cid, message)
}

fn parse(
    bucket: &Bucket,
    cid: &Cid,
    message: Option<Raw>,
) -> Result<Option<ObjectInfo>, StoreError> {
    let Some(message) = message else {
        return Ok(None);
    };
    let info: ObjectInfo =
        serde_json::from_slice(&message.body).map_err(|error| damaged(bucket, cid, error))?;
    Ok(Some(info).filter(|info| !info.deleted))
}

fn entry_subject(bucket: &Bucket, cid: &Cid) -> String {
    format!(
        "$O.{}.M.{}",
        bucket.name(),
        URL_SAFE.encode(cid.to_string())
    )
}

fn damaged(bucket: &Bucket, cid: &Cid, reason: impl ToString) -> StoreError {
    StoreError::Damaged(Damage {
        place: bucket.place(),
        position: None,
        cid: Some(*cid),
        reason: reason.to_string(),
    })
}
