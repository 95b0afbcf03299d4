//! Blocks by CID in an object bucket.

use std::time::Duration;

use async_nats::jetstream::object_store::{ObjectInfo as Entry, ObjectOptions};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::{Bytes, BytesMut};
use cid::Cid;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bucket::{Bucket, Write};
use super::create::Making;
use super::purpose::Purpose;
use super::{abandoned, details};
use crate::block::{HashCode, parse_cid_text, verify_cid};
use crate::engine::jetstream::api::Raw;
use crate::engine::jetstream::connect::Connection;
use crate::engine::jetstream::retry;
use crate::store::{ContentType, Damage, ObjectEntry, ObjectInfo, ObjectStore, StoreError};

/// How many bytes of an object a message holds at most: what the tools of NATS use.
const CHUNK: usize = 128 * 1024;
/// What a chunk has beside its bytes in a message.
const CHUNK_HEAD: usize = 1_024;

/// Keeps blocks in an object bucket under their CID, each once, never overwritten, at any size.
///
/// A block is cut into chunks, which other tools for NATS object stores can put together too. Its
/// hash is checked whenever it is read. [`link_objects`](Self::link_objects) keeps links between
/// blocks.
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
    /// Opens a bucket and the one for its links, `<bucket>-links`, and creates with a number of
    /// replicas what is missing.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when one is missing and this user may not create it, and the
    /// engine's failures.
    pub async fn open(
        connection: impl Into<Connection>,
        bucket: &str,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        Self::open_or_make(connection.into(), bucket, Making::with_replicas(replicas)).await
    }

    /// Opens a bucket and the one for its links as they are, and creates neither.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] when one is missing, and the engine's failures.
    pub async fn open_existing(
        connection: impl Into<Connection>,
        bucket: &str,
    ) -> Result<Self, StoreError> {
        let making = Making {
            replicas: 1,
            creates: false,
        };
        Self::open_or_make(connection.into(), bucket, making).await
    }

    /// The same, made as it is said when it is missing.
    pub(crate) async fn open_or_make(
        connection: Connection,
        bucket: &str,
        making: Making,
    ) -> Result<Self, StoreError> {
        let links = format!("{bucket}-links");
        let objects = Bucket::open(connection.clone(), bucket, Purpose::Objects, making).await?;
        let links = Bucket::open(connection, &links, Purpose::Links, making).await?;
        Ok(Self::of(objects, links))
    }

    /// Of buckets that are open.
    pub(super) fn of(objects: Bucket, links: Bucket) -> Self {
        Self {
            objects,
            links,
            hash: HashCode::default(),
        }
    }

    /// Removes what programs that crashed have left of objects that they were putting: chunks that
    /// no entry names, and to which nothing was added for so long. Gives how many objects they
    /// would have been. A program that is putting an object meanwhile, however slowly, puts it
    /// whole, at worst once more from its beginning.
    ///
    /// Chunks that are older than two minutes are removed as well before the same object is put
    /// again. Either needs the right to purge the bucket.
    ///
    /// # Errors
    /// The engine's failures.
    pub async fn collect_abandoned_chunks(&self, older_than: Duration) -> Result<u64, StoreError> {
        abandoned::collect(&self.objects, "*.*", older_than).await
    }

    /// The objects of the bucket, in the order in which they were kept: those behind a place of the list, 0 for its beginning,
    /// and at most so many. Their bytes are not looked at.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for an entry that is not one, and the engine's failures.
    pub async fn objects(&self, after: u64, limit: usize) -> Result<Vec<ObjectEntry>, StoreError> {
        let entries = entries(&self.objects);
        let (mut found, mut after) = (Vec::new(), after);
        while found.len() < limit {
            let next = self.objects.next(&entries, after.saturating_add(1)).await?;
            let Some(entry) = next else {
                break;
            };
            after = entry.sequence;
            let not_one = |error: &dyn ToString| not_an_entry(&self.objects, after, error);
            let info: Entry =
                serde_json::from_slice(&entry.body).map_err(|error| not_one(&error))?;
            if info.deleted {
                continue;
            }
            let cid = parse_cid_text(&info.name).map_err(|error| not_one(&error))?;
            found.push(ObjectEntry {
                info: details::read(cid, &info).map_err(|error| not_one(&error))?,
                cursor: after,
            });
        }
        Ok(found)
    }

    /// Makes CIDs with another hash; blocks of both are read.
    pub fn hash(mut self, hash: HashCode) -> Self {
        self.hash = hash;
        self
    }
}

#[async_trait]
impl ObjectStore for JetStreamObjectStore {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        let cid = self.hash.cid(&bytes);
        put(&self.objects, &cid, bytes, &content_type).await?;
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        get(&self.objects, cid).await
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        let bucket = &self.objects;
        let entry = bucket.last(&entry_subject(bucket, cid), 0).await?;
        let Some(entry) = parse(bucket, cid, entry)? else {
            return Ok(None);
        };
        let info = details::read(*cid, &entry).map_err(|error| damaged(bucket, cid, error))?;
        Ok(Some(info))
    }
}

/// Keeps bytes under their CID.
///
/// The chunks go first, on a subject that no other writer has; the entry that names them goes last
/// and only if there is none yet. So a reader finds all of a block or nothing, and of two writers
/// of one block the first one's stays. What a writer that crashed has left of the same block is
/// removed.
pub(super) async fn put(
    bucket: &Bucket,
    cid: &Cid,
    bytes: Bytes,
    content_type: &ContentType,
) -> Result<(), StoreError> {
    let entry = entry_subject(bucket, cid);
    let there = bucket.peek(&entry).await?;
    // The sequence of an entry whose chunks are gone.
    let mut replaced = there.as_ref().map_or(0, |there| there.sequence);
    if let Some(present) = parse(bucket, cid, there)? {
        let chunks = format!("$O.{}.C.{}", bucket.name(), present.nuid);
        if present.chunks == 0 || bucket.peek(&chunks).await?.is_some() {
            return Ok(());
        }
    }
    abandoned::collect(bucket, &format!("{cid}.*"), abandoned::AFTER).await?;
    let mut retry = retry::GUARDED.without_end();
    loop {
        let mut putting = Putting::new(bucket, cid);
        let Some(info) = putting.chunks(cid, &bytes, content_type).await? else {
            if retry.pause().await {
                continue;
            }
            return Err(StoreError::Busy {
                location: bucket.location(),
                reason: "the chunks of this object were taken for abandoned again and again"
                    .to_owned(),
            });
        };
        let body = serde_json::to_vec(&info).map_err(|error| damaged(bucket, cid, error))?;
        let (sequence, present) = write_entry(bucket, cid, &entry, body.into(), replaced).await?;
        if present.nuid != info.nuid {
            return Ok(());
        }
        putting.is_done = true;
        if putting.is_there().await? {
            return Ok(());
        }
        // They were taken for abandoned before the entry named them.
        replaced = sequence;
    }
}

/// Writes the entry of an object if the last one is at a sequence, 0 for none; gives the one that
/// is there then.
async fn write_entry(
    bucket: &Bucket,
    cid: &Cid,
    entry: &str,
    body: Bytes,
    guard: u64,
) -> Result<(u64, Entry), StoreError> {
    let mut retry = retry::GUARDED.without_end();
    loop {
        // Refused because of another writer, or because of itself after a lost answer.
        bucket.write(entry, body.clone(), guard).await?;
        let there = bucket.peek(entry).await?;
        let sequence = there.as_ref().map_or(0, |there| there.sequence);
        if let Some(present) = parse(bucket, cid, there)?
            && sequence > guard
        {
            return Ok((sequence, present));
        }
        if !retry.pause().await {
            let reason = "its entry was deleted by hand; restore it or use another bucket";
            return Err(damaged(bucket, cid, reason));
        }
    }
}

/// The chunks of an object while they are written. Without an entry that names them they are
/// removed again.
struct Putting<'a> {
    bucket: &'a Bucket,
    /// The name of the chunks, in their subject and in the entry.
    unique: String,
    /// The sequence of the last chunk; 0 where there is none yet.
    last: u64,
    is_done: bool,
}

impl<'a> Putting<'a> {
    fn new(bucket: &'a Bucket, cid: &Cid) -> Self {
        Self {
            bucket,
            unique: format!("{cid}.{}", Uuid::now_v7().simple()),
            last: 0,
            is_done: false,
        }
    }

    fn subject(&self) -> String {
        format!("$O.{}.C.{}", self.bucket.name(), self.unique)
    }

    /// Writes the chunks; gives what the entry says of them, and none when they were taken for
    /// abandoned.
    async fn chunks(
        &mut self,
        cid: &Cid,
        bytes: &Bytes,
        content_type: &ContentType,
    ) -> Result<Option<Entry>, StoreError> {
        // Servers may take less.
        let most = self.bucket.max_message().saturating_sub(CHUNK_HEAD);
        let size = CHUNK.min(most).max(1);
        let count = bytes.len().div_ceil(size);
        let subject = self.subject();
        for at in 0..count {
            let chunk = bytes.slice(at * size..bytes.len().min((at + 1) * size));
            // A chunk that is sent again after a lost answer would stand there twice, so it is
            // guarded by the one before.
            match write_chunk(self.bucket, &subject, chunk, self.last).await? {
                Some(sequence) => self.last = sequence,
                None => return Ok(None),
            }
        }
        Ok(Some(Entry {
            name: cid.to_string(),
            description: None,
            metadata: details::write(content_type),
            headers: None,
            options: Some(ObjectOptions {
                link: None,
                max_chunk_size: Some(size),
            }),
            bucket: self.bucket.name().to_owned(),
            nuid: self.unique.clone(),
            size: bytes.len(),
            chunks: count,
            modified: None,
            digest: Some(format!(
                "SHA-256={}",
                URL_SAFE.encode(Sha256::digest(bytes))
            )),
            deleted: false,
        }))
    }

    /// Whether the chunks are as they were written.
    async fn is_there(&self) -> Result<bool, StoreError> {
        if self.last == 0 {
            return Ok(true);
        }
        let last = self.bucket.peek(&self.subject()).await?;
        Ok(last.is_some_and(|last| last.sequence == self.last))
    }
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        if self.is_done || self.last == 0 {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (bucket, subject) = (self.bucket.clone(), self.subject());
            runtime.spawn(async move { bucket.discard(&subject).await });
        }
    }
}

/// Writes a chunk behind the one at a sequence of the stream, 0 for the first; gives its own
/// sequence, and none when the chunks were taken for abandoned.
async fn write_chunk(
    bucket: &Bucket,
    subject: &str,
    chunk: Bytes,
    guard: u64,
) -> Result<Option<u64>, StoreError> {
    let mut retry = retry::GUARDED.without_end();
    loop {
        if let Write::Stored(sequence) = bucket.write(subject, chunk.clone(), guard).await? {
            return Ok(Some(sequence));
        }
        // Nobody else writes here: it was refused because of itself, or by a leader that is not up
        // to date yet.
        match bucket.peek(subject).await? {
            Some(message) if message.sequence > guard && message.body == chunk => {
                return Ok(Some(message.sequence));
            }
            Some(message) if message.sequence > guard => return Ok(None),
            _ if retry.pause().await => {}
            _ => return Ok(None),
        }
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

/// What the entries of all objects stand under.
pub(super) fn entries(bucket: &Bucket) -> String {
    format!("$O.{}.M.>", bucket.name())
}

/// Checks the object of an entry: it stands under its own CID, what is beside it reads, and its bytes hash to the CID. Gives
/// how many there are, and none where the object was deleted.
pub(super) async fn check(bucket: &Bucket, message: Raw) -> Result<Option<u64>, StoreError> {
    let wrong = |error: &dyn ToString| not_an_entry(bucket, message.sequence, error);
    let entry: Entry = serde_json::from_slice(&message.body).map_err(|error| wrong(&error))?;
    if entry.deleted {
        return Ok(None);
    }
    let cid = parse_cid_text(&entry.name).map_err(|error| wrong(&error))?;
    if message.subject.as_str() != entry_subject(bucket, &cid) {
        let reason = format!("its entry stands on `{}`", message.subject);
        return Err(damaged(bucket, &cid, reason));
    }
    let info = details::read(cid, &entry).map_err(|error| damaged(bucket, &cid, error))?;
    match get(bucket, &cid).await? {
        // Removed meanwhile.
        None => Ok(None),
        Some(bytes) if bytes.len() as u64 != info.size => {
            let reason = format!(
                "it has {} bytes, and its entry says {}",
                bytes.len(),
                info.size
            );
            Err(damaged(bucket, &cid, reason))
        }
        Some(_) => Ok(Some(info.size)),
    }
}

fn not_an_entry(bucket: &Bucket, sequence: u64, error: &dyn ToString) -> StoreError {
    super::check::damaged(
        bucket,
        sequence,
        format!("it is no entry of an object: {}", error.to_string()),
    )
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

pub(super) async fn find(bucket: &Bucket, cid: &Cid) -> Result<Option<Entry>, StoreError> {
    let message = bucket.peek(&entry_subject(bucket, cid)).await?;
    parse(bucket, cid, message)
}

fn parse(bucket: &Bucket, cid: &Cid, message: Option<Raw>) -> Result<Option<Entry>, StoreError> {
    let Some(message) = message else {
        return Ok(None);
    };
    let info: Entry =
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
    Damage::new(bucket.location(), None, *cid, reason.to_string()).into()
}
