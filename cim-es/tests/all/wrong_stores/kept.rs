//! Faults of what is kept beside the events.

use async_trait::async_trait;
use bytes::Bytes;
use cim_es::aggregate::IdText;
use cim_es::block::Cid;
use cim_es::store::{
    AggregateKey, Bookmark, CheckpointStore, ContentType, EventStore, ObjectInfo, ObjectStore,
    Position, Snapshot, SnapshotStore, StoreError,
};

use super::fault::Fault;
use super::store::{WrongStore, cut, lock, start_alike};

#[async_trait]
impl SnapshotStore for WrongStore {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        mut snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let key = self.snapshot_key(aggregate);
        let tag = snapshot.tag;
        let own = &self.handle.kept.snapshots;
        match self.fault() {
            Fault::SnapshotsHavePositionsOf32Bits => snapshot.position.0 &= 0xffff_ffff,
            Fault::SnapshotsAreCut => snapshot.state.truncate(65_536),
            Fault::SnapshotsHaveNoTag => snapshot.tag = 0,
            Fault::SnapshotsPastAMegabyteAreDropped if snapshot.state.len() > 1 << 20 => {
                return Ok(());
            }
            Fault::SnapshotsLoseTheirCid => snapshot.last_cid = Cid::default(),
            Fault::SnapshotsHaveVersionsThatAreFloats => {
                snapshot.version = snapshot.version as f64 as u64;
            }
            Fault::TagsAreFloats | Fault::TagsHave32Bits => snapshot.tag = self.tag(tag),
            Fault::EmptySnapshotsAreNone if snapshot.state.is_empty() => return Ok(()),
            Fault::AnAggregateHasOneTag => {
                let mut own = lock(own);
                own.retain(|(known, _), _| *known != key);
                own.insert((key, tag), snapshot);
                return Ok(());
            }
            Fault::EachHandleHasSnapshotsOfItsOwn | Fault::AnOlderSnapshotReplacesANewer => {
                lock(own).insert((key, tag), snapshot);
                return Ok(());
            }
            Fault::TheFirstSnapshotStays => {
                lock(own).entry((key, tag)).or_insert(snapshot);
                return Ok(());
            }
            _ => {}
        }
        self.inner.save_snapshot(&key, snapshot).await
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        let key = self.snapshot_key(aggregate);
        match self.fault() {
            Fault::EachHandleHasSnapshotsOfItsOwn
            | Fault::AnOlderSnapshotReplacesANewer
            | Fault::AnAggregateHasOneTag
            | Fault::TheFirstSnapshotStays => {
                Ok(lock(&self.handle.kept.snapshots).get(&(key, tag)).cloned())
            }
            Fault::SnapshotsHaveNoTag => {
                let found = self.inner.get_latest_snapshot(&key, 0).await?;
                Ok(found.map(|snapshot| Snapshot { tag, ..snapshot }))
            }
            Fault::TagsAreFloats | Fault::TagsHave32Bits => {
                let found = self.inner.get_latest_snapshot(&key, self.tag(tag)).await?;
                Ok(found.map(|snapshot| Snapshot { tag, ..snapshot }))
            }
            Fault::SnapshotsFitWhateverIsThere => {
                let found = self.inner.get_latest_snapshot(&key, tag).await?;
                let last = self.inner.last(&key).await?;
                Ok(found.zip(last).map(|(snapshot, last)| Snapshot {
                    version: last.envelope.sequence,
                    position: last.position,
                    last_cid: last.cid,
                    ..snapshot
                }))
            }
            _ => self.inner.get_latest_snapshot(&key, tag).await,
        }
    }
}

impl WrongStore {
    fn snapshot_key(&self, key: &AggregateKey) -> AggregateKey {
        match self.fault() {
            Fault::SnapshotsHaveNoKind => {
                AggregateKey::new("any", IdText::new(key.id().as_str()).unwrap())
            }
            Fault::SnapshotsHaveNoId => {
                AggregateKey::new(key.kind().to_owned(), IdText::new("any").unwrap())
            }
            _ => self.key(key),
        }
    }

    fn tag(&self, tag: u64) -> u64 {
        match self.fault() {
            Fault::TagsAreFloats => tag as f64 as u64,
            _ => tag & 0xffff_ffff,
        }
    }

    fn reader(&self, reader: &str) -> String {
        match self.fault() {
            Fault::ReadersShareACheckpoint => "all".to_owned(),
            Fault::ReadersIgnoreTheCase => reader.to_lowercase(),
            Fault::ReadersAreTrimmed => reader.trim().to_owned(),
            Fault::ReadersAreNormalised => reader.replace("e\u{301}", "\u{e9}"),
            Fault::ReadersAreCutAt64 => cut(reader, 64).to_owned(),
            Fault::ReadersAreCutAt128 => cut(reader, 128).to_owned(),
            Fault::ReadersEndAtANul => reader.split('\0').next().unwrap_or_default().to_owned(),
            Fault::ReadersHaveUnderscores => {
                reader.replace(|sign: char| !sign.is_alphanumeric(), "_")
            }
            Fault::ReadersAreNumbers => match reader.parse::<f64>() {
                Ok(number) => number.to_string(),
                Err(_) => reader.to_owned(),
            },
            _ => reader.to_owned(),
        }
    }
}

#[async_trait]
impl ObjectStore for WrongStore {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        let cid = self
            .inner
            .put_object_as(bytes.clone(), content_type.clone())
            .await?;
        lock(&self.all().said).insert(cid, content_type);
        let key = match self.fault() {
            Fault::ObjectsOfOneLengthAreOne => bytes.len().to_be_bytes().to_vec(),
            _ => cid.to_bytes(),
        };
        let kept = match self.fault() {
            Fault::ObjectsEndWithTheirLastByteThatIsNotZero => {
                let end = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last + 1);
                bytes.slice(..end)
            }
            Fault::ObjectsOfWholePiecesLoseTheLast if bytes.len().is_multiple_of(1 << 17) => {
                bytes.slice(..bytes.len().saturating_sub(1 << 17))
            }
            Fault::ObjectsAreCutAtAMegabyte => bytes.slice(..bytes.len().min(1 << 20)),
            Fault::ObjectsAreTexts => String::from_utf8_lossy(&bytes).into_owned().into(),
            _ => bytes,
        };
        lock(&self.handle.kept.objects).insert(key, kept);
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let mut found = self.inner.get_object(cid).await?;
        if self.fault() == Fault::EventsAreObjects && found.is_none() {
            let event = self.inner.find(cid).await?;
            found = event.map(|event| event.body().clone());
        }
        let own = lock(&self.handle.kept.objects);
        Ok(match self.fault() {
            Fault::WhatIsTakenOutIsLost => found.filter(|_| !lock(&self.all().lost).contains(cid)),
            Fault::ObjectsOfOneLengthAreOne => {
                let length = found.map_or(0, |object| object.len());
                own.get(length.to_be_bytes().as_slice()).cloned()
            }
            Fault::EmptyObjectsAreNone => found.filter(|object| !object.is_empty()),
            Fault::ObjectsEndWithTheirLastByteThatIsNotZero
            | Fault::ObjectsOfWholePiecesLoseTheLast
            | Fault::ObjectsAreCutAtAMegabyte
            | Fault::ObjectsAreTexts => {
                let own = own.get(&cid.to_bytes()).cloned();
                own.or(found)
            }
            Fault::EachHandleHasObjectsOfItsOwn => own.get(&cid.to_bytes()).cloned(),
            Fault::ObjectsAreFoundByTheStartOfTheCid => {
                let is_alike = |key: &Vec<u8>| {
                    Cid::try_from(key.as_slice()).is_ok_and(|kept| start_alike(&kept, cid))
                };
                let alike = own.iter().find(|(key, _)| is_alike(key));
                found.or(alike.map(|(_, object)| object.clone()))
            }
            _ => found,
        })
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        let found = self.inner.object_info(cid).await?;
        if self.fault() == Fault::ObjectsAreWhateverIsAskedFor && found.is_none() {
            return Ok(Some(ObjectInfo::new(*cid, 0)));
        }
        Ok(found.map(|mut info| {
            match self.fault() {
                Fault::ObjectsForgetWhatTheyAre => info.content_type = Some(ContentType::BYTES),
                Fault::ObjectsAreWhatWasSaidLast => {
                    info.content_type = lock(&self.all().said).get(cid).cloned();
                }
                Fault::ObjectsHaveTheTimeAtWhichTheyAreAskedFor => {
                    info.stored_at = Some(std::time::SystemTime::now().into());
                }
                Fault::ObjectsHaveTheSizeOfTheirLastPiece => info.size %= 1 << 17,
                _ => {}
            }
            info
        }))
    }
}

#[async_trait]
impl CheckpointStore for WrongStore {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        let reader = self.reader(reader);
        let number = at.position.0;
        let position = match self.fault() {
            Fault::CheckpointsAreFloats => Position(number as f64 as u64),
            Fault::CheckpointsHave32Bits => Position(number & 0xffff_ffff),
            Fault::CheckpointsEndAtHalfTheRange => Position(number.min(i64::MAX as u64)),
            Fault::TheFirstCheckpointStays => {
                let present = self.inner.get_checkpoint(&reader).await?;
                present.map_or(at.position, |present| present.position)
            }
            Fault::CheckpointsOnlyRise => {
                let present = self.inner.get_checkpoint(&reader).await?;
                present.map_or(at.position, |present| present.position.max(at.position))
            }
            Fault::EachHandleHasCheckpointsOfItsOwn => {
                lock(&self.handle.kept.checkpoints).insert(reader, at);
                return Ok(());
            }
            _ => at.position,
        };
        let cid = match self.fault() {
            Fault::CheckpointsForgetTheEvent => None,
            Fault::CheckpointsKeepTheFirstEvent => {
                let present = self.inner.get_checkpoint(&reader).await?;
                present.and_then(|present| present.cid).or(at.cid)
            }
            _ => at.cid,
        };
        let at = Bookmark { position, cid };
        self.inner.save_checkpoint(&reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        let reader = self.reader(reader);
        match self.fault() {
            Fault::EachHandleHasCheckpointsOfItsOwn => {
                Ok(lock(&self.handle.kept.checkpoints).get(&reader).copied())
            }
            Fault::ACheckpointOfZeroIsNone => {
                let found = self.inner.get_checkpoint(&reader).await?;
                Ok(found.filter(|at| at.position.0 > 0))
            }
            _ => self.inner.get_checkpoint(&reader).await,
        }
    }
}
