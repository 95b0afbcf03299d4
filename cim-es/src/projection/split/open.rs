//! Opening a view in parts.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::home::{PartHome, Whole};
use super::members::{Assigned, Member};
use super::{PARTS, SplitView};
use crate::document::PartNames;
use crate::projection::documents::{DocumentsWork, InDocuments};
use crate::projection::forms::{self, Form};
use crate::projection::manager::Place;
use crate::projection::stored::{self, Options};
use crate::projection::{OpenError, ProjectionManager, ViewId};
use crate::store::read_model::{ReadModelStorage, ViewDeclaration};

/// A view of documents in parts that is about to be opened; see
/// [`OpenDocuments::split`](crate::projection::OpenDocuments::split).
#[must_use = "nothing is opened before it is awaited"]
pub struct OpenSplit<P> {
    manager: ProjectionManager,
    projection: Arc<P>,
    storage: Arc<dyn ReadModelStorage>,
    options: Options,
    parts: u8,
}

impl<P: InDocuments> OpenSplit<P> {
    pub(in crate::projection) fn new(
        manager: ProjectionManager,
        projection: P,
        storage: Arc<dyn ReadModelStorage>,
        options: Options,
    ) -> Self {
        Self {
            manager,
            projection: Arc::new(projection),
            storage,
            options,
            parts: PARTS,
        }
    }

    /// In how many parts, from 1 to 64: 8 where this is not called. As many programs can share the work. Another number is
    /// another declaration, which needs a version of its own.
    pub fn parts(mut self, parts: u8) -> Self {
        self.parts = parts;
        self
    }

    async fn open(self) -> Result<SplitView<P::Document>, OpenError> {
        let handle = self.manager.check_startable::<P>()?;
        let storage = self.storage;
        let names = PartNames::new(P::NAME, P::VERSION, self.parts)?;
        let (id, whole) = (ViewId::new(P::NAME, P::VERSION)?, names.whole()?);
        let versions = storage.views(whole.name()).await?;
        // A version that is behind one that answers is refused where it is gone.
        let claim = forms::check(&*storage, &id, Form::InParts).await?;
        stored::settled(&versions, &whole)?;
        let fingerprint = P::FINGERPRINT ^ u64::from(names.parts()).wrapping_mul(SPREAD);
        let declaration = ViewDeclaration::new(whole, fingerprint);
        storage.open_view(&declaration).await?;
        claim.confirm(&*storage).await?;
        let (store, lease) = (self.manager.store(), self.options.lease);
        let mut member = Member::new(Arc::clone(&storage), names.clone(), lease);
        let (assigned, over) = Assigned::new(member.parts().await?);
        let keeps_former = self.options.keeps_former;
        let all = Arc::new(Whole::new(
            Arc::clone(store),
            Arc::clone(&storage),
            names.clone(),
            P::NAME,
            keeps_former,
        ));
        let done = all.done().await?.least();
        let mut parts = Vec::new();
        for part in 0..names.parts() {
            let view = names.part(part)?;
            let selection = P::selection().in_partitions(names.partitions(part));
            let work = DocumentsWork::new(
                Arc::clone(&self.projection),
                Arc::clone(&storage),
                view.clone(),
            );
            let made = stored::make::<P, _>(store, work, view.clone(), done, self.options).await?;
            let home = PartHome {
                stored: made.home,
                whole: Arc::clone(&all),
                assigned: Arc::clone(&assigned),
                part,
                store: Arc::clone(store),
                selection: selection.clone(),
                lease,
            };
            let place = Place {
                view,
                selection,
                part: Some(part),
            };
            match self.manager.run_at::<P>(place, home, made.rebuilt) {
                Ok(running) => parts.push(running),
                Err(error) => {
                    futures_util::future::join_all(parts.iter().map(stop)).await;
                    return Err(error);
                }
            }
        }
        handle.spawn(member.run(Arc::downgrade(&assigned), over));
        Ok(SplitView::new(parts, storage, id))
    }
}

/// Spreads the number of parts over a fingerprint.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

async fn stop(part: &crate::projection::RunningView) {
    part.stop().await;
}

impl<P: InDocuments> IntoFuture for OpenSplit<P> {
    type Output = Result<SplitView<P::Document>, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// As for a view that is not split; [`OpenError::KeptOtherwise`] where this version is kept as a whole, and
    /// [`OpenError::Storage`] also for another number of parts under the same version.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}
