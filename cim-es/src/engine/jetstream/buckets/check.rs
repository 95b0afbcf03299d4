//! Going through what the buckets beside a stream have, for who checks all of it and goes on behind what is damaged.

use super::bucket::Bucket;
use super::{JetStreamObjectStore, JetStreamSnapshotStore, objects};
use crate::engine::jetstream::api::Raw;
use crate::engine::jetstream::buckets::purpose::Purpose;
use crate::engine::jetstream::connect::Connection;
use crate::store::raw::PartPage;
use crate::store::{Damage, StoreError};

/// How many messages a page has at most.
const PAGE: usize = 64;
/// The bytes past which a page has no further object.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// The buckets beside a stream, as far as they are there.
#[derive(Clone, Default)]
pub(in crate::engine::jetstream) struct Beside {
    pub(in crate::engine::jetstream) objects: Option<JetStreamObjectStore>,
    pub(in crate::engine::jetstream) snapshots: Option<JetStreamSnapshotStore>,
}

impl Beside {
    /// Those of some names that exist.
    pub(in crate::engine::jetstream) async fn find(
        connection: &Connection,
        objects: &str,
        snapshots: &str,
    ) -> Result<Self, StoreError> {
        let links = format!("{objects}-links");
        let find = |name: String, purpose| async move {
            Bucket::find(connection.clone(), &name, purpose).await
        };
        let kept = find(objects.to_owned(), Purpose::Objects).await?;
        let links = find(links, Purpose::Links).await?;
        let values = find(snapshots.to_owned(), Purpose::Snapshots).await?;
        let large = find(snapshots.to_owned(), Purpose::LargeSnapshots).await?;
        Ok(Self {
            objects: kept
                .zip(links)
                .map(|(objects, links)| JetStreamObjectStore::of(objects, links)),
            snapshots: values
                .zip(large)
                .map(|(values, large)| JetStreamSnapshotStore::of(values, large)),
        })
    }

    /// Checks the objects whose entries stand behind a sequence of their bucket.
    pub(in crate::engine::jetstream) async fn check_objects(
        &self,
        from: u64,
    ) -> Result<PartPage, StoreError> {
        let Some(store) = &self.objects else {
            return Ok(PartPage::default());
        };
        let entries = objects::entries(&store.objects);
        Kept::Objects(store).page(&entries, from).await
    }

    /// Checks the snapshots whose values stand behind a sequence of their bucket.
    pub(in crate::engine::jetstream) async fn check_snapshots(
        &self,
        from: u64,
    ) -> Result<PartPage, StoreError> {
        let Some(store) = &self.snapshots else {
            return Ok(PartPage::default());
        };
        let keys = format!("$KV.{}.>", store.values().name());
        Kept::Snapshots(store).page(&keys, from).await
    }
}

/// What is checked.
enum Kept<'a> {
    Objects(&'a JetStreamObjectStore),
    Snapshots(&'a JetStreamSnapshotStore),
}

impl Kept<'_> {
    /// Goes through the messages under a filter behind a sequence.
    async fn page(&self, filter: &str, from: u64) -> Result<PartPage, StoreError> {
        let mut page = PartPage::default();
        let (mut after, mut bytes) = (from, 0);
        for _ in 0..PAGE {
            let next = self.bucket().next(filter, after.saturating_add(1)).await?;
            let Some(message) = next else {
                return Ok(page);
            };
            after = message.sequence;
            match self.check(message).await {
                Ok(None) => {}
                Ok(Some(length)) => {
                    page.checked += 1;
                    bytes += length;
                }
                Err(StoreError::Damaged(damage)) => {
                    page.checked += 1;
                    page.damages.push(*damage);
                }
                Err(error) => return Err(error),
            }
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        page.next = Some(after);
        Ok(page)
    }

    fn bucket(&self) -> &Bucket {
        match self {
            Self::Objects(store) => &store.objects,
            Self::Snapshots(store) => store.values(),
        }
    }

    /// The bytes that were looked at; none for a message that only says that something was deleted.
    async fn check(&self, message: Raw) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Objects(store) => objects::check(&store.objects, message).await,
            Self::Snapshots(store) => store.check(message).await,
        }
    }
}

/// Something in a bucket that is not what was written there.
pub(super) fn damaged(bucket: &Bucket, sequence: u64, reason: impl ToString) -> StoreError {
    let reason = format!("message {sequence}: {}", reason.to_string());
    Damage::new(bucket.location(), None, None, reason).into()
}
