//! Asking a view in parts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::names::{PARTS, PartNames, parts_in};
use crate::document::reader::FRESH;
use crate::document::{
    Document, DocumentError, DocumentKey, DocumentReader, Found, IndexField, key,
};
use crate::store::Position;
use crate::store::read_model::{
    Page, ReadModelStorage, ReadModelStorageExt, Unserved, UpTo, ViewId, kept_in_memory,
};

/// Asks the documents of a view in parts, in whichever version serves: also in one that is kept whole, before or after one
/// in parts.
///
/// It needs the storage, and nobody who keeps the view current. An answer is true up to the position that it says: that of
/// the part that is furthest behind. What other parts have counted behind that shows already, so a commit on aggregates of
/// several parts may show in one and not yet in another.
///
/// A clone is another handle to the same.
pub struct SplitReader<D> {
    storage: Arc<dyn ReadModelStorage>,
    name: Arc<str>,
    known: Arc<Mutex<Option<Known<D>>>>,
}

/// The version that served when it was looked up.
struct Known<D> {
    looked: Instant,
    parts: Arc<Parts<D>>,
}

struct Parts<D> {
    version: u32,
    is_whole: bool,
    names: PartNames,
    readers: Vec<DocumentReader<D>>,
}

impl<D> Clone for SplitReader<D> {
    fn clone(&self) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
            name: Arc::clone(&self.name),
            known: Arc::clone(&self.known),
        }
    }
}

impl<D: Document> SplitReader<D> {
    /// Asks the view of a name in a storage.
    pub fn new(storage: impl ReadModelStorage, name: &str) -> Self {
        Self::of(Arc::new(storage), name)
    }

    pub(crate) fn of(storage: Arc<dyn ReadModelStorage>, name: &str) -> Self {
        Self {
            storage,
            name: name.into(),
            known: Arc::default(),
        }
    }

    /// The document with a key; none when it is not there. One whose key is the id of its aggregate is asked of one part.
    ///
    /// # Errors
    /// As [`DocumentReader::get`].
    pub async fn get(
        &self,
        key: &(impl DocumentKey + ?Sized),
    ) -> Result<UpTo<Option<D>>, DocumentError> {
        let key = key::checked(key)?;
        let parts = self.parts(FRESH).await?;
        match parts.get(&key).await {
            Err(error) => self.later(&parts, error).await?.get(&key).await,
            answer => answer,
        }
    }

    /// The documents with a value in a field that has `#[index]`, in the order of their keys.
    ///
    /// # Errors
    /// As [`DocumentReader::find`].
    pub async fn find(
        &self,
        field: &'static str,
        value: &(impl IndexField + ?Sized),
        page: &Page,
    ) -> Result<UpTo<Found<D>>, DocumentError> {
        let parts = self.parts(FRESH).await?;
        match parts.find(field, value, page).await {
            Err(error) => {
                let parts = self.later(&parts, error).await?;
                parts.find(field, value, page).await
            }
            answer => answer,
        }
    }

    /// All documents, in the order of their keys.
    ///
    /// # Errors
    /// As [`DocumentReader::list`].
    pub async fn list(&self, page: &Page) -> Result<UpTo<Found<D>>, DocumentError> {
        let parts = self.parts(FRESH).await?;
        match parts.list(page).await {
            Err(error) => self.later(&parts, error).await?.list(page).await,
            answer => answer,
        }
    }

    /// The version that took over from one that could not be asked any more; else why it could not.
    async fn later(
        &self,
        asked: &Parts<D>,
        error: DocumentError,
    ) -> Result<Arc<Parts<D>>, DocumentError> {
        if !matches!(error, DocumentError::NotServing { .. }) {
            return Err(error);
        }
        let parts = self.parts(Duration::ZERO).await?;
        match parts.is(asked.version, asked.is_whole) {
            true => Err(error),
            false => Ok(parts),
        }
    }

    /// The version that serves, as it was known so long ago at most.
    async fn parts(&self, age: Duration) -> Result<Arc<Parts<D>>, DocumentError> {
        if let Some(known) = &*self.known()
            && known.looked.elapsed() < age
        {
            return Ok(Arc::clone(&known.parts));
        }
        ViewId::check_name(&self.name)?;
        let looked = Instant::now();
        let versions = self
            .storage
            .views(&PartNames::whole_name(&self.name))
            .await?;
        let not_serving = || DocumentError::NotServing {
            name: self.name.to_string(),
            why: Unserved::of(&versions),
        };
        let serving = versions.iter().find(|record| record.is_serving);
        let serving = serving.map(|record| &record.view);
        let whole = self.storage.serving(&self.name).await?;
        let is_later = |whole: &ViewId| serving.is_none_or(|it| whole.version() > it.version());
        let whole = whole.map(|record| record.view).filter(is_later);
        let (version, is_whole, parts) = match (whole, serving) {
            (Some(whole), _) => (whole.version(), true, 1),
            (None, Some(serving)) => {
                let said = self.storage.get(serving, PARTS).await?.value;
                let parts = parts_in(said.as_deref()).ok_or_else(not_serving)?;
                (serving.version(), false, parts)
            }
            (None, None) => {
                let whole = self.storage.views(&self.name).await?;
                return Err(match kept_in_memory(&*self.storage, &whole).await {
                    Some(view) => DocumentError::NotServing {
                        name: self.name.to_string(),
                        why: Unserved::InMemory { view },
                    },
                    None => not_serving(),
                });
            }
        };
        let mut known = self.known();
        let parts = match &*known {
            Some(known) if known.parts.is(version, is_whole) => Arc::clone(&known.parts),
            _ => {
                let names = PartNames::new(&self.name, version, parts)?;
                let reader = |name: &str| DocumentReader::of(Arc::clone(&self.storage), name);
                let readers = match is_whole {
                    true => vec![reader(&self.name)],
                    false => {
                        let parts = (0..parts).map(|part| Ok(reader(names.part(part)?.name())));
                        parts.collect::<Result<_, DocumentError>>()?
                    }
                };
                Arc::new(Parts {
                    version,
                    is_whole,
                    names,
                    readers,
                })
            }
        };
        *known = Some(Known {
            looked,
            parts: Arc::clone(&parts),
        });
        Ok(parts)
    }

    // Nothing that can panic is done under the lock.
    fn known(&self) -> MutexGuard<'_, Option<Known<D>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> Parts<D> {
    fn is(&self, version: u32, is_whole: bool) -> bool {
        (self.version, self.is_whole) == (version, is_whole)
    }
}

impl<D: Document> Parts<D> {
    async fn get(&self, key: &str) -> Result<UpTo<Option<D>>, DocumentError> {
        let first = usize::from(self.names.part_of(key));
        let found = self.readers[first].get(key).await?;
        if found.value.is_some() {
            return Ok(found);
        }
        let others = self.readers.iter().enumerate();
        let others = others.filter(|(part, _)| *part != first);
        let answers = try_join_all(others.map(|(_, part)| part.get(key))).await?;
        let mut position = found.position;
        for answer in answers {
            if answer.value.is_some() {
                return Ok(answer);
            }
            position = position.min(answer.position);
        }
        let value = None;
        Ok(UpTo { value, position })
    }

    async fn find(
        &self,
        field: &'static str,
        value: &(impl IndexField + ?Sized),
        page: &Page,
    ) -> Result<UpTo<Found<D>>, DocumentError> {
        let pages = self
            .readers
            .iter()
            .map(|part| part.find(field, value, page));
        Ok(merged(try_join_all(pages).await?, page))
    }

    async fn list(&self, page: &Page) -> Result<UpTo<Found<D>>, DocumentError> {
        let pages = self.readers.iter().map(|part| part.list(page));
        Ok(merged(try_join_all(pages).await?, page))
    }
}

impl<D> fmt::Debug for SplitReader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitReader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The pages of all parts as one, as far as every part has been read.
fn merged<D>(pages: Vec<UpTo<Found<D>>>, page: &Page) -> UpTo<Found<D>> {
    let position = pages.iter().map(|page| page.position).min();
    let read = pages
        .iter()
        .filter_map(|page| page.value.next.clone())
        .min();
    let mut documents: Vec<_> = pages
        .into_iter()
        .flat_map(|page| page.value.documents)
        .filter(|document| read.as_ref().is_none_or(|read| document.key <= *read))
        .collect();
    documents.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let has_more = documents.len() > page.limit();
    documents.truncate(page.limit());
    let next = match has_more {
        true => documents.last().map(|last| last.key.clone()),
        false => read,
    };
    UpTo {
        value: Found { documents, next },
        position: position.unwrap_or(Position::START),
    }
}
