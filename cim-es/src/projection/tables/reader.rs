//! Asking a view of tables.

use std::sync::Arc;

use super::Tables;
use crate::engine::sqlite::{InlineReadModels, SqliteReadModels};
use crate::projection::RunningView;
use crate::store::read_model::{TableError, UpTo, ViewId};

/// Asks the tables of a view, in whichever version answers. It needs the storage, and nobody who keeps the view current.
///
/// Any other program reads the same by SQL, in the file: a table `{units}` of the view `heads` is `heads_units` there.
///
/// A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct TablesReader {
    file: File,
    name: Arc<str>,
}

/// The file with the tables.
#[derive(Clone, Debug)]
enum File {
    ReadModels(SqliteReadModels),
    Events(InlineReadModels),
}

impl TablesReader {
    /// Asks the view of a name in a file of read models.
    pub fn new(storage: SqliteReadModels, name: &str) -> Self {
        Self {
            file: File::ReadModels(storage),
            name: name.into(),
        }
    }

    /// Asks the view of a name that is kept with the events, in their file.
    pub fn inline(read_models: InlineReadModels, name: &str) -> Self {
        Self {
            file: File::Events(read_models),
            name: name.into(),
        }
    }

    /// Asks the tables, all at one moment, and gives the answer with the position up to which it is true. It runs on a
    /// thread of the storage that reads, so it must not wait for anything else.
    ///
    /// # Errors
    /// [`TableError::NotServing`] before the view is built for the first time; what the statements give; and
    /// [`TableError::Storage`], among it [`ReadModelError::TablesChanged`] for a table that somebody dropped.
    ///
    /// [`ReadModelError::TablesChanged`]: crate::store::read_model::ReadModelError::TablesChanged
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Tables<'_>) -> Result<T, TableError> + Send + 'static,
    ) -> Result<UpTo<T>, TableError> {
        ViewId::check_name(&self.name)?;
        let name = Arc::clone(&self.name);
        match &self.file {
            File::ReadModels(storage) => storage.read_tables(name, ask).await,
            File::Events(storage) => storage.read_tables(name, ask).await,
        }
    }
}

/// A view of tables that this program keeps current, or that it takes over when the program that does so ends.
///
/// [`ProjectionManager::tables`](crate::projection::ProjectionManager::tables) gives it. What is asked of every view, such
/// as [`wait_for`](RunningView::wait_for) and [`status`](RunningView::status), is asked of the [`RunningView`] that it is.
#[derive(Clone)]
pub struct TablesView {
    pub(in crate::projection) running: RunningView,
    pub(in crate::projection) reader: TablesReader,
}

impl std::ops::Deref for TablesView {
    type Target = RunningView;

    fn deref(&self) -> &RunningView {
        &self.running
    }
}

impl std::fmt::Debug for TablesView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TablesView").field(&self.running).finish()
    }
}

impl TablesView {
    /// What asks the view, for whoever is not to control it.
    pub fn reader(&self) -> &TablesReader {
        &self.reader
    }

    /// Asks the tables, all at one moment.
    ///
    /// # Errors
    /// As [`TablesReader::read`].
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Tables<'_>) -> Result<T, TableError> + Send + 'static,
    ) -> Result<UpTo<T>, TableError> {
        self.reader.read(ask).await
    }
}
