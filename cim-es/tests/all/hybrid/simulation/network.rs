//! A network that loses, doubles, delays and reorders, by the numbers of a seed; and networks with a fault.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CheckpointStore, CommitRequest, EngineSettings,
    EventStore, EventStream, ExpectedVersion, NewEvent, Position, SealedCommit, Selection,
    StoreError, Versions,
};
use futures_util::stream;

use super::world::amount_of;
use super::{Fault, Numbers};

/// The way to the stream.
#[derive(Clone)]
pub struct Network {
    pub stream: MemoryEventStore,
    fault: Fault,
    state: Arc<Mutex<State>>,
}

struct State {
    numbers: Numbers,
    /// Requests that are on their way, and arrive at any time or never.
    delayed: Vec<Vec<SealedCommit>>,
    is_calm: bool,
    /// The stream takes everything now.
    takes_all: bool,
}

/// What becomes of a request.
enum Fate {
    Done,
    Lost,
    AnswerLost,
    Doubled,
    Delayed,
}

impl Network {
    pub fn new(stream: MemoryEventStore, fault: Fault, seed: u64) -> Self {
        let state = State {
            numbers: Numbers::new(seed),
            delayed: Vec::new(),
            is_calm: false,
            takes_all: false,
        };
        Self {
            stream,
            fault,
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on everything arrives at once.
    pub fn calm_down(&self) {
        self.state().is_calm = true;
    }

    /// From now on the stream refuses nothing.
    pub fn take_all(&self) {
        self.state().takes_all = true;
    }

    /// Stores commits, unless the stream refuses one of them for good.
    async fn store(&self, commits: Vec<SealedCommit>) -> Result<Vec<AppendedCommit>, StoreError> {
        let takes_all = self.state().takes_all;
        let events = commits.iter().flat_map(|commit| &commit.events);
        for block in events.filter(|_| !takes_all) {
            let event = StoredEvent::verify(Position(1), block.cid, block.body.clone())?;
            if let Some(amount) = amount_of(&event).filter(|it| is_refused(*it)) {
                let reason = format!("{amount} is not permitted");
                return Err(StoreError::InvalidCommit { reason });
            }
        }
        self.stream.append_sealed(commits).await
    }

    fn fate(&self) -> Fate {
        let state = &mut *self.state();
        if state.is_calm {
            return Fate::Done;
        }
        match state.numbers.below(10) {
            0 => Fate::Lost,
            1 => Fate::AnswerLost,
            2 => Fate::Doubled,
            3 => Fate::Delayed,
            _ => Fate::Done,
        }
    }

    /// One of the requests that are on their way arrives, in any order.
    pub async fn deliver(&self) {
        let request = {
            let state = &mut *self.state();
            let count = state.delayed.len() as u64;
            match count {
                0 => return,
                count => state
                    .delayed
                    .swap_remove(state.numbers.below(count) as usize),
            }
        };
        // It may not fit any more, and nobody waits for the answer.
        drop(self.store(request).await);
    }

    pub fn is_empty(&self) -> bool {
        self.state().delayed.is_empty()
    }

    /// The answer to what was never stored.
    fn pretended(commits: Vec<SealedCommit>) -> Result<Vec<AppendedCommit>, StoreError> {
        let appended = commits.into_iter().map(|commit| {
            let events = commit
                .events
                .into_iter()
                .map(|block| StoredEvent::verify(Position(u64::MAX / 2), block.cid, block.body));
            Ok(AppendedCommit {
                events: events.collect::<Result<_, _>>()?,
                was_there: false,
            })
        });
        appended.collect()
    }

    /// The same events once more, as others.
    async fn store_anew(&self, commits: &[SealedCommit]) {
        for commit in commits {
            let identity = MessageIdentity::new_from_user("again");
            let mut request = CommitRequest::new(identity, Timestamp::from_micros(1));
            for block in &commit.events {
                let at = Position(1);
                let Ok(event) = StoredEvent::verify(at, block.cid, block.body.clone()) else {
                    return;
                };
                let envelope = &event.envelope;
                let Ok(id) = IdText::new(&envelope.aggregate_id) else {
                    return;
                };
                let key = AggregateKey::new(envelope.aggregate.clone(), id);
                let payload = event.payload().to_vec();
                let new = NewEvent::from_payload(&envelope.event_type, envelope.schema, payload);
                request = request.event(key, ExpectedVersion::Any, new);
            }
            drop(self.stream.append(request).await);
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.fate() {
            Fate::Lost | Fate::Delayed => Err(lost()),
            _ => Ok(()),
        }
    }
}

fn lost() -> StoreError {
    StoreError::OutcomeUnknown {
        reason: "no answer came".to_owned(),
    }
}

/// Whether the stream refuses an amount for good.
pub fn is_refused(amount: u64) -> bool {
    (amount / 8) % 8 == 3
}

#[async_trait]
impl EventStore for Network {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.stream.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        match self.fate() {
            Fate::Done => self.store(commits).await,
            Fate::Lost if self.fault == Fault::ALostAnswerIsAnAcknowledgement => {
                Self::pretended(commits)
            }
            Fate::Lost => Err(lost()),
            Fate::AnswerLost => {
                let stored = self.store(commits.clone()).await;
                if stored.is_ok() && self.fault == Fault::ARequestIsSentAgainUnderNewIds {
                    self.store_anew(&commits).await;
                }
                stored.and_then(|_| Err(lost()))
            }
            Fate::Doubled => {
                self.store(commits.clone()).await?;
                self.store(commits).await
            }
            Fate::Delayed => {
                self.state().delayed.push(commits);
                Err(lost())
            }
        }
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        match self.check() {
            Ok(()) => self.stream.history(aggregate, versions),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.check()?;
        self.stream.last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.stream.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.check()?;
        self.stream.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.check()?;
        self.stream.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        match self.check() {
            Ok(()) => self.stream.read(selection, after),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.stream.follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
    }
}

#[async_trait]
impl CheckpointStore for Network {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.check()?;
        self.stream.save_checkpoint(reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        self.check()?;
        self.stream.get_checkpoint(reader).await
    }
}
