//! A stream behind a network that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::hybrid::{ConnectFailure, Connector, RemoteStore};
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CheckpointStore, CommitRequest, EngineSettings,
    EventStore, EventStream, Position, SealedCommit, Selection, StoreError, StreamExt, Versions,
};
use futures_util::stream;

/// A stream behind a network. A clone is another handle to the same.
#[derive(Clone)]
pub struct Network {
    pub stream: MemoryEventStore,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_away: AtomicBool,
    loses_answers: AtomicBool,
    /// Of so many requests one fails, at no place that could be foreseen; 0 is none.
    fails_each: AtomicU64,
    requests: AtomicU64,
}

impl Network {
    pub fn to(stream: MemoryEventStore) -> Self {
        Self {
            stream,
            shared: Arc::default(),
        }
    }

    pub fn is_away(&self, is_away: bool) {
        self.shared.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Has what is sent arrive, and no answer come back.
    pub fn loses_answers(&self, loses: bool) {
        self.shared.loses_answers.store(loses, Ordering::SeqCst);
    }

    pub fn fails_each(&self, requests: u64) {
        self.shared.fails_each.store(requests, Ordering::SeqCst);
    }

    fn request(&self) -> Result<(), StoreError> {
        let number = self.shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let each = self.shared.fails_each.load(Ordering::SeqCst);
        // The same numbers in each run, and without a rhythm in which one request fails each time.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let fails = each > 0 && mixed.is_multiple_of(each);
        match fails || self.shared.is_away.load(Ordering::SeqCst) {
            true => Err(away()),
            false => Ok(()),
        }
    }

    fn answer<T>(&self, answer: T) -> Result<T, StoreError> {
        match self.shared.loses_answers.load(Ordering::SeqCst) {
            true => Err(StoreError::OutcomeUnknown {
                reason: "no answer came".to_owned(),
            }),
            false => Ok(answer),
        }
    }
}

fn away() -> StoreError {
    StoreError::Engine {
        location: "the network".into(),
        operation: "asking",
        source: Arc::new(std::io::Error::other("nobody answers")),
    }
}

#[async_trait]
impl Connector for Network {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        match self.request() {
            Ok(()) => Ok(Arc::new(self.clone())),
            Err(error) => Err(Arc::new(error)),
        }
    }
}

#[async_trait]
impl EventStore for Network {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.request()?;
        let answer = self.stream.append(commit).await?;
        self.answer(answer)
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.request()?;
        let answer = self.stream.append_sealed(commits).await?;
        self.answer(answer)
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        match self.request() {
            Ok(()) => self.stream.history(aggregate, versions),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.request()?;
        self.stream.last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.request()?;
        self.stream.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.request()?;
        self.stream.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.request()?;
        self.stream.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        match self.request() {
            Ok(()) => self.stream.read(selection, after),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        let network = self.clone();
        let events = self.stream.follow(selection, after);
        Box::pin(events.map(move |event| {
            network.request()?;
            event
        }))
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
    }
}

#[async_trait]
impl CheckpointStore for Network {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.request()?;
        self.stream.save_checkpoint(reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        self.request()?;
        self.stream.get_checkpoint(reader).await
    }
}
