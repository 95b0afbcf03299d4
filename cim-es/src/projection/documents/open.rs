//! Opening a view of documents.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::work::DocumentsWork;
use super::{DocumentsView, InDocuments, WithoutFields};
use crate::document::DocumentReader;
use crate::projection::forms::{self, Form};
use crate::projection::stored::{self, Options, SHORTEST_LEASE};
use crate::projection::{OpenError, OpenSplit, ProjectionManager, ViewId};
use crate::store::Position;
use crate::store::read_model::ReadModelStorage;

/// A view of documents that is about to be opened; see
/// [`ProjectionManager::documents`](ProjectionManager::documents).
#[must_use = "nothing is opened before it is awaited"]
pub struct OpenDocuments<P> {
    manager: ProjectionManager,
    projection: P,
    storage: Arc<dyn ReadModelStorage>,
    options: Options,
}

impl ProjectionManager {
    /// Runs a projection into the documents of a storage; await it for the view. It goes on behind the last event that
    /// is counted there.
    ///
    /// Any number of programs may run it on one storage: one counts, the others wait and take over when it ends. A
    /// version that is new is built beside the one that answers, and answers in its place once it has counted as much;
    /// the one before is removed then.
    pub fn documents<P>(&self, storage: impl ReadModelStorage) -> OpenDocuments<P>
    where
        P: InDocuments + WithoutFields,
    {
        self.documents_by(P::new(), storage)
    }

    /// As [`documents`](Self::documents), by a projection that has fields.
    pub fn documents_by<P: InDocuments>(
        &self,
        projection: P,
        storage: impl ReadModelStorage,
    ) -> OpenDocuments<P> {
        OpenDocuments {
            manager: self.clone(),
            projection,
            storage: Arc::new(storage),
            options: Options::default(),
        }
    }
}

impl<P> OpenDocuments<P> {
    /// For how long other programs wait before they take over from this one when nothing is heard of it: 10 seconds
    /// where this is not called, 0.3 seconds at least.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease.max(SHORTEST_LEASE);
        self
    }

    /// Keeps the documents of the version from which this one takes over, so that an older program may go on with them.
    pub fn keep_former_versions(mut self) -> Self {
        self.options.keeps_former = true;
        self
    }
}

impl<P: InDocuments> OpenDocuments<P> {
    /// Keeps the view in parts, each of the events of some partitions, so that the programs that run it share the work: each
    /// keeps some parts, and takes over those of one that ends within the lease.
    ///
    /// It is for a projection whose events stay with one aggregate: the documents that an event reads and writes are made of
    /// events of its own aggregate, or of aggregates with the same id. A projection sees the documents of its part alone.
    /// What a commit on several aggregates changes shows part by part.
    ///
    /// A version is kept whole or in parts; the next one may be kept otherwise, and takes over as any other does. A view in
    /// parts is asked by [`SplitReader`](crate::document::SplitReader), which asks a version that is kept whole as well.
    pub fn split(self) -> OpenSplit<P> {
        OpenSplit::new(self.manager, self.projection, self.storage, self.options)
    }
}

impl<P: InDocuments> IntoFuture for OpenDocuments<P> {
    type Output = Result<DocumentsView<P::Document>, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`]; among them [`OpenError::Storage`] for a declaration that changed under the same version, and
    /// [`OpenError::Superseded`] where a later version answers already, [`OpenError::KeptOtherwise`] where this version is
    /// kept in parts.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self {
                manager,
                projection,
                storage,
                mut options,
            } = self;
            let view = ViewId::new(P::NAME, P::VERSION)?;
            let claim = forms::check(&*storage, &view, Form::Whole).await?;
            options.succeeds_parts = true;
            let reader = DocumentReader::new(Arc::clone(&storage), P::NAME);
            let id = view.clone();
            let work = DocumentsWork::new(Arc::new(projection), Arc::clone(&storage), view);
            let (store, begin) = (manager.store(), Position::START);
            let made = stored::make::<P, _>(store, work, id, begin, options).await?;
            claim.confirm(&*storage).await?;
            let running = manager.run::<P>(made.home, made.rebuilt)?;
            Ok(DocumentsView::new(running, reader))
        })
    }
}
