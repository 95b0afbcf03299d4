//! The port of a store with a fault.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore,
    EventStoreExt, EventStream, Position, ProvedCommit, SealedCommit, Selection, StoreError,
    StreamExt, TryStreamExt, Versions,
};
use futures_util::stream;
use tokio::task::yield_now;

use super::fault::Fault;
use super::read::{LARGE, PAGE, end_behind_a_large_event, later};
use super::store::{WrongStore, lock, start_alike};

/// The hash that a store has by default.
pub const SHA2_256: u64 = 0x12;

#[async_trait]
impl EventStore for WrongStore {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.append_wrongly(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.append_sealed_wrongly(commits).await
    }

    async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.append_proved_wrongly(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        let (store, key) = (self.clone(), self.key(aggregate));
        if self.fault() == Fault::AHistoryIsOfTwoBranches {
            let start = (store, key, versions.first());
            return Box::pin(stream::unfold(start, |(store, key, version)| async move {
                let versions = Versions::starting_at(version).up_to(version);
                let mut next = store.inner.get_versions(&key, versions).await.ok()?;
                Some((Ok(next.pop()?), (store, key, version + 1)))
            }));
        }
        if self.fault() == Fault::AHistoryDoesNotEnd {
            let start = (store, key, versions.first());
            return Box::pin(stream::unfold(start, |(store, key, version)| async move {
                yield_now().await;
                let versions = Versions::starting_at(version).up_to(version);
                let mut next = store.inner.get_versions(&key, versions).await.ok()?;
                Some((Ok(next.pop()?), (store, key, version + 1)))
            }));
        }
        later(async move {
            let versions = match store.fault() {
                Fault::AHistoryBeginsOneLate if versions.first() > 1 => {
                    Versions::starting_at(versions.first() + 1)
                }
                Fault::AHistoryHasNoLastVersion => Versions::starting_at(versions.first()),
                Fault::AHistoryUpToAVersionIsACount if versions.last() < u64::MAX => {
                    let last = versions.first() - 1 + versions.last();
                    Versions::starting_at(versions.first()).up_to(last)
                }
                _ => versions,
            };
            let mut events = match store.fault() {
                Fault::HistoriesAreFromAStaleCopy => store.of_a_stale_copy(&key).await?,
                Fault::AnEmptyHistoryStaysEmpty => {
                    let is_empty = |known: &Vec<StoredEvent>| known.is_empty();
                    let known = lock(&store.handle.histories)
                        .get(&key)
                        .is_some_and(is_empty);
                    let events = store.inner.get_versions(&key, versions).await?;
                    let mut histories = lock(&store.handle.histories);
                    histories
                        .entry(key.clone())
                        .or_insert_with(|| events.clone());
                    if known { Vec::new() } else { events }
                }
                _ => store.inner.get_versions(&key, versions).await?,
            };
            events.retain(|event| versions.includes(event.envelope.sequence));
            match store.fault() {
                Fault::AnAggregateBeginsWhenItIsAskedFor if events.is_empty() => {
                    events = store.begin(&key).await?;
                }
                Fault::AHistoryBehindAnotherHeadIsEmpty => {
                    let known = versions.known().map(|known| known.cid);
                    let first = events.first().map(|event| event.cid);
                    if known.is_some() && known != first {
                        events.clear();
                    }
                }
                Fault::AHistoryEndsBehindALargeEvent => end_behind_a_large_event(&mut events),
                Fault::AFullPageBehindTheMiddleIsCut
                    if versions.first() > 1 && events.len() % PAGE == 0 =>
                {
                    events.truncate(events.len().saturating_sub(1));
                }
                Fault::AHistoryOfADroppedKindIsEmpty => {
                    let kinds = store.inner.kinds(key.id()).await?;
                    if kinds.first().is_some_and(|first| first != key.kind()) {
                        events.clear();
                    }
                }
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
        if self.fault() == Fault::OnlyTheFirstKindHasALast {
            let all = self.all_events(Bookmark::START).await?;
            let first = all.first();
            if first.is_some_and(|first| first.envelope.aggregate != key.kind()) {
                return Ok(None);
            }
        }
        let is_stale = match self.fault() {
            Fault::TheLastIsFromAStaleCopy => true,
            Fault::TheLastOfANameIsFromAStaleCopy => key.kind().ends_with("_number"),
            _ => false,
        };
        if is_stale {
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
        match self.fault() {
            Fault::TheLastIsTheFirst => events.truncate(1),
            Fault::TheLastOfManyIsOfTheFirstPage => events.truncate(PAGE),
            Fault::TheLastIsOfThoseWrittenHere => events.retain(|event| !self.is_imported(event)),
            Fault::TheLastIsTheFirstOfItsCommit => {
                let last = events.last().map(|event| event.envelope.causation_id);
                let is_before = |event: &StoredEvent| Some(event.envelope.causation_id) != last;
                let before = events.iter().take_while(|event| is_before(event)).count();
                events.truncate(before + 1);
            }
            _ => {}
        }
        let last = self.seen(events).pop();
        if is_stale {
            lock(&self.handle.last).insert(key, last.clone());
        }
        Ok(last)
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        let key = self.key(&AggregateKey::new("contract.sample", id.clone()));
        let mut events = self.seen(self.all_events(Bookmark::START).await?);
        let id = key.id().as_str();
        events.retain(|event| {
            let found = event.envelope.aggregate_id.as_str();
            match self.fault() {
                Fault::TheKindsAreThoseOfAllIds => true,
                Fault::TheKindsAreThoseOfIdsThatBeginAlike => found.starts_with(id),
                Fault::TheKindsIgnoreTheCaseOfAnId => found.eq_ignore_ascii_case(id),
                Fault::ImportsAreNotAmongTheKinds => found == id && !self.is_imported(event),
                _ => found == id,
            }
        });
        match self.fault() {
            Fault::TheKindsEndWithTheFirst => events.truncate(1),
            Fault::TheKindsAreOfTheFirstPage => events.truncate(PAGE),
            Fault::TheKindsAreOfTheLastEvent => drop(events.drain(..events.len().max(1) - 1)),
            _ => {}
        }
        let kinds = events.into_iter().map(|event| event.envelope.aggregate);
        if self.fault() == Fault::TheKindsRepeat {
            return Ok(kinds.collect());
        }
        Ok(kinds.collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        let is_it = |event: &StoredEvent| match self.fault() {
            Fault::FoundByTheStartOfTheCid => start_alike(&event.cid, cid),
            Fault::FoundByThePayload => event.cid == *cid || event.envelope.payload == *cid,
            _ => event.cid == *cid,
        };
        let mut events = self.seen(self.all_events(Bookmark::START).await?);
        match self.fault() {
            Fault::FoundAmongTheFirst500 => events.truncate(500),
            Fault::FoundIfItIsTheLast => drop(events.drain(..events.len().max(1) - 1)),
            Fault::FoundAmongTheLast1000 => {
                drop(events.drain(..events.len().saturating_sub(1_000)));
            }
            Fault::FoundByTheHandleThatWroteIt => {
                events.retain(|event| lock(&self.handle.written).contains(&event.cid));
            }
            Fault::ImportsAreNotFoundByTheirCid => events.retain(|event| !self.is_imported(event)),
            Fault::BlocksOfAnotherHashAreNotFound => {
                events.retain(|event| event.cid.hash().code() == SHA2_256);
            }
            Fault::LargeEventsHaveNoCid => events.retain(|event| event.payload().len() < LARGE),
            _ => {}
        }
        Ok(events.into_iter().find(is_it))
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        let last = self.inner.last_position().await?;
        Ok(match self.fault() {
            Fault::TheLastPositionLags => Position(last.0.saturating_sub(1)),
            Fault::TheLastPositionIsOfThoseWrittenHere => {
                let all = self.inner.read_all(Position::START);
                let all: Vec<_> = all.try_collect().await?;
                let written = lock(&self.handle.written);
                let last = all.iter().rfind(|event| written.contains(&event.cid));
                last.map_or(Position::START, |event| event.position)
            }
            Fault::TheFirstPositionIsTheLast => last.min(Position(1)),
            _ => last,
        })
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
        self.followed(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        let settings = EngineSettings::default()
            .with_branches(Arc::new(self.clone()))
            .with_cid_index();
        let settings = match self.fault() {
            Fault::TheStoreHasNoId => settings,
            Fault::TheStoreHasAnotherIdEachTime => {
                // It stays where it is, so that the next one is elsewhere.
                let each = Arc::new(0_u64);
                let settings = settings.shared_as(&each);
                std::mem::forget(each);
                settings
            }
            _ => settings.shared_as(&self.handle),
        };
        match self.fault() {
            Fault::ItOffersNoSnapshots => settings,
            Fault::ItOffersSnapshotsThatItDoesNotKeep => {
                settings.with_snapshots(Arc::new(MemoryEventStore::new()))
            }
            _ => settings.with_snapshots(Arc::new(self.clone())),
        }
    }
}
