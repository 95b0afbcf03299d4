//! The engine in memory: for tests, and for what need not outlive the process.

mod log;

use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures_util::stream;
use tokio::sync::watch;

use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, CheckpointStore, CommitRequest, EventStore, EventStream, ObjectStore, Position,
    SealOptions, Snapshot, SnapshotStore, StoreError, seal,
};
use log::Log;

/// How many events a stream takes from the log at a time.
const PAGE: usize = 256;

/// Keeps events, snapshots, objects and checkpoints in memory.
///
/// A clone is another handle to the same store.
///
/// ```
/// use cim_es::MemoryEventStore;
///
/// let store = MemoryEventStore::new();
/// ```
#[derive(Clone)]
pub struct MemoryEventStore {
    inner: Arc<Inner>,
}

struct Inner {
    options: SealOptions,
    kept: RwLock<Kept>,
    last: watch::Sender<Position>,
}

#[derive(Default)]
struct Kept {
    log: Log,
    snapshots: HashMap<(AggregateKey, u64), Snapshot>,
    objects: HashMap<Cid, Bytes>,
    checkpoints: HashMap<String, Position>,
}

impl MemoryEventStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_options(SealOptions::default())
    }

    /// An empty store with a hash and a limit of one's own.
    pub fn with_options(options: SealOptions) -> Self {
        let (last, _) = watch::channel(Position::START);
        Self {
            inner: Arc::new(Inner {
                options,
                kept: RwLock::default(),
                last,
            }),
        }
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Kept>, StoreError> {
        self.inner.kept.read().map_err(|_| poisoned())
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Kept>, StoreError> {
        self.inner.kept.write().map_err(|_| poisoned())
    }

    fn page(&self, after: Position, until: Position) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.read()?.log.page(after, until, PAGE))
    }
}

impl Default for MemoryEventStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryEventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryEventStore")
            .field("last", &*self.inner.last.borrow())
            .finish()
    }
}

fn poisoned() -> StoreError {
    StoreError::Closed {
        reason: "a thread panicked while it wrote to the store".to_owned(),
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        let mut kept = self.write()?;
        let heads: Vec<_> = commit
            .aggregates
            .iter()
            .map(|part| kept.log.head(&part.aggregate))
            .collect();
        for (part, head) in commit.aggregates.iter().zip(&heads) {
            part.check(head.as_ref())?;
        }
        let sealed = seal(commit, &heads, &self.inner.options)?;
        let stored = kept.log.append(sealed);
        // Under the lock: whoever has seen an event also finds it in a stream that is made then.
        if let Some(last) = stored.last() {
            self.inner.last.send_replace(last.position);
        }
        Ok(stored)
    }

    async fn get_events(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.read()?.log.of_aggregate(aggregate, from_version))
    }

    async fn get_events_by_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.read()?.log.of_type(event_type, after, limit))
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.read()?.log.last(aggregate).cloned())
    }

    async fn get_by_cid(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.read()?.log.by_cid(cid).cloned())
    }

    fn read_all(&self, after: Position) -> EventStream {
        let store = self.clone();
        let until = *self.inner.last.borrow();
        let start = (store, after, Vec::new().into_iter());
        Box::pin(stream::unfold(
            start,
            move |(store, mut after, mut page)| async move {
                if page.as_slice().is_empty() {
                    page = match store.page(after, until) {
                        Ok(events) => events.into_iter(),
                        Err(error) => return Some((Err(error), (store, until, page))),
                    };
                }
                let event: StoredEvent = page.next()?;
                after = event.position;
                Some((Ok(event), (store, after, page)))
            },
        ))
    }

    fn subscribe(&self, after: Position) -> EventStream {
        let store = self.clone();
        let last = self.inner.last.subscribe();
        let start = (store, last, after, Vec::new().into_iter());
        Box::pin(stream::unfold(
            start,
            |(store, mut last, mut after, mut page)| async move {
                while page.as_slice().is_empty() {
                    let until = *last.borrow_and_update();
                    if until > after {
                        page = match store.page(after, until) {
                            Ok(events) => events.into_iter(),
                            Err(error) => return Some((Err(error), (store, last, after, page))),
                        };
                    } else {
                        last.changed().await.ok()?;
                    }
                }
                let event: StoredEvent = page.next()?;
                after = event.position;
                Some((Ok(event), (store, last, after, page)))
            },
        ))
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl SnapshotStore for MemoryEventStore {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let mut kept = self.write()?;
        let key = (aggregate.clone(), snapshot.tag);
        if kept
            .snapshots
            .get(&key)
            .is_none_or(|present| present.version <= snapshot.version)
        {
            kept.snapshots.insert(key, snapshot);
        }
        Ok(())
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        Ok(self
            .read()?
            .snapshots
            .get(&(aggregate.clone(), tag))
            .cloned())
    }
}

#[async_trait]
impl ObjectStore for MemoryEventStore {
    async fn put_object(&self, bytes: Bytes) -> Result<Cid, StoreError> {
        let cid = self.inner.options.hash.cid(&bytes);
        self.write()?.objects.entry(cid).or_insert(bytes);
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.read()?.objects.get(cid).cloned())
    }
}

#[async_trait]
impl CheckpointStore for MemoryEventStore {
    async fn save_checkpoint(&self, reader: &str, position: Position) -> Result<(), StoreError> {
        self.write()?
            .checkpoints
            .insert(reader.to_owned(), position);
        Ok(())
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Position>, StoreError> {
        Ok(self.read()?.checkpoints.get(reader).copied())
    }
}
