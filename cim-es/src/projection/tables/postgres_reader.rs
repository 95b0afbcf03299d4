//! Asking a view of tables in PostgreSQL.

use std::sync::Arc;

use crate::engine::postgres::PostgresReadModels;
pub use crate::engine::postgres::PostgresTablesSnapshot;
use crate::projection::RunningView;
use crate::store::read_model::{TableError, ViewId};

/// Asks the tables of a view in PostgreSQL, in whichever version answers. It needs the storage, and nobody who keeps the
/// view current.
///
/// Any other program reads the same by SQL, in the schema of the read models: a table `{units}` of the view `heads` is
/// `heads_units` there.
///
/// A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct PostgresTablesReader {
    storage: PostgresReadModels,
    name: Arc<str>,
}

impl PostgresTablesReader {
    /// Asks the view of a name.
    pub fn new(storage: PostgresReadModels, name: &str) -> Self {
        Self {
            storage,
            name: name.into(),
        }
    }

    /// The tables at one moment, with the position up to which they are true; any number of statements ask them.
    ///
    /// # Errors
    /// [`TableError::NotServing`] before the view is built for the first time; [`TableError::Storage`].
    pub async fn snapshot(&self) -> Result<PostgresTablesSnapshot, TableError> {
        ViewId::check_name(&self.name)?;
        self.storage.read_tables(&self.name).await
    }
}

/// A view of tables in PostgreSQL that this program keeps current, or that it takes over when the program that does so ends.
///
/// [`ProjectionManager::postgres_tables`](crate::projection::ProjectionManager::postgres_tables) gives it. What is asked of
/// every view, such as [`wait_for`](RunningView::wait_for) and [`status`](RunningView::status), is asked of the
/// [`RunningView`] that it is.
#[derive(Clone)]
pub struct PostgresTablesView {
    pub(super) running: RunningView,
    pub(super) reader: PostgresTablesReader,
}

impl std::ops::Deref for PostgresTablesView {
    type Target = RunningView;

    fn deref(&self) -> &RunningView {
        &self.running
    }
}

impl std::fmt::Debug for PostgresTablesView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresTablesView")
            .field(&self.running)
            .finish()
    }
}

impl PostgresTablesView {
    /// What asks the view, for whoever is not to control it.
    pub fn reader(&self) -> &PostgresTablesReader {
        &self.reader
    }

    /// The tables at one moment.
    ///
    /// # Errors
    /// As [`PostgresTablesReader::snapshot`].
    pub async fn snapshot(&self) -> Result<PostgresTablesSnapshot, TableError> {
        self.reader.snapshot().await
    }
}
