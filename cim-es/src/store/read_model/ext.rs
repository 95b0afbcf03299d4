//! What callers want of every storage, made of what a storage writes.

use async_trait::async_trait;
use bytes::Bytes;

use super::{ReadModelError, ReadModelStorage, UpTo, ViewId, ViewRecord};

/// What callers want of every storage of read models, made of the methods of [`ReadModelStorage`].
#[async_trait]
pub trait ReadModelStorageExt: ReadModelStorage {
    /// The document with a key; none when it is not there.
    ///
    /// # Errors
    /// As [`ReadModelStorage::read`].
    async fn get(&self, view: &ViewId, key: &str) -> Result<UpTo<Option<Bytes>>, ReadModelError> {
        let read = self.read(view, &[key]).await?;
        Ok(read.map(|documents| documents.into_iter().next().flatten()))
    }

    /// What is known of a view; none when it is not there.
    ///
    /// # Errors
    /// The storage's failures.
    async fn view(&self, view: &ViewId) -> Result<Option<ViewRecord>, ReadModelError> {
        let views = self.views(view.name()).await?;
        Ok(views.into_iter().find(|record| record.view == *view))
    }

    /// The version of a view that answers those who ask by name; none when none does yet.
    ///
    /// # Errors
    /// The storage's failures.
    async fn serving(&self, name: &str) -> Result<Option<ViewRecord>, ReadModelError> {
        let views = self.views(name).await?;
        Ok(views.into_iter().find(|record| record.is_serving))
    }
}

impl<S: ReadModelStorage + ?Sized> ReadModelStorageExt for S {}
