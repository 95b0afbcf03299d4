//! Faults of what is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::message::Timestamp;
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore,
    EventStoreExt, EventStream, Position, SealedCommit, Selection, StoreError, StreamExt, Versions,
};
use futures_util::{TryStreamExt, stream};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::yield_now;

use super::fault::Fault;
use super::store::{WrongStore, cut, lock, start_alike};

/// How many events a page has.
const PAGE: usize = 256;

impl WrongStore {
    pub fn key_of(&self, event: &StoredEvent) -> AggregateKey {
        let id = IdText::new(&event.envelope.aggregate_id).unwrap();
        AggregateKey::new(event.envelope.aggregate.clone(), id)
    }

    /// The last position in the store.
    pub async fn position(&self) -> u64 {
        let all: Vec<_> = self.inner.read_all(Position::START).collect().await;
        all.last()
            .map_or(0, |last| last.as_ref().unwrap().position.0)
    }

    /// Events as they are shown, in whichever way they were found.
    pub fn changed(&self, mut events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        for event in &mut events {
            let position = &mut event.position.0;
            let envelope = &mut event.envelope;
            match self.fault() {
                Fault::PositionsRepeat => *position = position.div_ceil(2),
                Fault::PositionsGoBack => *position = 1_000_000 - *position,
                Fault::PositionsCountWithinTheAggregate => *position = envelope.sequence,
                Fault::ParentsAreLost => envelope.parents.clear(),
                Fault::TheSchemaIsLost => envelope.schema = 1,
                Fault::TheEnvelopeIsNotThatOfTheBytes => {
                    let seconds = envelope.timestamp.as_micros() / 1_000_000;
                    envelope.timestamp = Timestamp::from_micros(seconds * 1_000_000);
                }
                _ => {}
            }
        }
        events
    }

    /// Events as readers see them.
    fn seen(&self, mut events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        let visible = self.all().visible.load(Ordering::SeqCst);
        events.retain(|event| event.position.0 <= visible);
        if self.fault() == Fault::EventsPastThe600thAreDropped {
            events.retain(|event| event.envelope.commit.whole_index <= 600);
        }
        self.changed(events)
    }

    /// Where a reader goes on, as the store takes it.
    fn mark(&self, after: Bookmark) -> Bookmark {
        match self.fault() {
            Fault::ABookmarkIsANumber => after.position.into(),
            Fault::PositionsRepeat
            | Fault::PositionsGoBack
            | Fault::PositionsCountWithinTheAggregate => Bookmark::START,
            _ => after,
        }
    }

    async fn all_events(&self, after: Bookmark) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner
            .read(Selection::everything(), after)
            .try_collect()
            .await
    }

    async fn selected(
        &self,
        selection: Selection,
        after: Bookmark,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let fault = self.fault();
        let types: Vec<_> = selection
            .patterns()
            .iter()
            .map(ToString::to_string)
            .collect();
        let is_by_type = selection.is_by_type();
        let of_types = async |is_it: fn(&str, &str) -> bool| {
            let mut events = self.all_events(after).await?;
            events.retain(|event| types.iter().any(|wanted| is_it(wanted, event.event_type())));
            Ok::<_, StoreError>(events)
        };
        let read = async |selection: Selection, after: Bookmark| {
            self.inner
                .read(selection, after)
                .try_collect::<Vec<_>>()
                .await
        };
        let mut events = match fault {
            Fault::TypesArePrefixes if is_by_type => {
                of_types(|wanted, found| found.starts_with(wanted)).await?
            }
            Fault::TypesAreCutAt64 if is_by_type => {
                of_types(|wanted, found| cut(found, 64) == cut(wanted, 64)).await?
            }
            Fault::TypesIgnoreTheCase if is_by_type => {
                of_types(|wanted, found| found.eq_ignore_ascii_case(wanted)).await?
            }
            Fault::TypesIncludeThePosition if is_by_type => {
                read(selection.clone(), before(after)).await?
            }
            Fault::EverythingIncludesThePosition => read(selection.clone(), before(after)).await?,
            Fault::ASelectionHasEverything => self.all_events(after).await?,
            Fault::ASelectionOfNothingIsEmpty if selection.check().is_err() => Vec::new(),
            Fault::ABookmarkPastTheEndIsItsEnd => match read(selection.clone(), after).await {
                Err(StoreError::AnotherHistory(_)) => Vec::new(),
                other => other?,
            },
            Fault::ASelectionIsNotOfPartitions => {
                let all = self.all_events(after).await?;
                let whole = selection.clone().partitions().is_some();
                all.into_iter()
                    .filter(|event| whole || selection.includes(event))
                    .collect()
            }
            _ => read(selection.clone(), after).await?,
        };
        match fault {
            Fault::EverythingEndsAfter1000 => events.truncate(1_000),
            Fault::EverythingEndsWithAFullPage if events.len() % PAGE == 0 => {
                events.truncate(events.len().saturating_sub(1));
            }
            Fault::EverythingRepeatsTheFirstOfAPage if events.len() > PAGE => {
                let repeated = events[PAGE - 1].clone();
                events.insert(PAGE, repeated);
            }
            Fault::EverythingIsByAggregate => {
                events.sort_by_key(|event| event.envelope.aggregate_id.clone());
            }
            Fault::TypesAreByAggregate if is_by_type => {
                events.sort_by_key(|event| event.envelope.aggregate_id.clone());
            }
            Fault::AnAggregateIsSelectedByItsIdAlone => {
                if let Some(key) = selection.one_aggregate() {
                    events = self.all_events(after).await?;
                    events.retain(|event| event.envelope.aggregate_id == key.id().as_str());
                }
            }
            _ => {}
        }
        Ok(events)
    }

    /// The live events of all handles, as they are sent.
    fn live(&self, after: Position) -> EventStream {
        let receiver = self.all().live.subscribe();
        let past = self.inner.read_all(after);
        let start = (self.clone(), receiver, past, after, (false, false));
        Box::pin(stream::unfold(
            start,
            |(store, mut receiver, mut past, mut after, (mut is_live, mut is_begun))| async move {
                loop {
                    if !is_live {
                        if store.fault() == Fault::TheEventBetweenPastAndPresentIsRepeated
                            && !is_begun
                        {
                            // The past is read when it is asked for, and the channel already has its end.
                            past = store.inner.read_all(after);
                        }
                        is_begun = true;
                        if let Some(event) = past.next().await {
                            after = event.as_ref().ok()?.position;
                            return Some((
                                event,
                                (store, receiver, past, after, (is_live, is_begun)),
                            ));
                        }
                        is_live = true;
                        match store.fault() {
                            // What came while the past was read is not in the channel any more.
                            Fault::TheEventBetweenPastAndPresentIsMissed => {
                                receiver = receiver.resubscribe()
                            }
                            Fault::TheEventBetweenPastAndPresentIsRepeated => {
                                after = Position::START
                            }
                            _ => {}
                        }
                    }
                    match receiver.recv().await {
                        Ok(event) if event.position > after => {
                            after = event.position;
                            return Some((
                                Ok(event),
                                (store, receiver, past, after, (is_live, is_begun)),
                            ));
                        }
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => {
                            if store.fault() == Fault::ALaggingSubscriptionRepeatsEvents {
                                let again = Position(after.0.saturating_sub(5));
                                past = store.inner.read_all(again);
                                is_live = false;
                                while !matches!(receiver.try_recv(), Err(TryRecvError::Empty)) {}
                            }
                        }
                        Err(RecvError::Closed) => return None,
                    }
                }
            },
        ))
    }

    /// Pairs of neighbours, the other way round where both are there.
    fn swapped(&self, after: Bookmark) -> EventStream {
        let events = self
            .inner
            .follow(Selection::everything(), after)
            .ready_chunks(2);
        Box::pin(events.flat_map(|mut pair| {
            pair.reverse();
            stream::iter(pair)
        }))
    }
}

#[async_trait]
impl EventStore for WrongStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.append_wrongly(commit).await
    }

    async fn append_sealed(
        &self,
        mut commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        if self.fault() == Fault::OnlyTheFirstSealedCommitIsStored {
            commits.truncate(1);
        }
        match (self.fault(), self.inner.append_sealed(commits).await) {
            (Fault::AnotherBranchIsPassedOver, Err(StoreError::Diverged { .. })) => Ok(Vec::new()),
            (
                Fault::AMissingPredecessorIsAConflict,
                Err(error @ StoreError::MissingPredecessor { .. }),
            ) => {
                let reason = error.to_string();
                Err(StoreError::InvalidCommit { reason })
            }
            (_, outcome) => outcome,
        }
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        let (store, key) = (self.clone(), self.key(aggregate));
        later(async move {
            let versions = match store.fault() {
                Fault::AHistoryBeginsOneLate if versions.first() > 1 => {
                    Versions::starting_at(versions.first() + 1)
                }
                Fault::AHistoryHasNoLastVersion => Versions::starting_at(versions.first()),
                _ => versions,
            };
            let mut events = store.inner.get_versions(&key, versions).await?;
            match store.fault() {
                Fault::AHistoryEndsAfter500 => events.truncate(500),
                Fault::AHistoryEndsAfter1000 => events.truncate(1_000),
                Fault::AHistoryHasTheTypesOfItsKind => {
                    events.retain(|event| event.event_type().starts_with(key.kind()));
                }
                _ => {}
            }
            Ok(store.seen(events))
        })
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        let key = self.key(aggregate);
        if self.fault() == Fault::TheLastIsFromAStaleCopy {
            let known = lock(&self.handle.last).get(&key).cloned();
            if let Some(last) = known {
                return Ok(last);
            }
        }
        let mut events = match self.fault() {
            Fault::TheLastIsOfAnyKind => {
                let mut events = self.all_events(Bookmark::START).await?;
                events.retain(|event| event.envelope.aggregate_id == key.id().as_str());
                events
            }
            _ => self.inner.get_versions(&key, Versions::ALL).await?,
        };
        if self.fault() == Fault::TheLastIsTheFirst {
            events.truncate(1);
        }
        let last = self.seen(events).pop();
        if self.fault() == Fault::TheLastIsFromAStaleCopy {
            lock(&self.handle.last).insert(key, last.clone());
        }
        Ok(last)
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        let key = self.key(&AggregateKey::new("contract.sample", id.clone()));
        let mut events = self.seen(self.all_events(Bookmark::START).await?);
        if self.fault() != Fault::TheKindsAreThoseOfAllIds {
            events.retain(|event| event.envelope.aggregate_id == key.id().as_str());
        }
        if self.fault() == Fault::TheKindsEndWithTheFirst {
            events.truncate(1);
        }
        let kinds = events.into_iter().map(|event| event.envelope.aggregate);
        Ok(kinds.collect())
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        let is_it = |event: &StoredEvent| match self.fault() {
            Fault::FoundByTheStartOfTheCid => start_alike(&event.cid, cid),
            Fault::FoundByThePayload => event.cid == *cid || event.envelope.payload == *cid,
            _ => event.cid == *cid,
        };
        let events = self.seen(self.all_events(Bookmark::START).await?);
        Ok(events.into_iter().find(is_it))
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        if self.fault() == Fault::EverythingDoesNotEnd {
            let store = self.inner.clone();
            let events = stream::unfold((store, after.position), |(store, after)| async move {
                yield_now().await;
                let next = store.read_all(after).next().await?;
                let after = next.as_ref().ok()?.position;
                Some((next, (store, after)))
            });
            return Box::pin(events);
        }
        let store = self.clone();
        later(async move {
            let events = store.selected(selection, store.mark(after)).await?;
            Ok(store.seen(events))
        })
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        let store = self.clone();
        let after = self.mark(after);
        let events = match self.fault() {
            Fault::ALaggingSubscriptionLosesEvents
            | Fault::ALaggingSubscriptionRepeatsEvents
            | Fault::TheEventBetweenPastAndPresentIsMissed
            | Fault::TheEventBetweenPastAndPresentIsRepeated => self.live(after.position),
            Fault::ASubscriptionEnds => self.inner.read(selection, after),
            Fault::ASubscriptionBeginsAtTheStart => self.inner.follow(selection, Bookmark::START),
            Fault::ASubscriptionIncludesThePosition => self.inner.follow(selection, before(after)),
            Fault::ASubscriptionSwapsNeighbours => self.swapped(after),
            Fault::ASubscriptionHasEverything => self.inner.follow(Selection::everything(), after),
            Fault::ASelectionOfNothingIsEmpty if selection.check().is_err() => {
                return Box::pin(stream::empty());
            }
            _ => self.inner.follow(selection, after),
        };
        Box::pin(events.map(move |event| event.map(|event| store.changed(vec![event]).remove(0))))
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
            .shared_as(&self.handle)
            .with_snapshots(Arc::new(self.clone()))
            .with_cid_index()
    }
}

/// A list as a stream that is read when it is asked.
fn later(
    events: impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send + 'static,
) -> EventStream {
    let events = async move {
        stream::iter(match events.await {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    };
    Box::pin(stream::once(events).flatten())
}

/// One position earlier.
fn before(after: Bookmark) -> Bookmark {
    Position(after.position.0.saturating_sub(1)).into()
}
