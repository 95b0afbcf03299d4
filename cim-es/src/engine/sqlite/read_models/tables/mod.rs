//! Tables of an author's own in a file of read models.

mod guard;
mod made;
mod said;
mod shown;

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, Params, Row};

pub(in crate::engine::sqlite) use guard::Guard;
pub(crate) use said::said;

use self::said::Mistake;
use super::views::{self, View};
use crate::engine::sqlite::database::Database;
use crate::store::read_model::{
    ReadModelError, TableError, TableNames, Unserved, UpTo, ViewDeclaration, ViewId, ViewRecord,
    one_line, quoted,
};

/// The tables of a view, at one moment or in the transaction that counts an event: SQL in which `{units}` stands for the
/// table of this version.
///
/// Every statement is prepared once for a connection. A text in quotes and a comment stay as they are, and so do braces
/// with something else than a name.
///
/// A projection changes the rows of its tables, and nothing else: it does not end the transaction, declares nothing, and
/// writes to no other table of the file. A statement that would is refused.
pub struct Tables<'a> {
    database: &'a Database,
    names: &'a TableNames,
    may_write: bool,
}

impl Tables<'_> {
    /// Runs a statement, and gives the number of rows that it changed.
    ///
    /// # Errors
    /// [`TableError`] says which statement, and what SQLite said.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize, TableError> {
        self.run(sql, |connection, resolved| {
            connection.prepare_cached(resolved)?.execute(params)
        })
    }

    /// The first row that a statement gives; none when it gives none.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, TableError> {
        self.run(sql, |connection, resolved| {
            let mut statement = connection.prepare_cached(resolved)?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(row).transpose()
        })
    }

    /// All rows that a statement gives.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn query<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, TableError> {
        self.run(sql, |connection, resolved| {
            let mut statement = connection.prepare_cached(resolved)?;
            let rows = statement.query_map(params, row)?;
            rows.collect()
        })
    }

    /// The name of a table or an index as it stands in a statement, in quotes: `"heads_1_units"` for `units`.
    ///
    /// # Errors
    /// [`TableError::UnknownName`].
    pub fn name(&self, name: &str) -> Result<String, TableError> {
        self.names.resolve(&format!("{{{name}}}"))?;
        Ok(quoted(&self.names.in_database(name)))
    }

    /// The view, with its version.
    pub fn view(&self) -> &ViewId {
        self.names.view()
    }

    /// The connection, in the open transaction, for what is missing here. What holds for statements holds for it.
    pub fn connection(&self) -> &Connection {
        &self.database.connection
    }

    /// What the file said.
    pub(crate) fn storage_error(&self, error: rusqlite::Error) -> ReadModelError {
        self.database.failed("running a statement of a view")(error).into()
    }

    fn run<T>(
        &self,
        sql: &str,
        work: impl FnOnce(&Connection, &str) -> rusqlite::Result<T>,
    ) -> Result<T, TableError> {
        let resolved = self.names.resolve(sql)?;
        let done = work(&self.database.connection, &resolved);
        done.map_err(|error| self.failed(sql, error))
    }

    fn failed(&self, sql: &str, error: rusqlite::Error) -> TableError {
        let (view, statement) = (self.view().clone(), one_line(sql));
        if let Some(reason) = self.database.guard.take_refusal() {
            return TableError::Refused {
                view,
                statement,
                reason,
            };
        }
        if !self.may_write && error.sqlite_error_code() == Some(ErrorCode::ReadOnly) {
            return TableError::Refused {
                view,
                statement,
                reason: "who reads a view changes nothing; what is in its tables comes of events"
                    .to_owned(),
            };
        }
        match is_storages(&error) {
            true => TableError::Storage(self.storage_error(error)),
            false => TableError::Statement {
                view,
                statement,
                source: match Mistake::of(&error) {
                    Some(mistake) => Arc::new(mistake),
                    None => Arc::new(error),
                },
            },
        }
    }
}

impl std::fmt::Debug for Tables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables")
            .field("view", self.view())
            .finish_non_exhaustive()
    }
}

/// Whether SQLite fails at the file, and not at the statement.
pub(crate) fn is_storages(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NotADatabase
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
        )
    )
}

/// Makes a view with its tables, unless it is there already.
pub(in crate::engine::sqlite) fn open(
    database: &Database,
    declaration: &ViewDeclaration,
    names: &TableNames,
    text: &str,
) -> Result<ViewRecord, ReadModelError> {
    if let Some(view) = views::find(database, &declaration.view)? {
        view.record.check(declaration, database.location())?;
        made::check(database, &view)?;
        if view.record.is_serving {
            shown::update(database, declaration.view.name())?;
        }
        return Ok(view.record);
    }
    let record = views::make(database, declaration)?;
    let view = views::expect(database, &declaration.view)?;
    made::make(database, &view, names, text)?;
    Ok(record)
}

/// Has a projection change the tables of a view in the open transaction.
pub(in crate::engine::sqlite) fn project<T>(
    database: &Database,
    names: &TableNames,
    work: impl FnOnce(&Tables<'_>) -> T,
) -> T {
    let _projects = database.guard.projects(names.prefix());
    work(&Tables {
        database,
        names,
        may_write: true,
    })
}

/// Refuses tables that are not as the view made them.
pub(in crate::engine::sqlite) fn check(
    database: &Database,
    view: &View,
) -> Result<(), ReadModelError> {
    made::check(database, view).map(drop)
}

/// Has the tables of the version that serves be read by names without a version.
pub(super) fn serve(database: &Database, name: &str) -> Result<(), ReadModelError> {
    shown::update(database, name)
}

/// Removes the tables of a view, and the names by which they are read where it serves.
pub(super) fn remove(database: &Database, view: &View) -> Result<(), ReadModelError> {
    let Some(record) = made::record(database, view.number)? else {
        return Ok(());
    };
    if view.record.is_serving {
        shown::remove(database, view.record.view.name(), record.tables.clone())?;
    }
    made::remove(database, &record)
}

/// Asks the tables of the version that serves.
pub(super) fn read<T>(
    database: &Database,
    name: &str,
    ask: impl FnOnce(&Tables<'_>) -> Result<T, TableError>,
) -> Result<UpTo<T>, TableError> {
    let versions = views::named(database, name).map_err(ReadModelError::from)?;
    let not_serving = || TableError::NotServing {
        name: name.to_owned(),
        why: Unserved::of(&versions),
    };
    let serving = versions.iter().find(|version| version.is_serving);
    let record = serving.ok_or_else(not_serving)?;
    let view = views::expect(database, &record.view)?;
    let tables = made::record(database, view.number).map_err(ReadModelError::from)?;
    let names = tables.ok_or_else(not_serving)?.names_of(&record.view);
    let answer = ask(&Tables {
        database,
        names: &names,
        may_write: false,
    });
    if let Err(TableError::Statement { .. }) = answer {
        // A table that is gone is why a statement fails, and says more than the statement does.
        made::check(database, &view)?;
    }
    Ok(UpTo {
        value: answer?,
        position: record.up_to.position,
    })
}
