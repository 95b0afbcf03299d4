//! Reading documents as they were at one commit.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::JetStreamReadModels;
use super::document::Version;
use super::record::Record;
use crate::engine::jetstream::buckets::name::text;
use crate::engine::jetstream::retry::{self, Retry};
use crate::store::StoreError;
use crate::store::read_model::{
    DocumentPage, IndexEntry, Page, ReadModelError, StoredDocument, UpTo, ViewId,
};

/// How many documents are read at once.
const AT_ONCE: usize = 32;
/// The size of documents past which a page ends.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Why there is no answer.
enum Unread {
    /// The view has come further meanwhile than a document remembers: it is to be asked again.
    Advanced,
    Failed(ReadModelError),
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ReadModelError> for Unread {
    fn from(error: ReadModelError) -> Self {
        Self::Failed(error)
    }
}

impl JetStreamReadModels {
    pub(super) async fn read_documents(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut retry = self.reading();
        loop {
            match self.read_once(view, &keys).await {
                Ok(answer) => return Ok(answer),
                Err(unread) => self.again(&mut retry, unread).await?,
            }
        }
    }

    pub(super) async fn find_documents(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let mut retry = self.reading();
        loop {
            match self.page_once(view, Some(entry), page).await {
                Ok(answer) => return Ok(answer),
                Err(unread) => self.again(&mut retry, unread).await?,
            }
        }
    }

    pub(super) async fn list_documents(
        &self,
        view: &ViewId,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let mut retry = self.reading();
        loop {
            match self.page_once(view, None, page).await {
                Ok(answer) => return Ok(answer),
                Err(unread) => self.again(&mut retry, unread).await?,
            }
        }
    }

    fn reading(&self) -> Retry {
        retry::RACE.within(self.bucket.api().patience)
    }

    async fn again(&self, retry: &mut Retry, unread: Unread) -> Result<(), ReadModelError> {
        match unread {
            Unread::Advanced => Ok(self.or_busy(retry.pause().await)?),
            Unread::Failed(error) => Err(error),
        }
    }

    async fn read_once(
        &self,
        view: &ViewId,
        keys: &[String],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, Unread> {
        let record = self.record(view).await?.record;
        let mut seen = stream::iter(0..keys.len())
            .map(|at| self.seen(&record, &keys[at]))
            .buffered(AT_ONCE);
        let mut documents = Vec::with_capacity(keys.len());
        while let Some(version) = seen.try_next().await? {
            documents.push(version.value());
        }
        // Those of a view that was removed meanwhile are gone.
        if documents.iter().any(Option::is_none) {
            self.check_since(view, &record).await?;
        }
        Ok(UpTo {
            value: documents,
            position: record.position(),
        })
    }

    /// A page of the documents that have an index entry, or of all.
    async fn page_once(
        &self,
        view: &ViewId,
        entry: Option<&IndexEntry>,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, Unread> {
        let record = self.record(view).await?.record;
        let build = record.build.simple();
        let filter = match entry {
            Some(entry) => self.index_subject(&record, (&*entry.field, &*entry.value), "*"),
            None => self.subject(&format!("doc.{build}.*")),
        };
        let mut keys = Vec::new();
        for subject in self.bucket.subjects(&filter).await? {
            let key = subject.rsplit('.').next().and_then(text);
            let key = key.ok_or_else(|| self.changed(&subject))?;
            if page.start().is_none_or(|start| start < key.as_str()) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        let mut seen = stream::iter(0..keys.len())
            .map(|at| self.seen(&record, &keys[at]))
            .buffered(AT_ONCE.min(page.limit() + 1));
        let mut found: Vec<StoredDocument> = Vec::new();
        let (mut bytes, mut at, mut has_more) = (0, 0, false);
        while let Some(version) = seen.try_next().await? {
            let key = &keys[at];
            at += 1;
            let Some(value) = version.value() else {
                continue;
            };
            if entry.is_some_and(|entry| !version.has(entry)) {
                continue;
            }
            if found.len() == page.limit() || bytes >= PAGE_BYTES {
                has_more = true;
                break;
            }
            bytes += value.len();
            found.push(StoredDocument {
                key: key.clone(),
                value,
            });
        }
        self.check_since(view, &record).await?;
        let next = found
            .last()
            .filter(|_| has_more)
            .map(|last| last.key.clone());
        Ok(UpTo {
            value: DocumentPage {
                documents: found,
                next,
            },
            position: record.position(),
        })
    }

    /// A document as it was when a view had come as far as a record says.
    async fn seen(&self, record: &Record, key: &str) -> Result<Version, Unread> {
        let found = self.document(record, key).await?;
        found
            .document
            .seen_from(record)
            .cloned()
            .ok_or(Unread::Advanced)
    }

    /// Whether what was not there was not there either when the view had come as far as a record says: index entries
    /// may have been removed meanwhile, and with the view all its keys.
    async fn check_since(&self, view: &ViewId, record: &Record) -> Result<(), Unread> {
        let since = self.record(view).await?.record;
        match since.build == record.build && since.swept <= record.committed {
            true => Ok(()),
            false => Err(Unread::Advanced),
        }
    }
}
