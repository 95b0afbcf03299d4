//! Opening a view of tables.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
#[cfg(feature = "sqlite")]
use std::sync::Arc;
use std::time::Duration;

use super::work::TablesWork;
use crate::projection::running::RunningView;
use crate::projection::stored::{self, Options, SHORTEST_LEASE, Work};
use crate::projection::{OpenError, Projection, ProjectionManager, ViewId, WithoutFields};
use crate::store::Position;
use crate::store::read_model::TableNames;

#[cfg(feature = "sqlite")]
use super::sqlite::InSqlite;
#[cfg(feature = "sqlite")]
use super::{InTables, TablesReader, TablesView};
#[cfg(feature = "sqlite")]
use crate::engine::sqlite::SqliteReadModels;

#[cfg(feature = "postgres")]
use super::postgres::InPostgres;
#[cfg(feature = "postgres")]
use super::{InPostgresTables, PostgresTablesReader, PostgresTablesView};
#[cfg(feature = "postgres")]
use crate::engine::postgres::PostgresReadModels;

/// A view of tables that is about to be opened, in a storage `S`; `ProjectionManager::tables` and
/// `ProjectionManager::postgres_tables` give it.
#[must_use = "nothing is opened before it is awaited"]
pub struct OpenTables<P, S> {
    manager: ProjectionManager,
    projection: P,
    storage: S,
    options: Options,
}

#[cfg(feature = "sqlite")]
impl ProjectionManager {
    /// Runs a projection into tables of its own in a file of read models; await it for the view. It makes the tables of
    /// this version when they are missing, and goes on behind the last event that is counted there.
    ///
    /// Any number of programs may run it on one file: one counts, the others wait and take over when it ends. A version
    /// that is new is built in tables of its own beside the one that answers, and answers in its place once it has counted
    /// as much; the tables of the one before are removed then.
    ///
    /// Any program reads the tables of the version that answers by a name without a version: `heads_units` for `{units}` of
    /// the view `heads`.
    pub fn tables<P>(&self, storage: SqliteReadModels) -> OpenTables<P, SqliteReadModels>
    where
        P: InTables + WithoutFields,
    {
        self.tables_by(P::new(), storage)
    }

    /// As [`tables`](Self::tables), by a projection that has fields.
    pub fn tables_by<P: InTables>(
        &self,
        projection: P,
        storage: SqliteReadModels,
    ) -> OpenTables<P, SqliteReadModels> {
        OpenTables::new(self, projection, storage)
    }
}

#[cfg(feature = "postgres")]
impl ProjectionManager {
    /// Runs a projection into tables of its own in PostgreSQL; await it for the view. As `tables` in SQLite: the tables and
    /// the names without a version stand in the schema of the read models.
    pub fn postgres_tables<P>(
        &self,
        storage: PostgresReadModels,
    ) -> OpenTables<P, PostgresReadModels>
    where
        P: InPostgresTables + WithoutFields,
    {
        self.postgres_tables_by(P::new(), storage)
    }

    /// As [`postgres_tables`](Self::postgres_tables), by a projection that has fields.
    pub fn postgres_tables_by<P: InPostgresTables>(
        &self,
        projection: P,
        storage: PostgresReadModels,
    ) -> OpenTables<P, PostgresReadModels> {
        OpenTables::new(self, projection, storage)
    }
}

impl<P, S> OpenTables<P, S> {
    fn new(manager: &ProjectionManager, projection: P, storage: S) -> Self {
        Self {
            manager: manager.clone(),
            projection,
            storage,
            options: Options::default(),
        }
    }

    /// For how long other programs wait before they take over from this one when nothing is heard of it: 10 seconds
    /// where this is not called, 0.3 seconds at least.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease.max(SHORTEST_LEASE);
        self
    }

    /// Keeps the tables of the version from which this one takes over, so that an older program may go on with them.
    pub fn keep_former_versions(mut self) -> Self {
        self.options.keeps_former = true;
        self
    }

    /// Drops the tables and makes them again from the first event on, where somebody changed or dropped one. Without it
    /// that is an error: [`ReadModelError::TablesChanged`](crate::store::read_model::ReadModelError::TablesChanged).
    pub fn rebuild_if_changed(mut self) -> Self {
        self.options.rebuilds_changed = true;
        self
    }
}

#[cfg(feature = "sqlite")]
impl<P: InTables> IntoFuture for OpenTables<P, SqliteReadModels> {
    type Output = Result<TablesView, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`]; among them [`OpenError::Storage`] for a declaration that changed under the same version, for a text
    /// that does not make the tables, and for tables that somebody changed; and [`OpenError::Superseded`] where a later
    /// version answers already.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let view = ViewId::new(P::NAME, P::VERSION)?;
            let home = InSqlite {
                projection: Arc::new(self.projection),
                models: self.storage.clone(),
                names: Arc::new(TableNames::declared_in(&view, P::TABLES)?),
            };
            let work = TablesWork(home);
            let running = run::<P, _>(&self.manager, work, view, self.options).await?;
            let reader = TablesReader::new(self.storage, P::NAME);
            Ok(TablesView { running, reader })
        })
    }
}

#[cfg(feature = "postgres")]
impl<P: InPostgresTables> IntoFuture for OpenTables<P, PostgresReadModels> {
    type Output = Result<PostgresTablesView, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Opens it.
    ///
    /// # Errors
    /// As for tables in SQLite.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let view = ViewId::new(P::NAME, P::VERSION)?;
            let home = InPostgres {
                projection: self.projection,
                models: self.storage.clone(),
                names: TableNames::declared_in(&view, P::TABLES)?,
                is_checked: false.into(),
            };
            let work = TablesWork(home);
            let running = run::<P, _>(&self.manager, work, view, self.options).await?;
            let reader = PostgresTablesReader::new(self.storage, P::NAME);
            Ok(PostgresTablesView { running, reader })
        })
    }
}

/// Makes the view or finds it, and runs it.
async fn run<P: Projection, W: Work>(
    manager: &ProjectionManager,
    work: W,
    view: ViewId,
    options: Options,
) -> Result<RunningView, OpenError> {
    let made = stored::make::<P, W>(manager.store(), work, view, Position::START, options).await?;
    manager.run::<P>(made.home, made.rebuilt)
}
