//! Handing the port on: what holds a storage is a storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, UpTo, ViewChanges,
    ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::Location;

/// The port has no method with a body of its own, so one that is missing here does not compile.
macro_rules! forward {
    ($($holder:ident),*) => {$(
        #[async_trait]
        impl<S: ReadModelStorage + ?Sized> ReadModelStorage for $holder<S> {
            fn location(&self) -> Location {
                (**self).location()
            }

            async fn open_view(
                &self,
                declaration: &ViewDeclaration,
            ) -> Result<ViewRecord, ReadModelError> {
                (**self).open_view(declaration).await
            }

            async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
                (**self).views(name).await
            }

            async fn hold(
                &self,
                view: &ViewId,
                holder: Uuid,
                lease: Duration,
            ) -> Result<Hold, ReadModelError> {
                (**self).hold(view, holder, lease).await
            }

            async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
                (**self).release(view, holder).await
            }

            async fn commit(
                &self,
                view: &ViewId,
                changes: ViewChanges,
            ) -> Result<(), ReadModelError> {
                (**self).commit(view, changes).await
            }

            async fn read(
                &self,
                view: &ViewId,
                keys: &[&str],
            ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
                (**self).read(view, keys).await
            }

            async fn find(
                &self,
                view: &ViewId,
                entry: &IndexEntry,
                page: &Page,
            ) -> Result<UpTo<DocumentPage>, ReadModelError> {
                (**self).find(view, entry, page).await
            }

            async fn list(
                &self,
                view: &ViewId,
                page: &Page,
            ) -> Result<UpTo<DocumentPage>, ReadModelError> {
                (**self).list(view, page).await
            }

            async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
                (**self).serve(view).await
            }

            async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
                (**self).remove_view(view).await
            }
        }
    )*};
}

forward!(Arc, Box);
