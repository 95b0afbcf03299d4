//! Faults of what is kept beside the events.

use async_trait::async_trait;
use bytes::Bytes;
use cim_es::aggregate::IdText;
use cim_es::block::Cid;
use cim_es::store::{
    AggregateKey, CheckpointStore, ObjectStore, Position, Snapshot, SnapshotStore, StoreError,
};

use super::fault::Fault;
use super::store::{WrongStore, lock, start_alike};

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
            | Fault::TheFirstSnapshotStays => {
                Ok(lock(&self.handle.kept.snapshots).get(&(key, tag)).cloned())
            }
            Fault::SnapshotsHaveNoTag => {
                let found = self.inner.get_latest_snapshot(&key, 0).await?;
                Ok(found.map(|snapshot| Snapshot { tag, ..snapshot }))
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
            _ => self.key(key),
        }
    }

    fn reader(&self, reader: &str) -> String {
        match self.fault() {
            Fault::ReadersShareACheckpoint => "all".to_owned(),
            Fault::ReadersIgnoreTheCase => reader.to_lowercase(),
            Fault::ReadersAreTrimmed => reader.trim().to_owned(),
            _ => reader.to_owned(),
        }
    }
}

#[async_trait]
impl ObjectStore for WrongStore {
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError> {
        let cid = self.inner.put_object(bytes.clone()).await?;
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
            _ => bytes,
        };
        lock(&self.handle.kept.objects).insert(key, kept);
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let found = self.inner.get_object(cid).await?;
        let own = lock(&self.handle.kept.objects);
        Ok(match self.fault() {
            Fault::ObjectsOfOneLengthAreOne => {
                let length = found.map_or(0, |object| object.len());
                own.get(length.to_be_bytes().as_slice()).cloned()
            }
            Fault::ObjectsEndWithTheirLastByteThatIsNotZero
            | Fault::EachHandleHasObjectsOfItsOwn => own.get(&cid.to_bytes()).cloned(),
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
}

#[async_trait]
impl CheckpointStore for WrongStore {
    async fn save_checkpoint(&self, reader: &str, position: Position) -> Result<(), StoreError> {
        let reader = self.reader(reader);
        let number = position.0;
        let position = match self.fault() {
            Fault::CheckpointsAreFloats => Position(number as f64 as u64),
            Fault::CheckpointsHave32Bits => Position(number & 0xffff_ffff),
            Fault::CheckpointsOnlyRise => {
                let present = self.inner.get_checkpoint(&reader).await?;
                present.map_or(position, |present| present.max(position))
            }
            Fault::EachHandleHasCheckpointsOfItsOwn => {
                lock(&self.handle.kept.checkpoints).insert(reader, position);
                return Ok(());
            }
            _ => position,
        };
        self.inner.save_checkpoint(&reader, position).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Position>, StoreError> {
        let reader = self.reader(reader);
        match self.fault() {
            Fault::EachHandleHasCheckpointsOfItsOwn => {
                Ok(lock(&self.handle.kept.checkpoints).get(&reader).copied())
            }
            _ => self.inner.get_checkpoint(&reader).await,
        }
    }
}
