//! How a file is opened, and the connection that writes to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::views::View;
use super::{FORMAT, Shared, SqliteReadModels, tables};
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::options::{Access, SqliteOptions};
use crate::engine::sqlite::reader::{Connected, Readers, Threads};
use crate::engine::sqlite::writer::Log;
use crate::engine::sqlite::{failure, format, open};
use crate::store::StoreError;
use crate::store::read_model::{ReadModelError, ViewId};

/// How a file of read models is opened; [`SqliteReadModels::options`] gives the defaults.
#[derive(Clone, Debug, Default)]
pub struct SqliteReadModelsOptions {
    options: SqliteOptions,
}

impl SqliteReadModelsOptions {
    /// How long to wait for another process that holds the file (5 seconds by default) before
    /// [`StoreError::Busy`].
    #[must_use]
    pub fn busy_timeout(self, timeout: Duration) -> Self {
        let options = self.options.busy_timeout(timeout);
        Self { options }
    }

    /// The size in bytes past which this storage does not let the file grow: a commit that needs more is
    /// [`StoreError::Full`]. No limit by default.
    #[must_use]
    pub fn max_file_bytes(self, bytes: u64) -> Self {
        let options = self.options.max_file_bytes(bytes);
        Self { options }
    }

    /// The size in bytes up to which a file is checked as a whole when it is opened (16 MiB by default).
    #[must_use]
    pub fn check_on_open_up_to(self, bytes: u64) -> Self {
        let options = self.options.check_on_open_up_to(bytes);
        Self { options }
    }

    /// The number of threads that read, from 1 to 64 (2 by default).
    #[must_use]
    pub fn readers(self, readers: usize) -> Self {
        let options = self.options.readers(readers);
        Self { options }
    }

    /// Opens the file for reading only, as a program does that asks a view and does not keep it; it must exist. Every
    /// write is [`StoreError::ReadOnly`].
    #[must_use]
    pub fn read_only(self) -> Self {
        let options = self.options.read_only();
        Self { options }
    }

    /// Opens the file, and creates it when it is missing. This reads from the disk and blocks for as long.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a path that cannot hold read models, a file of events or of another program, and
    /// one of another version; [`StoreError::Damaged`] for a file that is not whole; [`StoreError::ReadOnly`] when it
    /// cannot be written and [`read_only`](Self::read_only) was not asked for; the engine's failures.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<SqliteReadModels, StoreError> {
        let (path, options) = (path.as_ref(), &self.options);
        let for_writing = open::writer(path, &FORMAT, options, |_| Ok(()))?;
        let files = for_writing.files.clone();
        let for_reading = (0..options.readers)
            .map(|_| open::reader(&files, options))
            .collect::<Result<Vec<_>, _>>()?;
        let failed = |operation| {
            let location = files.location.clone();
            move |error| StoreError::Engine {
                location,
                operation,
                source: Arc::new(error),
            }
        };
        let committing = Committing::new(for_writing, options)?;
        let writer = Threads::start("cim-es-view", vec![committing])
            .map_err(failed("starting the writing thread"))?;
        let readers = Readers::start("cim-es-read", for_reading)
            .map_err(failed("starting the reading threads"))?;
        Ok(SqliteReadModels {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                files,
                readers,
                writer,
            }),
        })
    }
}

/// The connection that writes.
pub(super) struct Committing {
    pub(super) database: Database,
    log: Log,
    may_write: bool,
    patience: Duration,
    /// What the file declared when it was last looked at.
    schema_version: i64,
    /// What it declared when the tables of a view were found as they were made.
    checked: RefCell<HashMap<ViewId, i64>>,
}

impl Connected for Committing {
    fn database(&self) -> &Database {
        &self.database
    }

    fn tidy(&mut self) {
        self.log.tend(&self.database);
    }
}

impl Committing {
    fn new(mut database: Database, options: &SqliteOptions) -> Result<Self, StoreError> {
        Ok(Self {
            log: Log::watch(&mut database)?,
            may_write: options.access == Access::ReadWrite,
            patience: options.busy_timeout,
            schema_version: database.schema_version()?,
            checked: RefCell::default(),
            database,
        })
    }

    /// Writes in one transaction: after an error nothing of it is stored, unless the error is
    /// [`ReadModelError::OutcomeUnknown`].
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, ReadModelError>,
    ) -> Result<T, ReadModelError> {
        let done = self.transact_or(|committing| Ok(Ok::<_, Infallible>(work(committing)?)));
        done.map(|Ok(value)| value)
    }

    /// The same for work that may give up: nothing of it is stored then.
    pub(super) fn transact_or<T, E>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<Result<T, E>, ReadModelError>,
    ) -> Result<Result<T, E>, ReadModelError> {
        self.database
            .begin_to_write(self.may_write, self.patience, || {
                self.database.is_wanted().is_ok()
            })?;
        let outcome = self
            .notice_changes()
            .map_err(ReadModelError::from)
            .and_then(|()| work(self))
            .and_then(|outcome| {
                if outcome.is_ok() {
                    self.commit()?;
                }
                Ok(outcome)
            });
        if !matches!(outcome, Ok(Ok(_))) {
            self.database.rollback();
        }
        if let Err(ReadModelError::Storage(StoreError::Full { .. })) = outcome {
            self.log.make_room(&self.database);
        }
        outcome
    }

    /// Looks at what others may have changed: the files, and what is declared in them.
    fn notice_changes(&mut self) -> Result<(), StoreError> {
        self.database.check_files()?;
        let schema_version = self.database.schema_version()?;
        if schema_version != self.schema_version {
            format::check_schema(&self.database)?;
            self.schema_version = schema_version;
        }
        Ok(())
    }

    /// Refuses tables that are not as a view made them, where something was declared since they were looked at.
    pub(super) fn check_tables(&self, view: &View) -> Result<(), ReadModelError> {
        let id = &view.record.view;
        if self.checked.borrow().get(id) != Some(&self.schema_version) {
            tables::check(&self.database, view)?;
            let checked = (id.clone(), self.schema_version);
            self.checked.borrow_mut().extend([checked]);
        }
        Ok(())
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.database
            .connection
            // Not kept prepared: a projection that says so has to be refused.
            .execute_batch("COMMIT")
            .map_err(|error| failure::commit_error(self.database.location(), error))
    }
}
