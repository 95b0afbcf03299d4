//! Snapshots in a key-value bucket, large ones as objects.

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

use super::bucket::{Bucket, Write};
use super::check;
use super::create::Making;
use super::name::token;
use super::objects;
use super::purpose::Purpose;
use crate::block::HashCode;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::Raw;
use crate::engine::jetstream::connect::Connection;
use crate::store::{
    AggregateKey, ContentType, Damage, Position, Snapshot, SnapshotStore, StoreError,
};

/// What a message has beside its body: headers, and room to spare.
const MESSAGE_HEAD: usize = 4_096;
/// How many snapshots are written at once, those included that nobody waits for any more.
const AT_ONCE: usize = 8;

/// Keeps snapshots in a key-value bucket. One that does not fit into a message becomes an immutable
/// object in the object bucket of the same name, and the value points at it.
///
/// A clone is another handle to the same bucket.
#[derive(Clone, Debug)]
pub struct JetStreamSnapshotStore {
    values: Bucket,
    objects: Bucket,
    turns: Arc<Semaphore>,
}

/// The value under an aggregate's key.
#[derive(Serialize, Deserialize)]
enum Value {
    /// The snapshot itself.
    #[serde(rename = "snapshot")]
    Whole(SnapshotRecord),
    /// The version of the snapshot, and the CID of its block.
    #[serde(rename = "object")]
    Elsewhere(u64, Cid),
}

/// A snapshot as it is stored. The aggregate stands in it so that no two aggregates ever share an
/// object.
#[derive(Serialize, Deserialize)]
struct SnapshotRecord {
    aggregate: String,
    id: String,
    tag: u64,
    version: u64,
    last_cid: Cid,
    position: u64,
    state: ByteBuf,
    /// Over all the others; none in one that an earlier release wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<ByteBuf>,
}

impl Value {
    fn version(&self) -> u64 {
        match self {
            Self::Whole(kept) => kept.version,
            Self::Elsewhere(version, _) => *version,
        }
    }

    /// The object that it points at.
    fn object(&self) -> Option<Cid> {
        match self {
            Self::Whole(_) => None,
            Self::Elsewhere(_, cid) => Some(*cid),
        }
    }
}

impl JetStreamSnapshotStore {
    /// Opens the bucket for values and the one for objects, and creates with a number of replicas
    /// what is missing. For the snapshots beside a stream it is
    /// [`EventStoreConfig::snapshot_bucket`].
    ///
    /// [`EventStoreConfig::snapshot_bucket`]: crate::jetstream::EventStoreConfig::snapshot_bucket
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

    /// The same, made as it is said when it is missing.
    pub(crate) async fn open_or_make(
        connection: Connection,
        bucket: &str,
        making: Making,
    ) -> Result<Self, StoreError> {
        let values = Bucket::open(connection.clone(), bucket, Purpose::Snapshots, making).await?;
        let objects = Bucket::open(connection, bucket, Purpose::LargeSnapshots, making).await?;
        Ok(Self::of(values, objects))
    }

    /// Of buckets that are open.
    pub(super) fn of(values: Bucket, objects: Bucket) -> Self {
        Self {
            values,
            objects,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The bucket of the values.
    pub(super) fn values(&self) -> &Bucket {
        &self.values
    }

    /// Checks the snapshot of a value: it stands under its own key, its object is there, and it is what was written. Gives
    /// its bytes, and none for a key that was deleted.
    pub(super) async fn check(&self, message: Raw) -> Result<Option<u64>, StoreError> {
        if message.body.is_empty() {
            return Ok(None);
        }
        let wrong = |reason: &str| {
            let reason = format!(
                "the snapshot on `{}` {reason}; it is not used",
                message.subject
            );
            check::damaged(&self.values, message.sequence, reason)
        };
        let Ok(value) = serde_ipld_dagcbor::from_slice::<Value>(&message.body) else {
            return Err(wrong("is not one"));
        };
        let version = value.version();
        let record = match self.decode(value).await {
            Ok(Some(record)) => record,
            not_there => {
                // A newer one may have taken its place while its object was read.
                let present = self.values.peek(&message.subject).await?;
                if present.is_none_or(|present| present.sequence != message.sequence) {
                    return Ok(None);
                }
                not_there?;
                return Err(wrong("points at an object that is missing"));
            }
        };
        let id = IdText::new(&record.id).map_err(|_| wrong("names an id that is none"))?;
        let aggregate = AggregateKey::new(record.aggregate.clone(), id);
        if self.subject(&aggregate, record.tag) != message.subject.as_str() {
            return Err(wrong("is that of another aggregate or tag"));
        }
        match record.opened() {
            Some(snapshot) if snapshot.version == version => Ok(Some(snapshot.state.len() as u64)),
            _ => Err(wrong("is not what was written")),
        }
    }

    fn subject(&self, aggregate: &AggregateKey, tag: u64) -> String {
        let kind: Vec<_> = aggregate.kind().split('.').map(token).collect();
        let (kind, id) = (kind.join("."), token(aggregate.id().as_str()));
        format!("$KV.{}.{kind}.{id}.{tag:016x}", self.values.name())
    }

    /// The value under a subject with its sequence, which guards the next one.
    async fn find(&self, subject: &str) -> Result<(u64, Option<Value>), StoreError> {
        let Some(message) = self.values.peek(subject).await? else {
            return Ok((0, None));
        };
        // What cannot be read is as good as absent: a snapshot of another program's version, or a
        // deleted key.
        let value = serde_ipld_dagcbor::from_slice(&message.body).ok();
        Ok((message.sequence, value))
    }

    /// The value for a snapshot, and the object that it points at, which is then there.
    async fn encode(&self, kept: SnapshotRecord) -> Result<(Bytes, Option<Cid>), StoreError> {
        let version = kept.version;
        let limit = self.values.max_message().saturating_sub(MESSAGE_HEAD);
        let is_small = kept.state.len() < limit;
        let whole = self.block(&Value::Whole(kept))?;
        if is_small && whole.len() < limit {
            return Ok((whole, None));
        }
        let cid = HashCode::default().cid(&whole);
        objects::put(&self.objects, &cid, whole, &ContentType::DAG_CBOR).await?;
        Ok((self.block(&Value::Elsewhere(version, cid))?, Some(cid)))
    }

    /// A snapshot that is what was written.
    fn intact(&self, aggregate: &AggregateKey, kept: Option<SnapshotRecord>) -> Option<Snapshot> {
        let intact = kept?.opened();
        if intact.is_none() {
            let location = self.values.location();
            tracing::warn!(%location, %aggregate, "a damaged snapshot is not used");
        }
        intact
    }

    /// Removes an object that no value points at any more, but for the one that is there now.
    async fn discard(&self, object: Option<Cid>, present: Option<Cid>) -> Result<(), StoreError> {
        match object {
            Some(cid) if present != Some(cid) => objects::discard(&self.objects, &cid).await,
            _ => Ok(()),
        }
    }

    fn block(&self, value: &Value) -> Result<Bytes, StoreError> {
        match serde_ipld_dagcbor::to_vec(value) {
            Ok(block) => Ok(block.into()),
            Err(error) => Err(StoreError::InvalidCommit {
                reason: format!("the snapshot cannot be encoded: {error}"),
            }),
        }
    }

    async fn decode(&self, value: Value) -> Result<Option<SnapshotRecord>, StoreError> {
        let cid = match value {
            Value::Whole(kept) => return Ok(Some(kept)),
            Value::Elsewhere(_, cid) => cid,
        };
        let Some(block) = objects::get(&self.objects, &cid).await? else {
            return Ok(None);
        };
        match serde_ipld_dagcbor::from_slice(&block) {
            Ok(Value::Whole(kept)) => Ok(Some(kept)),
            Ok(Value::Elsewhere(..)) | Err(_) => Err(Damage::new(
                self.objects.location(),
                None,
                cid,
                "the object is no snapshot; delete it and its key",
            )
            .into()),
        }
    }
}

impl JetStreamSnapshotStore {
    async fn save(&self, aggregate: &AggregateKey, snapshot: Snapshot) -> Result<(), StoreError> {
        let subject = self.subject(aggregate, snapshot.tag);
        let version = snapshot.version;
        let (mut guard, mut present) = self.find(&subject).await?;
        if present.as_ref().is_some_and(|it| it.version() > version) {
            return Ok(());
        }
        let (body, object) = self
            .encode(SnapshotRecord {
                aggregate: aggregate.kind().to_owned(),
                id: aggregate.id().as_str().to_owned(),
                tag: snapshot.tag,
                version,
                last_cid: snapshot.last_cid,
                position: snapshot.position.0,
                state: ByteBuf::from(snapshot.state.to_vec()),
                digest: Some(ByteBuf::from(snapshot.digest(aggregate))),
            })
            .await?;
        while self.values.write(&subject, body.clone(), guard).await? == Write::Refused {
            (guard, present) = self.find(&subject).await?;
            if let Some(present) = &present
                && present.version() >= version
            {
                // Another program was first, or this one and its answer was lost.
                return self.discard(object, present.object()).await;
            }
        }
        // A reader that has just read the former pointer finds no object, and reads the events
        // instead.
        let former = present.and_then(|present| present.object());
        self.discard(former, object).await
    }
}

#[async_trait]
impl SnapshotStore for JetStreamSnapshotStore {
    /// Who stops waiting does not stop the writing, which could leave a large snapshot half
    /// written.
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let (this, aggregate) = (self.clone(), aggregate.clone());
        let saving = tokio::spawn(async move {
            let _turn = turn;
            this.save(&aggregate, snapshot).await
        });
        saving.await.unwrap_or_else(|error| {
            Err(StoreError::Engine {
                location: self.values.location(),
                operation: "writing a snapshot",
                source: Arc::new(error),
            })
        })
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        let subject = self.subject(aggregate, tag);
        let mut read_at = None;
        loop {
            let (sequence, present) = self.find(&subject).await?;
            let Some(value) = present else {
                return Ok(None);
            };
            match self.decode(value).await {
                // A newer snapshot has taken the place of this one while its object was read.
                Ok(None) | Err(StoreError::Damaged(_)) if read_at != Some(sequence) => {
                    read_at = Some(sequence);
                }
                kept => return Ok(self.intact(aggregate, kept?)),
            }
        }
    }
}

impl SnapshotRecord {
    /// The snapshot; none where it is not what was written, as far as it says what that was.
    fn opened(self) -> Option<Snapshot> {
        let aggregate = AggregateKey::new(self.aggregate, IdText::trusted(&self.id));
        let snapshot = Snapshot {
            tag: self.tag,
            version: self.version,
            last_cid: self.last_cid,
            position: Position(self.position),
            state: self.state.into_vec().into(),
        };
        let is_intact = self
            .digest
            .is_none_or(|digest| snapshot.digest(&aggregate).as_slice() == digest.as_slice());
        is_intact.then_some(snapshot)
    }
}
