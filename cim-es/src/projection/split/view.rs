//! A view in parts, as this program has it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep, timeout_at};

use super::SplitStatus;
use crate::document::{
    Document, DocumentError, DocumentKey, Found, IndexField, PartNames, SplitReader,
};
use crate::projection::running::RunningView;
use crate::projection::{ControlError, ViewId, WaitError};
use crate::store::Position;
use crate::store::read_model::{Page, ReadModelStorage, ReadModelStorageExt, UpTo};

/// After what time it is looked up again whether readers are shown a version.
const PAUSE: Duration = Duration::from_millis(20);

/// A view of documents in parts, of which this program keeps some current, and takes over others when the programs that
/// keep them end. [`OpenDocuments::split`](crate::projection::OpenDocuments::split) gives it.
///
/// A clone is another handle to the same view.
pub struct SplitView<D> {
    parts: Arc<[RunningView]>,
    reader: SplitReader<D>,
    storage: Arc<dyn ReadModelStorage>,
    id: ViewId,
}

impl<D> Clone for SplitView<D> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            reader: self.reader.clone(),
            storage: Arc::clone(&self.storage),
            id: self.id.clone(),
        }
    }
}

impl<D: Document> SplitView<D> {
    pub(super) fn new(
        parts: Vec<RunningView>,
        storage: Arc<dyn ReadModelStorage>,
        id: ViewId,
    ) -> Self {
        let reader = SplitReader::of(Arc::clone(&storage), id.name());
        Self {
            parts: parts.into(),
            reader,
            storage,
            id,
        }
    }

    /// The name and version of the view.
    pub fn id(&self) -> &ViewId {
        &self.id
    }

    /// What asks the view, for whoever is not to control it.
    pub fn reader(&self) -> &SplitReader<D> {
        &self.reader
    }

    /// The parts, by their number: each is paused, resumed, skipped or built again for itself, by the program that keeps
    /// it.
    pub fn parts(&self) -> &[RunningView] {
        &self.parts
    }

    /// What the parts are doing, and what that comes to; it prints as one line.
    pub fn status(&self) -> SplitStatus {
        let parts = self.parts.iter().map(RunningView::status).collect();
        SplitStatus::new(self.id.clone(), parts)
    }

    /// The document with a key; none when it is not there.
    ///
    /// # Errors
    /// As [`SplitReader::get`].
    pub async fn get(
        &self,
        key: &(impl DocumentKey + ?Sized),
    ) -> Result<UpTo<Option<D>>, DocumentError> {
        self.reader.get(key).await
    }

    /// The documents with a value in a field that has `#[index]`, in the order of their keys.
    ///
    /// # Errors
    /// As [`SplitReader::find`].
    pub async fn find(
        &self,
        field: &'static str,
        value: &(impl IndexField + ?Sized),
        page: &Page,
    ) -> Result<UpTo<Found<D>>, DocumentError> {
        self.reader.find(field, value, page).await
    }

    /// All documents, in the order of their keys.
    ///
    /// # Errors
    /// As [`SplitReader::list`].
    pub async fn list(&self, page: &Page) -> Result<UpTo<Found<D>>, DocumentError> {
        self.reader.list(page).await
    }

    /// Waits until every part has counted everything up to a position, whoever keeps it, and readers are shown this version
    /// or a later one.
    ///
    /// # Errors
    /// As [`RunningView::wait_for`], by the first part that cannot come there.
    pub async fn wait_for(&self, position: Position, limit: Duration) -> Result<(), WaitError> {
        let end = Instant::now() + limit;
        try_join_all(self.parts.iter().map(|part| part.wait_for(position, limit))).await?;
        match timeout_at(end, self.is_shown()).await {
            Ok(()) => Ok(()),
            Err(_) => {
                let status = self.status();
                Err(WaitError::TooSlow {
                    view: self.id.clone(),
                    wanted: position,
                    up_to: status.up_to(),
                    limit,
                    status: status.to_string(),
                })
            }
        }
    }

    async fn is_shown(&self) {
        let whole = PartNames::whole_name(self.id.name());
        loop {
            // A storage that does not answer is asked again until the time is over.
            if let Ok(Some(serving)) = self.storage.serving(&whole).await
                && serving.view.version() >= self.id.version()
            {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Has the parts that this program keeps stand still, each behind the commit that it is counting. They stay this
    /// program's.
    ///
    /// # Errors
    /// [`ControlError::Stopped`].
    pub async fn pause(&self) -> Result<(), ControlError> {
        let outcomes = join_all(self.parts.iter().map(RunningView::pause)).await;
        outcomes.into_iter().collect()
    }

    /// Has the parts that this program keeps go on: after a pause, or where one is parked, with the event that it could not
    /// count.
    ///
    /// # Errors
    /// [`ControlError::Stopped`].
    pub async fn resume(&self) -> Result<(), ControlError> {
        let outcomes = join_all(self.parts.iter().map(RunningView::resume)).await;
        let is_here = |outcome: &Result<(), ControlError>| {
            !matches!(outcome, Err(ControlError::ElsewhereKept { .. }))
        };
        outcomes.into_iter().filter(is_here).collect()
    }

    /// Stops keeping parts, each behind the commit that it is counting, and waits for that; other programs take them over.
    pub async fn stop(&self) {
        join_all(self.parts.iter().map(RunningView::stop)).await;
    }
}

impl<D> std::fmt::Debug for SplitView<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitView")
            .field("view", &self.id)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}
