//! Faults of what is known of a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::store::*;
use cim_es::testing::contract::Provider;
use cim_es::testing::contract::promises::*;

use super::always_passes;
use super::store::lock;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    NamesIgnoreTheCase,
    NamesEndAtANul,
    NamesAreTrimmed,
    EmptyValuesAreNone,
    ValuesAreCut,
    TheFirstValueStays,
    EachHandleHasItsOwn,
    TheLastChangeAloneIsMade,
    RemovalsComeLast,
    NothingIsRemoved,
    TheListIgnoresThePrefix,
    TheListLacksTheNameItself,
    TheListIsInTheOrderOfTexts,
    NobodyIsKeptFromClaiming,
    EachHandleClaimsItsOwn,
    AClaimEndsWithItsHandle,
    AClaimIsForEver,
    AClaimMayBeTakenTwiceByOneHandle,
}

type State = Arc<Mutex<BTreeMap<String, Bytes>>>;

struct Wrong(Fault, State, MemoryEventStore);

#[derive(Clone)]
struct WrongState {
    fault: Fault,
    state: State,
    inner: MemoryEventStore,
    /// What this handle has claimed.
    claim: Arc<Mutex<Option<StateClaim>>>,
}

#[async_trait::async_trait]
impl Provider for Wrong {
    type Store = WrongState;

    async fn open(&self) -> WrongState {
        let state = match self.0 {
            Fault::EachHandleHasItsOwn => State::default(),
            _ => Arc::clone(&self.1),
        };
        WrongState {
            fault: self.0,
            state,
            inner: match self.0 {
                Fault::EachHandleClaimsItsOwn => MemoryEventStore::new(),
                _ => self.2.clone(),
            },
            claim: Arc::default(),
        }
    }
}

impl WrongState {
    fn name(&self, name: &str) -> String {
        match self.fault {
            Fault::NamesIgnoreTheCase => name.to_lowercase(),
            Fault::NamesEndAtANul => name.split('\0').next().unwrap_or_default().to_owned(),
            Fault::NamesAreTrimmed => name.trim().to_owned(),
            _ => name.to_owned(),
        }
    }
}

#[async_trait::async_trait]
impl SyncState for WrongState {
    async fn change_state(&self, mut changes: Vec<StateChange>) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        match self.fault {
            Fault::TheLastChangeAloneIsMade => drop(changes.drain(..changes.len().max(1) - 1)),
            Fault::RemovalsComeLast => changes.sort_by_key(|change| change.value.is_none()),
            _ => {}
        }
        for change in changes {
            let name = self.name(&change.name);
            match change.value {
                Some(value) => match self.fault {
                    Fault::TheFirstValueStays => drop(state.entry(name).or_insert(value)),
                    Fault::ValuesAreCut => {
                        let length = value.len().min(65_536);
                        state.insert(name, value.slice(..length));
                    }
                    _ => drop(state.insert(name, value)),
                },
                None if self.fault == Fault::NothingIsRemoved => {}
                None => drop(state.remove(&name)),
            }
        }
        Ok(())
    }

    async fn get_state(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let found = lock(&self.state).get(&self.name(name)).cloned();
        let is_none = |value: &Bytes| self.fault == Fault::EmptyValuesAreNone && value.is_empty();
        Ok(found.filter(|value| !is_none(value)))
    }

    async fn list_state(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let state = lock(&self.state).clone().into_iter();
        let mut found: Vec<_> = state
            .filter(|(name, _)| match self.fault {
                Fault::TheListIgnoresThePrefix => true,
                Fault::TheListLacksTheNameItself => name.starts_with(prefix) && name != prefix,
                _ => name.starts_with(prefix),
            })
            .collect();
        if self.fault == Fault::TheListIsInTheOrderOfTexts {
            found.sort_by_key(|(name, _)| name.to_lowercase());
        }
        Ok(found)
    }

    async fn claim_state(&self) -> Result<StateClaim, StoreError> {
        let has_claim = lock(&self.claim).is_some();
        match self.fault {
            Fault::NobodyIsKeptFromClaiming => Ok(StateClaim::new(())),
            Fault::AClaimMayBeTakenTwiceByOneHandle if has_claim => Ok(StateClaim::new(())),
            Fault::AClaimMayBeTakenTwiceByOneHandle
            | Fault::AClaimEndsWithItsHandle
            | Fault::AClaimIsForEver => {
                let claim = self.inner.claim_state().await?;
                if self.fault == Fault::AClaimIsForEver {
                    std::mem::forget(claim);
                    return Ok(StateClaim::new(()));
                }
                *lock(&self.claim) = Some(claim);
                Ok(StateClaim::new(Gone(Arc::downgrade(&self.claim))))
            }
            _ => self.inner.claim_state().await,
        }
    }
}

/// Ends a claim that a handle has.
struct Gone(Weak<Mutex<Option<StateClaim>>>);

impl Drop for Gone {
    fn drop(&mut self) {
        if let Some(claim) = self.0.upgrade() {
            *lock(&claim) = None;
        }
    }
}

/// Each fault, and whether the promises notice it.
#[test]
fn each_wrong_store_of_a_state_breaks_a_promise() {
    use Fault::*;
    let faults = [
        NamesIgnoreTheCase,
        NamesEndAtANul,
        NamesAreTrimmed,
        EmptyValuesAreNone,
        ValuesAreCut,
        TheFirstValueStays,
        EachHandleHasItsOwn,
        TheLastChangeAloneIsMade,
        RemovalsComeLast,
        NothingIsRemoved,
        TheListIgnoresThePrefix,
        TheListLacksTheNameItself,
        TheListIsInTheOrderOfTexts,
        NobodyIsKeptFromClaiming,
        EachHandleClaimsItsOwn,
        AClaimEndsWithItsHandle,
        AClaimIsForEver,
        AClaimMayBeTakenTwiceByOneHandle,
    ];
    let wrong = |fault| Wrong(fault, State::default(), MemoryEventStore::new());
    let keeps_all = |fault| {
        always_passes(|| a_value_is_kept_by_name(wrong(fault)))
            && always_passes(|| changes_are_made_together(wrong(fault)))
            && always_passes(|| values_are_listed_by_the_beginning_of_their_names(wrong(fault)))
            && always_passes(|| one_at_a_time_claims_what_is_known(wrong(fault)))
    };
    assert!(keeps_all(None));
    let unnoticed: Vec<_> = faults.into_iter().filter(|it| keeps_all(*it)).collect();
    assert!(unnoticed.is_empty(), "wrong stores pass: {unnoticed:?}");
}

#[async_trait::async_trait]
impl EventStore for WrongState {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.inner.append_sealed(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        self.inner.history(aggregate, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.inner.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.inner.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.inner.read(selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.inner.follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        self.inner.settings()
    }
}

#[async_trait::async_trait]
impl SnapshotStore for WrongState {
    async fn save_snapshot(
        &self,
        aggregate: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        self.inner.save_snapshot(aggregate, snapshot).await
    }

    async fn get_latest_snapshot(
        &self,
        aggregate: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.inner.get_latest_snapshot(aggregate, tag).await
    }
}

#[async_trait::async_trait]
impl ObjectStore for WrongState {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        self.inner.put_object_as(bytes, content_type).await
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.inner.get_object(cid).await
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        self.inner.object_info(cid).await
    }
}

#[async_trait::async_trait]
impl CheckpointStore for WrongState {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.inner.save_checkpoint(reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        self.inner.get_checkpoint(reader).await
    }
}
