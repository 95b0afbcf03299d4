//! Opening a view that is kept with the events.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use super::runner::InlineRunner;
use super::view::{InlineDocuments, InlineTables, Said};
use crate::document::DocumentReader;
use crate::engine::sqlite::{DeclaredTables, InlineView, RegisterError, SqliteEventStore};
use crate::projection::running::RunningView;
use crate::projection::stored;
use crate::projection::tables::{InTables, TablesReader, TablesView};
use crate::projection::{
    DocumentsView, InDocuments, OpenError, Projection, ProjectionManager, ViewId, ViewStatus,
    WithoutFields,
};
use crate::store::EventStore;
use crate::store::read_model::{ReadModelStorage, TableNames, ViewDeclaration, ViewRecord};

/// A view that is about to be kept with the events; see [`ProjectionManager::inline`](ProjectionManager::inline).
#[must_use = "nothing is opened before it is awaited"]
pub struct OpenInline<P> {
    manager: ProjectionManager,
    projection: P,
    store: SqliteEventStore,
    keeps_former: bool,
}

impl ProjectionManager {
    /// Keeps a projection into documents in the file of the events, in the transactions that store the events; await it
    /// for the view. Whoever has the answer to a commit finds the view level with it.
    ///
    /// `store` is the one of the manager, which must be opened for writing. A view that is new is built beside the events
    /// that come, then answers in place of the version before it, which is removed.
    ///
    /// Each commit waits for what the projection makes of it. An event that cannot be counted fails no commit: the view is
    /// parked there, as any other. So is one whose projection waits for something else than its documents. What is done
    /// outside of the view may be done for a commit that is not stored in the end: do nothing outside.
    ///
    /// Any number of programs may keep it on one file: each counts what it writes. Where a program writes that does not
    /// keep it, the view is behind until one that does looks, which is soon, and before that says where it is.
    ///
    /// # Errors
    /// [`OpenError`] when it is awaited.
    pub fn inline<P>(&self, store: &SqliteEventStore) -> OpenInline<P>
    where
        P: InDocuments + WithoutFields,
    {
        self.inline_by(P::new(), store)
    }

    /// As [`inline`](Self::inline), by a projection that has fields.
    pub fn inline_by<P: InDocuments>(
        &self,
        projection: P,
        store: &SqliteEventStore,
    ) -> OpenInline<P> {
        OpenInline {
            manager: self.clone(),
            projection,
            store: store.clone(),
            keeps_former: false,
        }
    }
}

impl<P> OpenInline<P> {
    /// Keeps the documents of the version from which this one takes over, so that an older program may go on with them.
    pub fn keep_former_versions(mut self) -> Self {
        self.keeps_former = true;
        self
    }
}

impl<P: InDocuments> IntoFuture for OpenInline<P> {
    type Output = Result<DocumentsView<P::Document>, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`]; among them [`OpenError::AnotherStore`], [`OpenError::Storage`] for a declaration that changed under
    /// the same version and for a file that is open for reading only, and [`OpenError::Superseded`] where a later version
    /// answers already.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let build = newest_build::<P>(&self.store).await?;
            let opening = Opening::<P>::new(&self.manager, &self.store, build, None).await?;
            let storage = self.store.read_models();
            let view = InlineDocuments::new(
                self.projection,
                opening.declaration.clone(),
                storage.location(),
                opening.said.clone(),
            );
            let running = opening.run(Box::new(view), self.keeps_former).await?;
            let reader = DocumentReader::new(storage, P::NAME);
            Ok(DocumentsView::new(running, reader))
        })
    }
}

/// A view of tables that is about to be kept with the events; see
/// [`ProjectionManager::inline_tables`](ProjectionManager::inline_tables).
#[must_use = "nothing is opened before it is awaited"]
pub struct OpenInlineTables<P> {
    manager: ProjectionManager,
    projection: P,
    store: SqliteEventStore,
    keeps_former: bool,
}

impl ProjectionManager {
    /// Keeps a projection into tables of its own in the file of the events, in the transactions that store them; await it
    /// for the view. What [`inline`](Self::inline) says of documents holds for the tables.
    pub fn inline_tables<P>(&self, store: &SqliteEventStore) -> OpenInlineTables<P>
    where
        P: InTables + WithoutFields,
    {
        self.inline_tables_by(P::new(), store)
    }

    /// As [`inline_tables`](Self::inline_tables), by a projection that has fields.
    pub fn inline_tables_by<P: InTables>(
        &self,
        projection: P,
        store: &SqliteEventStore,
    ) -> OpenInlineTables<P> {
        OpenInlineTables {
            manager: self.clone(),
            projection,
            store: store.clone(),
            keeps_former: false,
        }
    }
}

impl<P> OpenInlineTables<P> {
    /// Keeps the tables of the version from which this one takes over, so that an older program may go on with them.
    pub fn keep_former_versions(mut self) -> Self {
        self.keeps_former = true;
        self
    }
}

impl<P: InTables> IntoFuture for OpenInlineTables<P> {
    type Output = Result<TablesView, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// As for documents; among them [`OpenError::Storage`] for a text that does not make the tables, and for tables that
    /// somebody changed.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let build = newest_build::<P>(&self.store).await?;
            let names = Arc::new(TableNames::declared_in(&build, P::TABLES)?);
            let tables = (Arc::clone(&names), P::TABLES);
            let opening =
                Opening::<P>::new(&self.manager, &self.store, build, Some(tables)).await?;
            let view = InlineTables {
                projection: self.projection,
                declaration: opening.declaration.clone(),
                selection: P::selection(),
                names,
                said: opening.said.clone(),
            };
            let running = opening.run(Box::new(view), self.keeps_former).await?;
            let reader = TablesReader::inline(self.store.read_models(), P::NAME);
            Ok(TablesView { running, reader })
        })
    }
}

/// The build of a view that is gone on with: one that a program began to build again, or the first.
async fn newest_build<P: Projection>(store: &SqliteEventStore) -> Result<ViewId, OpenError> {
    let id = ViewId::new(P::NAME, P::VERSION)?;
    let versions = store.read_models().views(P::NAME).await?;
    Ok(ViewRecord::newest_build(&versions, &id).unwrap_or(id))
}

/// A view that is in the file, and that nobody keeps yet.
struct Opening<'a, P> {
    manager: &'a ProjectionManager,
    store: &'a SqliteEventStore,
    declaration: ViewDeclaration,
    said: Said,
    projection: PhantomData<fn() -> P>,
}

impl<'a, P: Projection> Opening<'a, P> {
    async fn new(
        manager: &'a ProjectionManager,
        store: &'a SqliteEventStore,
        build: ViewId,
        tables: Option<DeclaredTables>,
    ) -> Result<Self, OpenError> {
        let id = ViewId::new(P::NAME, P::VERSION)?;
        let storage = store.read_models();
        if manager.store().settings().store_id != store.settings().store_id {
            return Err(OpenError::AnotherStore {
                name: P::NAME,
                location: storage.location(),
            });
        }
        manager.check_startable::<P>()?;
        let settled = stored::settled(&storage.views(P::NAME).await?, &id)?;
        let declaration = ViewDeclaration::new(build, P::FINGERPRINT).settled_up_to(settled);
        let record = store.open_inline(&declaration, tables).await?;
        let mut begun = ViewStatus::new(id);
        let shown = record.is_serving.then_some(record.up_to);
        begun.say_where(shown.unwrap_or_default(), record.up_to);
        begun.skipped = record.skipped;
        Ok(Self {
            manager,
            store,
            declaration,
            said: Said::new(begun),
            projection: PhantomData,
        })
    }

    /// Has the writer keep the view, and runs its task.
    async fn run(
        self,
        view: Box<dyn InlineView>,
        keeps_former: bool,
    ) -> Result<RunningView, OpenError> {
        let kept = self.store.keep_inline(view, keeps_former).await;
        let kept = kept.map_err(|error| match error {
            RegisterError::Taken(view) => OpenError::KeptAlready { view },
            RegisterError::Storage(error) => OpenError::Storage(error),
        })?;
        // Where little is missing, the view is level at once; what goes wrong goes wrong again for the task, which says it.
        let _ = kept.step(true).await;
        let said = self.said;
        let status = said.status.clone();
        let task = |commands| InlineRunner::new(kept, commands, said).run();
        self.manager.start::<P, _>(status, task)
    }
}
