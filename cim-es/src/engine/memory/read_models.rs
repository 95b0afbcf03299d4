//! Read models in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::poisoned;
use crate::domain::message::Timestamp;
use crate::store::Location;
use crate::store::read_model::{
    DocumentChange, DocumentPage, Held, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage,
    ReadModelsBeside, StoredDocument, UpTo, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};

/// Keeps read models in memory: for tests, and for what is built again from its events at each start.
///
/// A clone is another handle to the same views.
///
/// ```
/// use cim_es::MemoryReadModels;
///
/// let storage = MemoryReadModels::new();
/// ```
#[derive(Clone, Default)]
pub struct MemoryReadModels {
    views: Arc<RwLock<BTreeMap<ViewId, View>>>,
}

/// A view with its documents.
struct View {
    record: ViewRecord,
    documents: BTreeMap<String, Document>,
    /// Index entries, each with the key of its document.
    index: BTreeSet<(IndexEntry, String)>,
}

struct Document {
    value: Bytes,
    index: Vec<IndexEntry>,
}

impl MemoryReadModels {
    /// A storage without views.
    pub fn new() -> Self {
        Self::default()
    }

    fn views(&self) -> Result<RwLockReadGuard<'_, BTreeMap<ViewId, View>>, ReadModelError> {
        self.views.read().map_err(|_| poisoned().into())
    }

    fn views_mut(&self) -> Result<RwLockWriteGuard<'_, BTreeMap<ViewId, View>>, ReadModelError> {
        self.views.write().map_err(|_| poisoned().into())
    }

    /// Answers a question about a view, with the position up to which the answer is true.
    fn answer<T>(
        &self,
        id: &ViewId,
        question: impl FnOnce(&View) -> T,
    ) -> Result<UpTo<T>, ReadModelError> {
        let views = self.views()?;
        let view = views.get(id).ok_or_else(|| no_such_view(id))?;
        Ok(UpTo {
            value: question(view),
            position: view.record.up_to.position,
        })
    }
}

#[async_trait]
impl ReadModelsBeside for MemoryReadModels {
    fn is_there(&self) -> bool {
        true
    }

    async fn open(&self) -> Result<Arc<dyn ReadModelStorage>, ReadModelError> {
        Ok(Arc::new(self.clone()))
    }
}

impl std::fmt::Debug for MemoryReadModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryReadModels").finish_non_exhaustive()
    }
}

fn no_such_view(view: &ViewId) -> ReadModelError {
    ReadModelError::NoSuchView {
        location: Location::Memory,
        view: view.clone(),
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

impl View {
    fn new(declaration: &ViewDeclaration) -> Self {
        Self {
            record: ViewRecord::new(declaration),
            documents: BTreeMap::new(),
            index: BTreeSet::new(),
        }
    }

    fn change(&mut self, change: DocumentChange) {
        let DocumentChange { key, value, index } = change;
        if let Some(before) = self.documents.remove(&key) {
            for entry in before.index {
                self.index.remove(&(entry, key.clone()));
            }
        }
        if let Some(value) = value {
            let entries = index.iter().map(|entry| (entry.clone(), key.clone()));
            self.index.extend(entries);
            self.documents.insert(key, Document { value, index });
        }
    }

    /// A page of the documents with the keys of a list.
    fn page<'a>(&self, keys: impl Iterator<Item = &'a String>, page: &Page) -> DocumentPage {
        let mut documents = Vec::new();
        for key in keys {
            if documents.len() == page.limit() {
                let next = documents
                    .last()
                    .map(|last: &StoredDocument| last.key.clone());
                return DocumentPage { documents, next };
            }
            documents.extend(self.documents.get(key).map(|document| StoredDocument {
                key: key.clone(),
                value: document.value.clone(),
            }));
        }
        DocumentPage {
            documents,
            next: None,
        }
    }
}

#[async_trait]
impl ReadModelStorage for MemoryReadModels {
    fn location(&self) -> Location {
        Location::Memory
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        let mut views = self.views_mut()?;
        let view = views
            .entry(declaration.view.clone())
            .or_insert_with(|| View::new(declaration));
        view.record.check(declaration, &Location::Memory)?;
        Ok(view.record.clone())
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        let views = self.views()?;
        let named = views
            .values()
            .filter(|view| view.record.view.name() == name);
        Ok(named.map(|view| view.record.clone()).collect())
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        let mut views = self.views_mut()?;
        let record = &mut views
            .get_mut(view)
            .ok_or_else(|| no_such_view(view))?
            .record;
        let now = now();
        let hold = Hold::decide(record.held.as_ref(), holder, lease, now);
        if let Hold::Held { .. } = hold {
            record.held = Some(Held::new(holder, lease, now));
        }
        Ok(hold)
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        let mut views = self.views_mut()?;
        if let Some(view) = views.get_mut(view) {
            view.record.held = view.record.held.filter(|held| held.holder != holder);
        }
        Ok(())
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        changes.check(view)?;
        let mut views = self.views_mut()?;
        let kept = views.get_mut(view).ok_or_else(|| no_such_view(view))?;
        kept.record.take(&changes, &Location::Memory)?;
        for document in changes.documents {
            kept.change(document);
        }
        Ok(())
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        self.answer(view, |view| {
            let documents = keys.iter().map(|key| view.documents.get(*key));
            documents
                .map(|document| document.map(|document| document.value.clone()))
                .collect()
        })
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.answer(view, |view| {
            let start = (entry.clone(), page.start().unwrap_or_default().to_owned());
            let found = view.index.range((Bound::Excluded(start), Bound::Unbounded));
            let found = found.take_while(|(found, _)| found == entry);
            view.page(found.map(|(_, key)| key), page)
        })
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.answer(view, |view| {
            let start = page.start().map_or(Bound::Unbounded, Bound::Excluded);
            let behind = view.documents.range::<str, _>((start, Bound::Unbounded));
            view.page(behind.map(|(key, _)| key), page)
        })
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let mut views = self.views_mut()?;
        if !views.contains_key(view) {
            return Err(no_such_view(view));
        }
        let named = views.iter_mut().filter(|(id, _)| id.name() == view.name());
        for (id, version) in named {
            version.record.is_serving = id == view;
        }
        Ok(())
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        self.views_mut()?.remove(view);
        Ok(())
    }
}
