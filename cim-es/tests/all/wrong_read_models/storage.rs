//! A storage in memory with a fault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cim_es::MemoryReadModels;
use cim_es::store::read_model::*;
use cim_es::store::{Bookmark, Location, Position};
use cim_es::testing::read_model_contract::Provider;
use tokio::time::sleep;
use uuid::Uuid;

use super::fault::Fault;

/// Long enough for others to look.
const MOMENT: Duration = Duration::from_millis(2);

/// Opens storages with one fault.
pub struct Wrong {
    fault: Fault,
    inner: MemoryReadModels,
    shared: Arc<Mutex<Shared>>,
}

/// What some faults remember.
#[derive(Default)]
struct Shared {
    entries: BTreeMap<(ViewId, String), Vec<IndexEntry>>,
    names: Vec<String>,
    served: Vec<ViewId>,
    parked: BTreeMap<ViewId, Parked>,
    skipped: BTreeMap<ViewId, Vec<Skipped>>,
    offsets: BTreeMap<String, usize>,
}

impl Wrong {
    pub fn with(fault: Fault) -> Self {
        Self {
            fault,
            inner: MemoryReadModels::new(),
            shared: Arc::default(),
        }
    }
}

#[async_trait]
impl Provider for Wrong {
    type Storage = WrongStorage;

    async fn open(&self) -> WrongStorage {
        let inner = match self.fault {
            Fault::EachHandleHasViewsOfItsOwn => MemoryReadModels::new(),
            _ => self.inner.clone(),
        };
        WrongStorage {
            fault: self.fault,
            inner,
            shared: self.shared.clone(),
        }
    }
}

#[derive(Clone)]
pub struct WrongStorage {
    fault: Fault,
    inner: MemoryReadModels,
    shared: Arc<Mutex<Shared>>,
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl WrongStorage {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self, view: &ViewId) -> ViewId {
        match self.fault {
            Fault::NamesHaveUnderscores => {
                ViewId::new(view.name().replace('-', "_"), view.version()).unwrap()
            }
            Fault::BuildsOfAVersionAreOne => {
                ViewId::new(view.name().to_owned(), view.version()).unwrap()
            }
            _ => view.clone(),
        }
    }

    fn key(&self, key: &str) -> String {
        match self.fault {
            Fault::KeysIgnoreTheCase => key.to_lowercase(),
            Fault::KeysAreTrimmed => key.trim().to_owned(),
            Fault::KeysEndAtANul => key.split('\0').next().unwrap_or_default().to_owned(),
            Fault::KeysAreCutAt128 => cut(key, 128).to_owned(),
            Fault::KeysAreNormalised => key.replace("e\u{301}", "\u{e9}"),
            Fault::KeysHaveUnderscores => {
                key.replace(|sign: char| !sign.is_alphanumeric() && sign != ' ', "_")
            }
            _ => key.to_owned(),
        }
    }

    fn entry(&self, entry: &IndexEntry) -> IndexEntry {
        let field = match self.fault {
            Fault::EntriesHaveNoField => "any".to_owned(),
            _ => entry.field.clone().into_owned(),
        };
        let value = match self.fault {
            Fault::ValuesIgnoreTheCase => entry.value.to_lowercase(),
            Fault::ValuesAreCutAt255 => cut(&entry.value, 255).to_owned(),
            _ => entry.value.clone(),
        };
        IndexEntry::new(field, value)
    }

    fn bookmark(&self, at: Bookmark) -> Bookmark {
        let number = at.position.0;
        let position = match self.fault {
            Fault::PositionsHave32Bits => number & 0xffff_ffff,
            Fault::PositionsAreFloats => number as f64 as u64,
            Fault::PositionsEndAtHalfTheRange => number.min(i64::MAX as u64),
            _ => number,
        };
        Bookmark {
            position: Position(position),
            cid: match self.fault {
                Fault::TheEventAtThePositionIsForgotten => None,
                _ => at.cid,
            },
        }
    }

    async fn record(&self, view: &ViewId) -> Result<Option<ViewRecord>, ReadModelError> {
        self.inner.view(view).await
    }

    fn answered<T>(&self, mut answer: UpTo<T>, is_empty: bool) -> UpTo<T> {
        match self.fault {
            Fault::AnswersSayALaterPosition => answer.position.0 += 1,
            Fault::AnAnswerOfNothingIsAtTheStart if is_empty => answer.position = Position::START,
            _ => {}
        }
        answer
    }

    /// What is wrong with a document that changes; none where it is dropped.
    async fn change(
        &self,
        view: &ViewId,
        mut change: DocumentChange,
    ) -> Result<Option<DocumentChange>, ReadModelError> {
        change.key = self.key(&change.key);
        change.index = change.index.iter().map(|entry| self.entry(entry)).collect();
        let place = (view.clone(), change.key.clone());
        match self.fault {
            Fault::NothingIsEverRemoved if change.value.is_none() => return Ok(None),
            Fault::TheFirstValueStays if change.value.is_some() => {
                let present = self.inner.get(view, &change.key).await?.value;
                change.value = present.or(change.value);
            }
            Fault::EmptyDocumentsAreNone if change.value.as_ref().is_some_and(Bytes::is_empty) => {
                return Ok(None);
            }
            Fault::DocumentsAreTexts => {
                change.value = change
                    .value
                    .map(|value| String::from_utf8_lossy(&value).into_owned().into());
            }
            Fault::DocumentsAreCut => {
                change.value = change
                    .value
                    .map(|value| value.slice(..value.len().min(65_536)));
            }
            Fault::TheLastEntryIsForgotten if change.index.len() > 1 => {
                change.index.sort_unstable();
                change.index.dedup();
                change.index.pop();
            }
            Fault::OneEntryAFieldIsKept => {
                change.index.dedup_by(|one, other| one.field == other.field)
            }
            Fault::EmptyValuesAreNotFound => change.index.retain(|entry| !entry.value.is_empty()),
            Fault::FormerEntriesStay if change.value.is_some() => {
                let former = self.shared().entries.get(&place).cloned();
                change.index.extend(former.into_iter().flatten());
            }
            _ => {}
        }
        self.shared().entries.insert(place, change.index.clone());
        Ok(Some(change))
    }

    /// What is wrong with a page.
    fn paged(&self, mut page: DocumentPage, asked: &Page) -> DocumentPage {
        match self.fault {
            Fault::TheListIsWithoutCase => {
                page.documents
                    .sort_by_key(|document| document.key.to_lowercase());
            }
            Fault::EachPageSkipsOne if asked.start().is_some() && page.documents.len() > 1 => {
                page.documents.remove(0);
            }
            Fault::EachPageRepeatsOne if page.next.is_some() && page.documents.len() > 1 => {
                page.documents.pop();
                let last = page.documents.last().unwrap().key.clone();
                let first = page.documents[0].clone();
                page.documents.insert(0, first);
                page.next = Some(last);
            }
            Fault::AFullPageAlwaysGoesOn if page.documents.len() == asked.limit() => {
                page.next = page.documents.last().map(|last| last.key.clone());
            }
            _ => {}
        }
        page
    }

    /// Everything in one page.
    async fn all(&self, view: &ViewId) -> Result<UpTo<Vec<StoredDocument>>, ReadModelError> {
        let all = self.inner.list(view, &Page::first(MAX_PAGE)).await?;
        Ok(all.map(|page| page.documents))
    }
}

#[async_trait]
impl ReadModelStorage for WrongStorage {
    fn location(&self) -> Location {
        "a wrong storage".into()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        let mut declaration = declaration.clone();
        declaration.view = self.view(&declaration.view);
        self.shared().names.push(declaration.view.name().to_owned());
        let present = self.record(&declaration.view).await?;
        match self.fault {
            Fault::OpeningBeginsAnew => self.inner.remove_view(&declaration.view).await?,
            Fault::WhatIsSettledIsLost => declaration.settled = Position::START,
            Fault::FingerprintsAreNotCompared => {
                if let Some(present) = present {
                    return Ok(present);
                }
            }
            Fault::FingerprintsHave32Bits => declaration.fingerprint &= 0xffff_ffff,
            _ => {}
        }
        let record = self.inner.open_view(&declaration).await?;
        if self.fault == Fault::TheFirstVersionServesByItself
            && self.inner.serving(record.view.name()).await?.is_none()
        {
            self.inner.serve(&record.view).await?;
        }
        Ok(record)
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        let mut records = self.inner.views(name).await?;
        match self.fault {
            Fault::NamesHaveUnderscores => {
                records = self.inner.views(&name.replace('-', "_")).await?
            }
            Fault::NamesAreFoundByTheirStart => {
                let mut names = self.shared().names.clone();
                names.sort();
                names.dedup();
                records.clear();
                for other in names.iter().filter(|other| other.starts_with(name)) {
                    records.extend(self.inner.views(other).await?);
                }
            }
            Fault::VersionsAreInTheOrderOfTexts => {
                records.sort_by_key(|record| record.view.version().to_string());
            }
            _ => {}
        }
        let shared = self.shared();
        for record in &mut records {
            match self.fault {
                Fault::AViewStaysParked => record.parked = shared.parked.get(&record.view).cloned(),
                Fault::WhereItIsParkedIsForgotten => record.parked = None,
                Fault::TheLastSkippedReplacesTheOthers => {
                    record.skipped = shared
                        .skipped
                        .get(&record.view)
                        .cloned()
                        .unwrap_or_default();
                }
                Fault::TwoVersionsServe | Fault::NoneServesForAMoment => {
                    record.is_serving = shared.served.contains(&record.view);
                }
                _ => {}
            }
        }
        Ok(records)
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        let view = &self.view(view);
        let held = self.record(view).await?.and_then(|record| record.held);
        match self.fault {
            Fault::AnybodyHolds => {
                if let Some(held) = held {
                    self.inner.release(view, held.holder).await?;
                }
            }
            Fault::AHoldIsNotProlonged => {
                if let Some(held) = held.filter(|held| held.holder == holder) {
                    return Ok(Hold::Held { until: held.until });
                }
            }
            Fault::ALeaseNeverEnds => {
                if let Some(held) = held.filter(|held| held.holder != holder) {
                    return Ok(Hold::HeldByAnother {
                        holder: held.holder,
                        until: held.until,
                    });
                }
            }
            Fault::TheHolderIsLookedAtBefore if held.is_none() => {
                sleep(MOMENT).await;
                if let Some(held) = self.record(view).await?.and_then(|record| record.held) {
                    self.inner.release(view, held.holder).await?;
                }
            }
            _ => {}
        }
        self.inner.hold(view, holder, lease).await
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        let view = &self.view(view);
        let held = self.record(view).await?.and_then(|record| record.held);
        match (self.fault, held) {
            (Fault::AnybodyReleases, Some(held)) => self.inner.release(view, held.holder).await,
            (Fault::ReleasingDoesNothing, _) => Ok(()),
            _ => self.inner.release(view, holder).await,
        }
    }

    async fn commit(&self, view: &ViewId, mut changes: ViewChanges) -> Result<(), ReadModelError> {
        let view = &self.view(view);
        let present = self.record(view).await?;
        let (up_to, held) = present.map_or((Bookmark::START, None), |record| {
            (record.up_to, record.held)
        });
        changes.after = self.bookmark(changes.after);
        changes.up_to = self.bookmark(changes.up_to);
        if self.fault == Fault::AnythingIsACommit {
            let is_kept = |change: &DocumentChange| {
                changes
                    .clone()
                    .with_documents(vec![change.clone()])
                    .check(view)
                    .is_ok()
            };
            let kept: Vec<_> = changes
                .documents
                .iter()
                .filter(|change| is_kept(change))
                .cloned()
                .collect();
            changes.documents = kept;
            changes
                .documents
                .dedup_by(|one, other| one.key == other.key);
        }
        let mut documents = Vec::new();
        for change in std::mem::take(&mut changes.documents) {
            documents.extend(self.change(view, change).await?);
        }
        changes.documents = documents;
        {
            let mut shared = self.shared();
            shared.skipped.insert(view.clone(), changes.skipped.clone());
            if let Some(parked) = &changes.parked {
                shared.parked.insert(view.clone(), parked.clone());
            }
        }
        // The same without a move, for what is written in pieces.
        let staying = |documents: Vec<DocumentChange>| {
            ViewChanges::new(changes.holder, changes.after, changes.after).with_documents(documents)
        };
        match self.fault {
            Fault::TheLastDocumentIsLost => drop(changes.documents.pop()),
            Fault::DocumentsAreWrittenWithoutTheirPosition => changes.up_to = changes.after,
            Fault::ThePositionIsWrittenWithoutDocuments => changes.documents.clear(),
            Fault::AcknowledgedBeforeItIsSeen => {
                let (inner, view) = (self.inner.clone(), view.clone());
                tokio::spawn(async move {
                    sleep(MOMENT).await;
                    inner.commit(&view, changes).await
                });
                return Ok(());
            }
            Fault::ACommitOfNothingIsDropped if changes.documents.is_empty() => return Ok(()),
            Fault::WhereItGoesOnFromIsNotCompared => {
                changes.after = up_to;
                changes.up_to = changes.up_to.max_of(up_to);
            }
            Fault::OnlyTheNumberIsCompared if changes.after.position == up_to.position => {
                changes.after = up_to;
            }
            Fault::ARefusedCommitLeavesItsDocuments => {
                let documents = changes.documents.clone();
                let anyway =
                    ViewChanges::new(changes.holder, up_to, up_to).with_documents(documents);
                self.inner.commit(view, anyway).await?;
            }
            Fault::ThePlaceIsLookedAtBefore if changes.after == up_to => {
                sleep(MOMENT).await;
                let now = self
                    .record(view)
                    .await?
                    .map_or(up_to, |record| record.up_to);
                changes.after = now;
                changes.up_to = changes.up_to.max_of(now);
            }
            Fault::ACommitIsSeenInTwoHalves => {
                let half = changes.documents.len() / 2;
                let first = changes.documents.drain(..half).collect();
                self.inner.commit(view, staying(first)).await?;
                sleep(MOMENT).await;
            }
            Fault::ThePositionIsWrittenFirst => {
                let documents = std::mem::take(&mut changes.documents);
                let (holder, up_to) = (changes.holder, changes.up_to);
                self.inner.commit(view, changes).await?;
                sleep(MOMENT).await;
                let late = ViewChanges::new(holder, up_to, up_to).with_documents(documents);
                return self.inner.commit(view, late).await;
            }
            Fault::ACommitIsStoredBitByBit => {
                for change in std::mem::take(&mut changes.documents) {
                    self.inner.commit(view, staying(vec![change])).await?;
                    tokio::task::yield_now().await;
                }
            }
            Fault::DocumentsPastAThousandAreDropped => changes.documents.truncate(1_000),
            Fault::TwoHoldersCommit => {
                if let Some(held) = held {
                    changes.holder = held.holder;
                }
            }
            _ => {}
        }
        self.inner.commit(view, changes).await
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        let view = &self.view(view);
        if self.fault == Fault::AnUnknownViewIsEmpty && self.record(view).await?.is_none() {
            return Ok(UpTo {
                value: vec![None; keys.len()],
                position: Position::START,
            });
        }
        let mut wanted: Vec<String> = keys.iter().map(|key| self.key(key)).collect();
        if self.fault == Fault::DocumentsComeInTheOrderOfTheirKeys {
            wanted.sort_unstable();
        }
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let mut read = self.inner.read(view, &wanted).await?;
        if self.fault == Fault::DocumentsThatAreNotThereAreLeftOut {
            read.value.retain(Option::is_some);
        }
        let is_empty = read.value.iter().all(Option::is_none);
        Ok(self.answered(read, is_empty))
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let view = &self.view(view);
        let entry = self.entry(entry);
        let mut page = page.clone();
        if let Some(start) = page.start() {
            let is_gone = self.inner.get(view, start).await?.value.is_none();
            match self.fault {
                Fault::AFoundPageEndsWhereItsCursorIsGone if is_gone => {
                    page = page.after("\u{10ffff}");
                }
                Fault::AFoundPageBeginsAnewWhereItsCursorIsGone if is_gone => {
                    page = Page::first(page.limit());
                }
                _ => {}
            }
        }
        if self.fault == Fault::EntriesAreFoundByTheirStart {
            let all = self.all(view).await?;
            let shared = self.shared();
            let has = |document: &StoredDocument| {
                let entries = shared.entries.get(&(view.clone(), document.key.clone()));
                entries.is_some_and(|entries| {
                    entries
                        .iter()
                        .any(|it| it.field == entry.field && it.value.starts_with(&entry.value))
                })
            };
            return Ok(all.map(|documents| DocumentPage {
                documents: documents
                    .into_iter()
                    .filter(has)
                    .take(page.limit())
                    .collect(),
                next: None,
            }));
        }
        let found = self.inner.find(view, &entry, &page).await?;
        let is_empty = found.value.documents.is_empty();
        Ok(self.answered(found, is_empty))
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let view = &self.view(view);
        match self.fault {
            Fault::ThePositionOfAnAnswerIsReadAfterIt => {
                let listed = self.inner.list(view, page).await?;
                sleep(MOMENT).await;
                let position = self.inner.list(view, page).await?.position;
                return Ok(UpTo { position, ..listed });
            }
            Fault::PagesHaveNoLimit => {
                let all = self.all(view).await?;
                return Ok(all.map(|documents| DocumentPage {
                    documents,
                    next: None,
                }));
            }
            Fault::TheCursorIsANumber => {
                let all = self.all(view).await?;
                let mut shared = self.shared();
                let start = page.start().and_then(|start| shared.offsets.get(start));
                let start = start.copied().unwrap_or_default();
                return Ok(all.map(|documents| {
                    let end = (start + page.limit()).min(documents.len());
                    let has_more = end < documents.len();
                    let documents = documents[start.min(end)..end].to_vec();
                    let next = documents
                        .last()
                        .filter(|_| has_more)
                        .map(|last| last.key.clone());
                    if let Some(next) = &next {
                        shared.offsets.insert(next.clone(), end);
                    }
                    DocumentPage { documents, next }
                }));
            }
            _ => {}
        }
        let listed = self.inner.list(view, page).await?;
        let is_empty = listed.value.documents.is_empty();
        let listed = listed.map(|listed| self.paged(listed, page));
        Ok(self.answered(listed, is_empty))
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let view = &self.view(view);
        self.inner.serve(view).await?;
        match self.fault {
            Fault::TwoVersionsServe => self.shared().served.push(view.clone()),
            Fault::NoneServesForAMoment => {
                self.shared()
                    .served
                    .retain(|served| served.name() != view.name());
                sleep(MOMENT).await;
                self.shared().served.push(view.clone());
            }
            _ => {}
        }
        Ok(())
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let view = &self.view(view);
        match self.fault {
            Fault::NothingIsRemoved => return Ok(()),
            Fault::AFormerBuildGoesWithTheNext => {
                for record in self.inner.views(view.name()).await? {
                    if record.view.version() == view.version() {
                        self.inner.remove_view(&record.view).await?;
                    }
                }
            }
            Fault::AllVersionsAreRemoved => {
                for record in self.inner.views(view.name()).await? {
                    self.inner.remove_view(&record.view).await?;
                }
            }
            _ => {}
        }
        self.inner.remove_view(view).await
    }
}

/// The later of two places.
trait Later {
    fn max_of(self, other: Self) -> Self;
}

impl Later for Bookmark {
    fn max_of(self, other: Self) -> Self {
        match self.position < other.position {
            true => other,
            false => self,
        }
    }
}
