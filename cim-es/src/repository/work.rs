//! One aggregate while commands work on it: load, decide, store, fold.

use std::collections::{BTreeSet, HashSet};

use uuid::Uuid;

use super::load::after_head;
use super::loaded::{Known, Loaded, not_folded};
use super::pending::PendingCommit;
use super::unique::NameChanges;
use super::warm::Turn;
use super::{Commit, ExecuteError, LoadError, Repository};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, AggregateId, Decide, UniqueName};
use crate::domain::message::{Context, MessageIdentity, Timestamp};
use crate::store::{
    AggregateKey, CommitRequest, CommitVersions, EventStore, EventStoreExt, Seen, StoreError,
    TryStreamExt, Versions, event_time,
};

/// How many events are looked through first when a message is looked for in a history.
const FIRST_SLICE: u64 = 256;

/// An aggregate whose turn has come: nobody else in this repository works on it, and it is loaded.
pub(super) struct Work<A: Aggregate> {
    repository: Repository<A>,
    key: AggregateKey,
    turn: Turn<A>,
    /// Whether it was compared with the store since the command came.
    is_confirmed: bool,
}

impl<A: Aggregate> Work<A> {
    /// Waits for the turn, and reads the aggregate unless it is warm.
    pub(super) async fn begin(repository: &Repository<A>, id: &A::Id) -> Result<Self, LoadError> {
        let turn = repository.inner.warm.turn(id).await;
        let key = repository.key(id).await?;
        let mut work = Self {
            repository: repository.clone(),
            key,
            turn,
            is_confirmed: false,
        };
        if !work.turn.is_whole {
            work.read().await?;
        }
        Ok(work)
    }

    pub(super) fn key(&self) -> &AggregateKey {
        &self.key
    }

    pub(super) fn loaded(&self) -> &Loaded<A> {
        &self.turn.known.loaded
    }

    pub(super) fn version(&self) -> u64 {
        self.loaded().version()
    }

    async fn read(&mut self) -> Result<(), LoadError> {
        self.turn.is_whole = false;
        self.turn.known = self.repository.read(&self.key).await?;
        self.turn.is_whole = true;
        self.is_confirmed = true;
        Ok(())
    }

    /// Catches up with the store; tells whether there was anything new.
    pub(super) async fn catch_up(&mut self) -> Result<bool, LoadError> {
        let before = self.loaded().head();
        let events = self.repository.since(&self.key, before.as_ref()).await?;
        match after_head(before, &events) {
            Some(news) => {
                self.turn.is_whole = false;
                self.turn.known.fold_all(news)?;
                self.turn.is_whole = true;
                self.is_confirmed = true;
            }
            None => self.read().await?,
        }
        Ok(self.loaded().head() != before)
    }

    /// Catches up after another writer was first. Where the aggregate still has no event, that one began a history under
    /// another kind: a release that knows it by a former name, or one that this program does not know.
    pub(super) async fn catch_up_with_others(&mut self) -> Result<(), LoadError> {
        self.catch_up().await?;
        if self.version() == 0 {
            let id = A::Id::from_text(self.key.id())?;
            self.key = self.repository.key(&id).await?;
            self.read().await?;
        }
        Ok(())
    }

    /// Whether an answer that stores nothing may be given: what does not publish is not guarded, so one from memory
    /// counts once the store agrees.
    pub(super) async fn confirm(&mut self) -> Result<bool, LoadError> {
        Ok(self.is_confirmed || !self.catch_up().await?)
    }

    /// What the message led to, if it took effect before.
    pub(super) async fn earlier<E: std::error::Error + 'static>(
        &mut self,
        identity: &MessageIdentity,
    ) -> Result<Option<Commit>, ExecuteError<E>> {
        let message_id = identity.message_id();
        match self.turn.known.recent.find(message_id) {
            Seen::Never => Ok(None),
            Seen::At(versions) => Ok(Some(self.commit_at(versions).await?)),
            Seen::Unknown => {
                let found = self.look_back(message_id).await;
                let found = found.map_err(|source| ExecuteError::MayHaveTakenEffect {
                    message_id,
                    aggregate: Box::new(self.key.clone()),
                    source,
                })?;
                match found {
                    Some(versions) => Ok(Some(self.commit_at(versions).await?)),
                    None => Ok(None),
                }
            }
        }
    }

    async fn commit_at(&self, versions: CommitVersions) -> Result<Commit, LoadError> {
        let port = self.repository.store();
        let last = versions.first + versions.count - 1;
        let versions = Versions::from(versions.first..=last);
        let events = port.get_versions(&self.key, versions).await?;
        Ok(Commit::earlier(events))
    }

    /// Looks for a message in the history, from its end back: what comes again mostly came lately. Where all of it was
    /// looked through, keeps which messages are in it.
    ///
    /// It goes on to the first event whatever times the events have: a clock that was wrong would hide what is before.
    /// Each slice is larger than the one before, for a store that reads from the start each time; its events are dropped
    /// as they are read.
    async fn look_back(&mut self, message_id: Uuid) -> Result<Option<CommitVersions>, StoreError> {
        let store = self.repository.store().clone();
        let mut ids = HashSet::new();
        let (mut last, mut slice) = (self.version(), FIRST_SLICE);
        while last > 0 {
            let first = last.saturating_sub(slice) + 1;
            let versions = Versions::from(first..=last);
            let mut events = store.history(&self.key, versions);
            let mut found = None;
            while let Some(event) = events.try_next().await? {
                let envelope = &event.envelope;
                ids.insert(envelope.causation_id);
                if envelope.causation_id == message_id {
                    let before = u64::from(envelope.commit.index.saturating_sub(1));
                    found = found.or(Some(CommitVersions {
                        first: envelope.sequence.saturating_sub(before),
                        count: u64::from(envelope.commit.of),
                    }));
                }
            }
            if found.is_some() {
                return Ok(found);
            }
            last = first - 1;
            slice = slice.saturating_mul(4);
        }
        self.turn.known.recent.know_all(ids);
        Ok(None)
    }

    /// What a decision may know: its time is the one that the events get.
    pub(super) fn context(&self, identity: &MessageIdentity, reading: Timestamp) -> Context {
        let skew = self.repository.inner.options.clock_skew;
        let head = self.loaded().head();
        let now = event_time(reading, head.iter().map(|head| (&self.key, head)), skew);
        Context::at(identity.clone(), reading, now)
            .with_aggregate(self.key.kind_name(), self.key.id().clone())
    }

    /// Decides commands on the aggregate as it is known, without storing anything.
    pub(super) fn decide(
        &self,
        commands: &[A::Command],
        context: &Context,
    ) -> Result<PendingCommit<A>, ExecuteError<A::Error>>
    where
        A: Decide,
        A::Command: Clone,
    {
        PendingCommit::decide_all(&self.loaded().aggregate, commands, context)
    }

    /// Stores what was decided, with what becomes of the aggregate's unique names, and folds it.
    pub(super) async fn append(
        &mut self,
        pending: PendingCommit<A>,
        context: &Context,
    ) -> Result<Commit, ExecuteError<A::Error>> {
        let request = self.add_to(CommitRequest::of(context).looked_up(), &pending);
        let mut changes = NameChanges::default();
        if let Some(names) = self.names(&pending) {
            let repository = &self.repository;
            repository
                .release_names(&mut changes, &self.key, &names)
                .await?;
            repository
                .claim_names(&mut changes, &self.key, &names)
                .await?;
        }
        let stored = self
            .repository
            .store()
            .append(changes.add_to(request))
            .await;
        let mut stored = stored.map_err(|error| match error {
            StoreError::Payload(error) => ExecuteError::Payload(error),
            error => {
                self.forget();
                ExecuteError::Store(error)
            }
        })?;
        // What became of names follows.
        stored.truncate(pending.new_events().len());
        self.settle(pending, stored).await
    }

    /// Lets nobody go on from what is known unless it was caught up with: it may be old.
    pub(super) fn forget(&mut self) {
        self.turn.is_whole = false;
    }

    /// Adds the events of this aggregate to a commit.
    pub(super) fn add_to(
        &self,
        request: CommitRequest,
        pending: &PendingCommit<A>,
    ) -> CommitRequest {
        let (key, events) = (self.key.clone(), pending.new_events().to_vec());
        match self.loaded().head() {
            Some(head) => request.aggregate_at(key, head, events),
            None => request.first(key, A::SHARES_IDS_WITH, events),
        }
    }

    /// The unique names before and after the events, where they were folded for that.
    pub(super) fn names(&self, pending: &PendingCommit<A>) -> Option<[BTreeSet<UniqueName>; 2]> {
        let (list, after) = (A::UNIQUE_NAMES?, pending.after()?);
        let aggregates = [&self.loaded().aggregate, after];
        Some(aggregates.map(|aggregate| list(aggregate).into_iter().collect()))
    }

    /// Takes what is stored now.
    pub(super) async fn settle(
        &mut self,
        pending: PendingCommit<A>,
        stored: Vec<StoredEvent>,
    ) -> Result<Commit, ExecuteError<A::Error>> {
        let before = self.version();
        let Known { loaded, recent } = &mut self.turn.known;
        self.turn.is_whole = false;
        let folded = pending.apply_to(&mut loaded.aggregate);
        if let (Err(fault), Some(last)) = (folded, stored.last()) {
            return Err(ExecuteError::StoredAndNotFolded(not_folded(last, fault)));
        }
        loaded.head = stored.last().map(StoredEvent::head).or(loaded.head);
        stored.iter().for_each(|event| recent.note(&event.envelope));
        self.turn.is_whole = true;
        self.repository
            .keep_snapshot(&self.key, &self.turn.known, before)
            .await;
        Ok(Commit {
            events: stored,
            version: self.version(),
            is_repeated: false,
        })
    }

    /// The answer of commands that change nothing.
    pub(super) fn unchanged(&self) -> Commit {
        Commit {
            events: Vec::new(),
            version: self.version(),
            is_repeated: false,
        }
    }
}
