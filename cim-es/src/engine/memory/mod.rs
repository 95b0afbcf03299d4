//! The engine in memory: for tests, and for what need not outlive the process.

mod branches;
mod log;
mod read_models;
mod streams;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use tokio::sync::watch;

use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::domain::message::Timestamp;
use crate::store::{
    AggregateKey, AppendedCommit, Bookmark, CheckpointStore, CommitRequest, ContentType,
    EngineSettings, Epoch, EventPage, EventPages, EventStore, EventStream, Location, ObjectInfo,
    ObjectStore, Plan, Position, ProvedCommit, SealOptions, SealedCommit, Selection, Snapshot,
    SnapshotStore, StateChange, StateClaim, StoreError, SyncState, Versions, plan, repeated, seal,
};
use log::Log;

pub use read_models::MemoryReadModels;

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
    /// What is kept beside the events.
    read_models: MemoryReadModels,
    /// Whoever keeps the store level with a stream.
    claim: Mutex<Weak<()>>,
}

#[derive(Default)]
struct Kept {
    log: Log,
    snapshots: HashMap<(AggregateKey, u64), Snapshot>,
    objects: HashMap<Cid, (Bytes, ContentType, Timestamp)>,
    checkpoints: HashMap<String, Bookmark>,
    state: BTreeMap<String, Bytes>,
    epochs: Vec<Epoch>,
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
                read_models: MemoryReadModels::new(),
                claim: Mutex::default(),
            }),
        }
    }

    fn store_proved(&self, proved: Vec<ProvedCommit>) -> Result<Vec<AppendedCommit>, StoreError> {
        let mut kept = self.write()?;
        let plans = plan(&proved, &mut kept.log)?;
        let appended = store_planned(&mut kept.log, proved, plans);
        self.announce(&kept.log);
        Ok(appended)
    }

    /// Tells those who follow. Under the lock: whoever has seen an event also finds it in a stream that is made then.
    fn announce(&self, log: &Log) {
        self.inner.last.send_replace(log.end());
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Kept>, StoreError> {
        self.inner.kept.read().map_err(|_| poisoned())
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Kept>, StoreError> {
        self.inner.kept.write().map_err(|_| poisoned())
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

impl Kept {
    /// Keeps a block, unless it is there.
    fn keep_object(&mut self, cid: Cid, bytes: Bytes, content_type: ContentType) {
        let now = || (bytes, content_type, SystemTime::now().into());
        self.objects.entry(cid).or_insert_with(now);
    }

    fn change(&mut self, changes: Vec<StateChange>) {
        for change in changes {
            match change.value {
                Some(value) => self.state.insert(change.name, value),
                None => self.state.remove(&change.name),
            };
        }
    }
}

/// Does with commits what was planned.
fn store_planned(
    log: &mut Log,
    proved: Vec<ProvedCommit>,
    plans: Vec<Plan>,
) -> Vec<AppendedCommit> {
    let mut appended: Vec<AppendedCommit> = Vec::with_capacity(plans.len());
    for (commit, plan) in proved.into_iter().zip(plans) {
        let (events, was_there) = match plan {
            Plan::There(events) => (events, true),
            Plan::Repeats(earlier) => (appended[earlier].events.clone(), true),
            Plan::Store => (log.append(commit.into_events()), false),
        };
        appended.push(AppendedCommit { events, was_there });
    }
    appended
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
        let log = &mut kept.log;
        if let Some(earlier) = repeated(&commit, |key, id| Ok(log.of_message(key, id)))? {
            return Ok(earlier);
        }
        let is_noted = !commit.is_looked_up();
        let heads: Vec<_> = commit
            .aggregates
            .iter()
            .map(|part| log.head(&part.aggregate))
            .collect();
        for (part, head) in commit.aggregates.iter().zip(&heads) {
            part.check(head.as_ref())?;
            if head.is_none() {
                part.check_kinds(log.kinds(part.aggregate.id()))?;
            }
        }
        let sealed = seal(commit, &heads, &self.inner.options)?;
        let stored = log.append(sealed);
        if is_noted {
            log.note_messages(&stored);
        }
        self.announce(log);
        Ok(stored)
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let options = &self.inner.options;
        let proved = commits.into_iter().map(|commit| commit.prove(options));
        let proved = proved.collect::<Result<Vec<_>, _>>()?;
        self.store_proved(proved)
    }

    async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let options = &self.inner.options;
        commits.iter().try_for_each(|commit| commit.fits(options))?;
        self.store_proved(commits)
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        let (store, key) = (self.clone(), aggregate.clone());
        streams::history(store, key, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.read()?.log.last(aggregate).cloned())
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        Ok(self.read()?.log.kinds(id).to_vec())
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.read()?.log.by_cid(cid).cloned())
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        Ok(self.read()?.log.end())
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        streams::read(self.clone(), selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        streams::follow(self.clone(), selection, after)
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
            .shared_as(&self.inner)
            .with_snapshots(Arc::new(self.clone()))
            .with_read_models(Arc::new(self.inner.read_models.clone()))
            .with_pages(Arc::new(self.clone()))
            .with_branches(Arc::new(self.clone()))
            .with_cid_index()
    }
}

#[async_trait]
impl EventPages for MemoryEventStore {
    async fn page(
        &self,
        selection: Arc<Selection>,
        after: Position,
        until: Position,
    ) -> Result<EventPage, StoreError> {
        let (events, reached) = self.read()?.log.select(&selection, after, until);
        Ok(EventPage { events, reached })
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
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        let cid = self.inner.options.hash.cid(&bytes);
        self.write()?.keep_object(cid, bytes, content_type);
        Ok(cid)
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let kept = self.read()?;
        Ok(kept.objects.get(cid).map(|(bytes, ..)| bytes.clone()))
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        let kept = self.read()?;
        Ok(kept.objects.get(cid).map(|(bytes, content_type, at)| {
            ObjectInfo::new(*cid, bytes.len() as u64).with(content_type.clone(), *at)
        }))
    }
}

#[async_trait]
impl CheckpointStore for MemoryEventStore {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.write()?.checkpoints.insert(reader.to_owned(), at);
        Ok(())
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        Ok(self.read()?.checkpoints.get(reader).copied())
    }
}

#[async_trait]
impl SyncState for MemoryEventStore {
    async fn change_state(&self, changes: Vec<StateChange>) -> Result<(), StoreError> {
        self.write()?.change(changes);
        Ok(())
    }

    async fn get_state(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.read()?.state.get(name).cloned())
    }

    async fn list_state(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let kept = self.read()?;
        let from = kept.state.range(prefix.to_owned()..);
        let named = from.take_while(|(name, _)| name.starts_with(prefix));
        Ok(named
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect())
    }

    async fn claim_state(&self) -> Result<StateClaim, StoreError> {
        let mut claim = self.inner.claim.lock().map_err(|_| poisoned())?;
        if claim.upgrade().is_some() {
            return Err(StoreError::KeptLevel {
                location: Location::Memory,
            });
        }
        let held = Arc::new(());
        *claim = Arc::downgrade(&held);
        Ok(StateClaim::new(held))
    }
}
