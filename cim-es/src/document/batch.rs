//! The unit of work: what a projection reads and writes of its documents, before one commit stores it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use uuid::Uuid;

use super::met::MetKeys;
use super::{Document, DocumentError, DocumentKey, Found, IndexField, declared, key, reader};
use crate::store::Bookmark;
use crate::store::read_model::{
    DocumentChange, DocumentPage, IndexEntry, Page, ReadModelStorage, StoredDocument, ViewChanges,
    ViewId,
};

/// How many documents are kept from one batch to the next, at most.
const KEPT: usize = 16 * 1024;
/// The size of the documents that are kept from one batch to the next, at most.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// What a batch of events makes of the documents of a view.
///
/// It keeps what was read and what was put, so that later events of the batch see it. One commit then
/// stores the last value of each document ([`changes`](Self::changes)); until it is
/// [stored](Self::stored) nobody else sees any of it.
///
/// What was read and written stays in memory for the batches to come, within a bound: whoever makes a
/// batch holds the view, and a commit by somebody else is refused where it would not be known. After a
/// commit that failed, [`forget`](Self::forget) it.
pub struct DocumentBatch<D> {
    storage: Arc<dyn ReadModelStorage>,
    view: ViewId,
    /// What changed in this batch.
    changed: BTreeMap<String, Changed>,
    /// What changed in the batches before, while they are being stored, in their order.
    sent: VecDeque<BTreeMap<String, Changed>>,
    /// What is stored: bytes of a document, or none for one that is not there.
    known: LruCache<String, Option<Bytes>>,
    known_bytes: usize,
    /// The keys that may have documents, where all that is stored was made here since the view was empty.
    met: Option<MetKeys>,
    /// What the events before a commit changed, to go back to.
    before: Vec<(String, Option<Changed>)>,
    is_marked: bool,
    document: PhantomData<fn() -> D>,
}

/// A document that changed.
#[derive(Clone)]
struct Changed {
    value: Option<Bytes>,
    index: Vec<IndexEntry>,
}

impl<D: Document> DocumentBatch<D> {
    /// A batch without changes on the documents of a view.
    pub fn new(storage: Arc<dyn ReadModelStorage>, view: ViewId) -> Self {
        Self {
            storage,
            view,
            changed: BTreeMap::new(),
            sent: VecDeque::new(),
            known: LruCache::unbounded(),
            known_bytes: 0,
            met: None,
            before: Vec::new(),
            is_marked: false,
            document: PhantomData,
        }
    }

    /// The documents as a projection reads and writes them.
    pub fn documents(&mut self) -> Documents<'_, D> {
        Documents { batch: self }
    }

    /// Marks the beginning of a commit of events, to which [`undo`](Self::undo) goes back.
    pub fn mark(&mut self) {
        self.before.clear();
        self.is_marked = true;
    }

    /// Takes back what was put and deleted since the last [`mark`](Self::mark), such as by the events of
    /// a commit of which one cannot be counted.
    pub fn undo(&mut self) {
        for (key, before) in self.before.drain(..).rev() {
            match before {
                Some(changed) => self.changed.insert(key, changed),
                None => self.changed.remove(&key),
            };
        }
    }

    /// Reads documents that events are likely to ask for, in one go.
    ///
    /// # Errors
    /// [`DocumentError::Storage`].
    pub async fn expect(
        &mut self,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<(), DocumentError> {
        let mut wanted: Vec<String> = keys
            .into_iter()
            .filter(|key| {
                !self.is_absent(key) && self.changed(key).is_none() && !self.known.contains(key)
            })
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let read = self.storage.read(&self.view, &keys).await?;
        for (key, value) in wanted.into_iter().zip(read.value) {
            self.keep(key, value);
        }
        Ok(())
    }

    /// The view has no document yet, and nobody else writes any: what was never put needs not be looked for.
    pub(crate) fn begins_empty(&mut self) {
        let is_new = self.known.is_empty() && self.changed.is_empty() && self.sent.is_empty();
        if self.met.is_none() && is_new {
            self.met = Some(MetKeys::new());
        }
    }

    /// Whether nothing can be stored under a key.
    fn is_absent(&self, key: &str) -> bool {
        self.met.as_ref().is_some_and(|met| !met.may_have(key))
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// How many documents changed.
    pub fn len(&self) -> usize {
        self.changed.len()
    }

    /// The commit that stores the last value of each document, with the position.
    pub fn changes(&self, holder: Uuid, after: Bookmark, up_to: Bookmark) -> ViewChanges {
        let documents = self.document_changes().collect();
        ViewChanges::new(holder, after, up_to).with_documents(documents)
    }

    /// The last value of each document that changed, in the order of their keys.
    pub(crate) fn document_changes(&self) -> impl Iterator<Item = DocumentChange> {
        self.changed.iter().map(|(key, changed)| DocumentChange {
            key: key.clone(),
            value: changed.value.clone(),
            index: changed.index.clone(),
        })
    }

    /// The commit is stored: the next batch begins.
    pub fn stored(&mut self) {
        while !self.sent.is_empty() {
            self.sent_is_stored();
        }
        self.begin_next();
        for (key, changed) in std::mem::take(&mut self.changed) {
            self.keep(key, changed.value);
        }
    }

    /// As [`changes`](Self::changes), and the next batch begins before they are stored: it sees them all the same. What is
    /// sent is to be stored in the same order.
    pub(crate) fn send(&mut self, holder: Uuid, after: Bookmark, up_to: Bookmark) -> ViewChanges {
        let changes = self.changes(holder, after, up_to);
        self.begin_next();
        self.sent.push_back(std::mem::take(&mut self.changed));
        changes
    }

    /// What was sent first is stored.
    pub(crate) fn sent_is_stored(&mut self) {
        for (key, changed) in self.sent.pop_front().into_iter().flatten() {
            self.keep(key, changed.value);
        }
    }

    fn begin_next(&mut self) {
        self.before.clear();
        self.is_marked = false;
    }

    /// What became of a document that is not stored yet.
    fn changed(&self, key: &str) -> Option<&Changed> {
        let sent = self.sent.iter().rev();
        let sent = std::iter::once(&self.changed).chain(sent);
        sent.filter_map(|changed| changed.get(key)).next()
    }

    /// Forgets what was put and what is known of what is stored: after a commit that was not stored, or
    /// of which that is not known.
    pub fn forget(&mut self) {
        self.begin_next();
        self.changed.clear();
        self.sent.clear();
        self.known.clear();
        self.known_bytes = 0;
        self.met = None;
    }

    fn keep(&mut self, key: String, value: Option<Bytes>) {
        if let Some(met) = &mut self.met {
            met.insert(&key);
        }
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        self.known_bytes += size(&value);
        if let Some((_, former)) = self.known.push(key, value) {
            self.known_bytes -= size(&former);
        }
        while self.known.len() > KEPT || self.known_bytes > KEPT_BYTES {
            let Some((_, former)) = self.known.pop_lru() else {
                return;
            };
            self.known_bytes -= size(&former);
        }
    }

    fn change(&mut self, key: String, changed: Changed) {
        let before = self.changed.insert(key.clone(), changed);
        if self.is_marked {
            self.before.push((key, before));
        }
    }
}

impl<D> std::fmt::Debug for DocumentBatch<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentBatch")
            .field("view", &self.view)
            .field("changed", &self.changed.len())
            .finish_non_exhaustive()
    }
}

/// The documents of a view, as a projection reads and writes them.
///
/// Each read sees what the events before have put. Nothing is stored before the whole commit of the
/// event is counted.
pub struct Documents<'a, D> {
    batch: &'a mut DocumentBatch<D>,
}

impl<D: Document> Documents<'_, D> {
    /// The document with a key; none when it is not there.
    ///
    /// # Errors
    /// [`DocumentError::InvalidKey`], [`DocumentError::NotReadable`] and [`DocumentError::Storage`].
    pub async fn get(
        &mut self,
        key: &(impl DocumentKey + ?Sized),
    ) -> Result<Option<D>, DocumentError> {
        let key = key::checked(key)?;
        let value = match self.batch.changed(&key) {
            Some(changed) => changed.value.clone(),
            None if self.batch.is_absent(&key) => None,
            None => {
                if !self.batch.known.contains(&*key) {
                    let storage = Arc::clone(&self.batch.storage);
                    let read = storage.read(&self.batch.view, &[&*key]).await?;
                    let value = read.value.into_iter().next().flatten();
                    self.batch.keep(key.clone().into_owned(), value.clone());
                    return value
                        .map(|bytes| declared::decode(&key, &bytes))
                        .transpose();
                }
                self.batch.known.get(&*key).cloned().flatten()
            }
        };
        value
            .map(|bytes| declared::decode(&key, &bytes))
            .transpose()
    }

    /// Writes a document, in place of the one that is there.
    ///
    /// # Errors
    /// [`DocumentError::InvalidKey`], and [`DocumentError::NotStorable`] for a document that would not
    /// read back as it is.
    pub fn put(
        &mut self,
        key: &(impl DocumentKey + ?Sized),
        document: impl Borrow<D>,
    ) -> Result<(), DocumentError> {
        let key = key::checked(key)?;
        let (bytes, index) = declared::encode(&key, document.borrow())?;
        let value = Some(bytes.into());
        self.batch
            .change(key.into_owned(), Changed { value, index });
        Ok(())
    }

    /// Removes a document, if it is there.
    ///
    /// # Errors
    /// [`DocumentError::InvalidKey`].
    pub fn delete(&mut self, key: &(impl DocumentKey + ?Sized)) -> Result<(), DocumentError> {
        let key = key::checked(key)?.into_owned();
        let (value, index) = (None, Vec::new());
        self.batch.change(key, Changed { value, index });
        Ok(())
    }

    /// The documents with a value in a field that has `#[index]`, in the order of their keys.
    ///
    /// # Errors
    /// [`DocumentError::NotIndexed`] for another field, [`DocumentError::NotOneValue`] for a list or an
    /// empty option as the value, [`DocumentError::NotReadable`] and [`DocumentError::Storage`].
    pub async fn find(
        &mut self,
        field: &'static str,
        value: &(impl IndexField + ?Sized),
        page: &Page,
    ) -> Result<Found<D>, DocumentError> {
        let entry = reader::entry::<D>(field, value)?;
        let storage = Arc::clone(&self.batch.storage);
        let stored = storage.find(&self.batch.view, &entry, page).await?.value;
        let is_found = |changed: &Changed| changed.index.contains(&entry);
        Found::decoded(self.overlaid(stored, page, is_found))
    }

    /// All documents, in the order of their keys.
    ///
    /// # Errors
    /// [`DocumentError::NotReadable`] and [`DocumentError::Storage`].
    pub async fn list(&mut self, page: &Page) -> Result<Found<D>, DocumentError> {
        let storage = Arc::clone(&self.batch.storage);
        let stored = storage.list(&self.batch.view, page).await?.value;
        Found::decoded(self.overlaid(stored, page, |_| true))
    }

    /// A stored page with what changed in the batch.
    fn overlaid(
        &self,
        stored: DocumentPage,
        page: &Page,
        is_found: impl Fn(&Changed) -> bool,
    ) -> DocumentPage {
        let batch = &*self.batch;
        let is_within = |key: &str| {
            page.start().is_none_or(|start| start < key)
                && stored.next.as_deref().is_none_or(|last| key <= last)
        };
        let is_last = |(key, changed): &(&String, &Changed)| {
            let last = batch.changed(key);
            last.is_some_and(|last| std::ptr::eq(last, *changed))
        };
        let sent = batch.sent.iter().flatten();
        let ours = batch.changed.iter().chain(sent).filter(is_last);
        let ours = ours.filter_map(|(key, changed)| {
            let value = changed.value.clone()?;
            (is_within(key) && is_found(changed)).then(|| StoredDocument {
                key: key.clone(),
                value,
            })
        });
        let mut documents: Vec<StoredDocument> = ours.collect();
        let theirs = stored.documents.into_iter();
        documents.extend(theirs.filter(|document| batch.changed(&document.key).is_none()));
        documents.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let mut next = stored.next;
        if documents.len() > page.limit() {
            documents.truncate(page.limit());
            next = documents.last().map(|last| last.key.clone());
        }
        DocumentPage { documents, next }
    }
}

impl<D> std::fmt::Debug for Documents<'_, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Documents").field(&*self.batch).finish()
    }
}
