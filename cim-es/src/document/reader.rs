//! Asking a view: it needs the storage, and nobody who keeps the view current.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::split::PartNames;
use super::{Document, DocumentError, DocumentKey, Found, IndexField, declared, index_text, key};
use crate::store::Position;
use crate::store::read_model::{
    IndexEntry, MAX_INDEX_VALUE, Page, ReadModelError, ReadModelStorage, ReadModelStorageExt,
    Unserved, UpTo, ViewId, ViewRecord, kept_in_memory,
};

/// How long a version is asked before it is looked up again which one serves.
pub(super) const FRESH: Duration = Duration::from_millis(500);

/// Asks the documents of a view, in whichever version serves those who ask by name.
///
/// A new version that takes over is asked within a second. Each answer says up to which position it is
/// true, and is of one version as a whole.
///
/// A clone is another handle to the same.
pub struct DocumentReader<D> {
    storage: Arc<dyn ReadModelStorage>,
    name: Arc<str>,
    serving: Arc<Mutex<Option<Serving>>>,
    document: PhantomData<fn() -> D>,
}

/// The version that served when it was looked up.
#[derive(Clone)]
struct Serving {
    view: ViewId,
    looked: Instant,
    /// How far it was then, or in a later answer. An answer that is behind that is one of a view that is built again.
    up_to: Position,
}

impl<D> Clone for DocumentReader<D> {
    fn clone(&self) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
            name: Arc::clone(&self.name),
            serving: Arc::clone(&self.serving),
            document: PhantomData,
        }
    }
}

impl<D: Document> DocumentReader<D> {
    /// Asks the view of a name in a storage.
    pub fn new(storage: impl ReadModelStorage, name: &str) -> Self {
        Self::of(Arc::new(storage), name)
    }

    pub(crate) fn of(storage: Arc<dyn ReadModelStorage>, name: &str) -> Self {
        Self {
            storage,
            name: name.into(),
            serving: Arc::default(),
            document: PhantomData,
        }
    }

    /// The document with a key; none when it is not there.
    ///
    /// # Errors
    /// [`DocumentError::InvalidKey`], [`DocumentError::NotServing`], [`DocumentError::NotReadable`] and
    /// [`DocumentError::Storage`].
    pub async fn get(
        &self,
        key: &(impl DocumentKey + ?Sized),
    ) -> Result<UpTo<Option<D>>, DocumentError> {
        let key = key::checked(key)?;
        let mut asked = Asked::default();
        loop {
            let view = asked.view(self).await?;
            match self.storage.get(&view, &key).await {
                answer if asked.is_worth_another_look(self, &answer) => {}
                answer => {
                    let decode = |bytes: Bytes| declared::decode(&key, &bytes);
                    return answer?.try_map(|bytes| bytes.map(decode).transpose());
                }
            }
        }
    }

    /// The documents with a value in a field that has `#[index]`, in the order of their keys.
    ///
    /// # Errors
    /// [`DocumentError::NotIndexed`] for another field, [`DocumentError::NotOneValue`] for a list or an
    /// empty option as the value; else as [`get`](Self::get).
    pub async fn find(
        &self,
        field: &'static str,
        value: &(impl IndexField + ?Sized),
        page: &Page,
    ) -> Result<UpTo<Found<D>>, DocumentError> {
        let entry = entry::<D>(field, value)?;
        let mut asked = Asked::default();
        loop {
            let view = asked.view(self).await?;
            match self.storage.find(&view, &entry, page).await {
                answer if asked.is_worth_another_look(self, &answer) => {}
                answer => return answer?.try_map(Found::decoded),
            }
        }
    }

    /// All documents, in the order of their keys.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn list(&self, page: &Page) -> Result<UpTo<Found<D>>, DocumentError> {
        let mut asked = Asked::default();
        loop {
            let view = asked.view(self).await?;
            match self.storage.list(&view, page).await {
                answer if asked.is_worth_another_look(self, &answer) => {}
                answer => return answer?.try_map(Found::decoded),
            }
        }
    }

    /// The version that serves, as it was known so long ago at most.
    async fn serving(&self, age: Duration) -> Result<ViewId, DocumentError> {
        let known = self.known().clone();
        if let Some(serving) = known
            && serving.looked.elapsed() < age
        {
            return Ok(serving.view);
        }
        ViewId::check_name(&self.name)?;
        let looked = Instant::now();
        let versions = self.storage.views(&self.name).await?;
        let Some(record) = versions.iter().find(|record| record.is_serving) else {
            *self.known() = None;
            return Err(DocumentError::NotServing {
                name: self.name.to_string(),
                why: self.unserved(&versions).await,
            });
        };
        *self.known() = Some(Serving {
            view: record.view.clone(),
            looked,
            up_to: record.up_to.position,
        });
        Ok(record.view.clone())
    }

    /// Why nobody is answered; versions may be kept in parts.
    async fn unserved(&self, versions: &[ViewRecord]) -> Unserved {
        let in_parts = PartNames::whole_name(&self.name);
        match self.storage.serving(&in_parts).await {
            Ok(Some(_)) => Unserved::InParts,
            _ => match kept_in_memory(&*self.storage, versions).await {
                Some(view) => Unserved::InMemory { view },
                None => Unserved::of(versions),
            },
        }
    }

    /// Notes how far an answer is; whether it is behind an earlier one.
    fn is_behind(&self, position: Position) -> bool {
        let mut known = self.known();
        let Some(serving) = &mut *known else {
            return false;
        };
        let is_behind = position < serving.up_to;
        serving.up_to = serving.up_to.max(position);
        is_behind
    }

    fn known(&self) -> MutexGuard<'_, Option<Serving>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> std::fmt::Debug for DocumentReader<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentReader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A question that is asked once more where the version was removed or begun again meanwhile.
#[derive(Default)]
struct Asked {
    times: u32,
}

impl Asked {
    /// The version to ask.
    async fn view<D: Document>(&self, reader: &DocumentReader<D>) -> Result<ViewId, DocumentError> {
        let age = if self.times == 0 {
            FRESH
        } else {
            Duration::ZERO
        };
        reader.serving(age).await
    }

    /// Whether another version may serve by now.
    fn is_worth_another_look<D: Document, T>(
        &mut self,
        reader: &DocumentReader<D>,
        answer: &Result<UpTo<T>, ReadModelError>,
    ) -> bool {
        self.times += 1;
        let is_worth_it = match answer {
            Ok(answer) => reader.is_behind(answer.position),
            Err(error) => matches!(error, ReadModelError::NoSuchView { .. }),
        };
        self.times == 1 && is_worth_it
    }
}

/// The index entry by which documents are found that have a value.
pub(super) fn entry<D: Document>(
    field: &'static str,
    value: &(impl IndexField + ?Sized),
) -> Result<IndexEntry, DocumentError> {
    declared::check_index::<D>(field)?;
    let refuse = |values: usize, reason: &str| {
        Err(DocumentError::NotOneValue {
            field: field.to_owned(),
            values,
            reason: reason.to_owned(),
        })
    };
    match index_text::all(value) {
        Ok(texts) => match <[String; 1]>::try_from(texts) {
            Ok([text]) if text.len() <= MAX_INDEX_VALUE => Ok(IndexEntry::new(field, text)),
            Ok(_) => refuse(1, "it is longer than any that documents are found by"),
            Err(texts) => refuse(
                texts.len(),
                "documents that have no value cannot be found by it; ask once for each value",
            ),
        },
        Err(reason) => refuse(0, &reason),
    }
}
