//! Opening a view in parts.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::home::{PartHome, Whole};
use super::members::{Assigned, Member};
use super::{PARTS, SplitView};
use crate::document::{PartNames, parts_in};
use crate::projection::documents::{DocumentsWork, InDocuments};
use crate::projection::manager::Place;
use crate::projection::stored::{self, Options};
use crate::projection::{OpenError, ProjectionManager, ViewId};
use crate::store::Position;
use crate::store::read_model::{
    ReadModelStorage, ReadModelStorageExt, ViewDeclaration, ViewRecord,
};

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
        stored::settled(&versions, &whole)?;
        let fingerprint = P::FINGERPRINT ^ u64::from(names.parts()).wrapping_mul(SPREAD);
        let declaration = ViewDeclaration::new(whole, fingerprint);
        storage.open_view(&declaration).await?;
        let lease = self.options.lease;
        let mut member = Member::new(Arc::clone(&storage), names.clone(), lease);
        let (assigned, over) = Assigned::new(member.parts().await?);
        let serving = versions.iter().find(|record| record.is_serving);
        let formers = formers(&*storage, serving, P::NAME).await?;
        let keeps_former = self.options.keeps_former;
        let all = Arc::new(Whole::new(
            Arc::clone(&storage),
            names.clone(),
            P::NAME,
            keeps_former,
        ));
        let mut parts = Vec::new();
        for part in 0..names.parts() {
            let view = names.part(part)?;
            let selection = P::selection().in_partitions(names.partitions(part));
            let work = DocumentsWork::new(
                Arc::clone(&self.projection),
                Arc::clone(&storage),
                view.clone(),
            );
            let settled = settled(&formers, &names, part);
            let made = stored::make::<P, _>(work, view.clone(), settled, self.options).await?;
            let home = PartHome {
                stored: made.home,
                whole: Arc::clone(&all),
                assigned: Arc::clone(&assigned),
                part,
                store: Arc::clone(self.manager.store()),
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

/// How far each part of the version is that answers.
async fn formers(
    storage: &dyn ReadModelStorage,
    serving: Option<&ViewRecord>,
    name: &str,
) -> Result<Vec<Position>, OpenError> {
    let Some(serving) = serving.map(|record| &record.view) else {
        return Ok(Vec::new());
    };
    let said = storage.get(serving, crate::document::PARTS).await?;
    let parts = parts_in(said.value.as_deref()).unwrap_or(0);
    let names = PartNames::new(name, serving.version(), parts)?;
    let mut formers = Vec::new();
    for part in 0..parts {
        let record = storage.serving(names.part(part)?.name()).await?;
        formers.push(record.map_or(Position::START, |record| record.up_to.position));
    }
    Ok(formers)
}

/// Up to where what is done once was done, of the events of a part: by the same part of the version that answers, or by
/// all parts of it where it has another number of them.
fn settled(formers: &[Position], names: &PartNames, part: u8) -> Position {
    let is_alike = formers.len() == usize::from(names.parts());
    let former = match is_alike {
        true => formers.get(usize::from(part)),
        false => formers.iter().min(),
    };
    former.copied().unwrap_or_default()
}

impl<P: InDocuments> IntoFuture for OpenSplit<P> {
    type Output = Result<SplitView<P::Document>, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// As for a view that is not split; [`OpenError::Storage`] also for another number of parts under the same version.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}
