//! One connection to the file, and how its failures are named.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, Params, Row};

use super::failure;
use super::files::Files;
use super::read_models::Guard;
use super::types::Types;
use super::wanted::Current;
use crate::block::{Cid, Verdict};
use crate::domain::ErrorChain;
use crate::store::{Location, StoreError};

/// One connection to the file.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) files: Arc<Files>,
    /// Who waits for what the connection does now.
    pub(super) current: Current,
    /// Whose statements it prepares.
    pub(super) guard: Guard,
    /// The types of events that were read by it last.
    pub(super) types: Cell<Option<Types>>,
    moves_log: bool,
}

/// How many steps SQLite takes between looking whether anybody still waits.
const STEPS: i32 = 1_000;

impl Database {
    /// A connection that was just opened. When it is closed it leaves the log as it is.
    pub(super) fn new(mut connection: Connection, files: Arc<Files>) -> Result<Self, StoreError> {
        let current = Current::default();
        let asked = current.clone();
        connection
            .progress_handler(STEPS, Some(move || asked.is_abandoned()))
            .map_err(|error| failure::store_error(&files.location, "opening", error))?;
        let guard = Guard::install(&mut connection)
            .map_err(|error| failure::store_error(&files.location, "opening", error))?;
        Ok(Self {
            connection,
            files,
            current,
            guard,
            types: Cell::new(None),
            moves_log: false,
        })
    }

    /// Has a function called after each commit of this connection, with the number of pages in the log. SQLite then no
    /// longer moves the log by itself.
    pub(super) fn on_commit(
        &mut self,
        committed: impl Fn(u32) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.connection
            .wal_hook(Some(move |_: &mut Wal, pages| {
                committed(u32::try_from(pages).unwrap_or_default());
                Ok(())
            }))
            .map_err(|error| failure::store_error(&self.files.location, "opening", error))
    }

    /// Ends work that nobody waits for any more.
    pub(super) fn is_wanted(&self) -> Result<(), StoreError> {
        match self.current.is_abandoned() {
            false => Ok(()),
            true => Err(StoreError::Closed {
                reason: "nobody waits for the answer any more".into(),
            }),
        }
    }

    /// Lets the connection move the log into the file when it is the last to be closed: the two belong together.
    pub(super) fn accept_log(&mut self) {
        self.moves_log = true;
    }

    /// The file, as errors name it.
    pub(super) fn location(&self) -> &Location {
        &self.files.location
    }

    /// Whether the path of the store still leads to the files that it was opened with.
    pub(super) fn check_files(&self) -> Result<(), StoreError> {
        self.files.check()
    }

    /// Whether these are the files that this connection has open. That does not change any more: while it has them open, no
    /// other file gets their numbers.
    pub(super) fn check_opened(&self) -> Result<(), StoreError> {
        self.files.check()?;
        match self.has_moved() {
            false => Ok(()),
            true => Err(self.files.replaced(
                &self.files.path,
                "is another file than the one that is open",
            )),
        }
    }

    /// What SQLite says of the file that it has open itself.
    #[cfg(unix)]
    fn has_moved(&self) -> bool {
        let mut has_moved = 0;
        let asked = rusqlite::FileControl::HasMoved(&mut has_moved);
        // A file system of SQLite's that cannot say so has not noticed anything.
        self.connection
            .file_control(Some(rusqlite::MAIN_DB), asked)
            .is_ok()
            && has_moved != 0
    }

    #[cfg(not(unix))]
    fn has_moved(&self) -> bool {
        false
    }

    /// Names a failure of SQLite that leaves nothing stored.
    pub(super) fn failed(
        &self,
        operation: &'static str,
    ) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        move |error| failure::store_error(self.location(), operation, error)
    }

    /// What is stored is not what was written.
    pub(super) fn damaged(
        &self,
        position: impl Into<Option<u64>>,
        cid: impl Into<Option<Cid>>,
        reason: impl Into<String>,
    ) -> StoreError {
        failure::damaged(self.location(), position, cid, reason)
    }

    /// An event, or its place in a history, is not what was written.
    pub(super) fn judged(&self) -> impl Fn(Verdict) -> StoreError + '_ {
        |verdict| verdict.into_damage(self.location().clone())
    }

    /// Reads in one transaction: everything that `work` sees was there at one moment.
    pub(super) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin("BEGIN")?;
        let answer = match self.check_files() {
            Ok(()) => work(self),
            Err(error) => Err(error.into()),
        };
        let end = self.statement("COMMIT");
        if end.is_err() {
            self.rollback();
        }
        let answer = answer?;
        end?;
        Ok(answer)
    }

    /// The same where some of what is there may be damaged: what SQLite then says of the transaction is no news.
    pub(super) fn look<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin("BEGIN")?;
        let answer = self.check_files().and_then(|()| work(self));
        self.rollback();
        answer
    }

    /// Begins a transaction, or leaves none open: SQLite may look whether somebody still waits when it has begun it, and then
    /// says that it was interrupted.
    pub(super) fn begin(&self, sql: &'static str) -> Result<(), StoreError> {
        let begun = self.statement(sql);
        if begun.is_err() {
            self.rollback();
        }
        begun
    }

    /// Runs a statement that takes no parameters and gives no rows.
    pub(super) fn statement(&self, sql: &'static str) -> Result<(), StoreError> {
        self.execute(sql, sql, ()).map(drop)
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub(super) fn execute(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: impl Params,
    ) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(self.failed(operation))
    }

    /// Adds one row, or writes over one; an error when the file has taken none, or more.
    pub(super) fn write_row(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: impl Params,
    ) -> Result<(), StoreError> {
        match self.execute(operation, sql, parameters)? {
            1 => Ok(()),
            rows => Err(self.damaged(
                None,
                None,
                format!("{operation}: {rows} rows were written in place of one"),
            )),
        }
    }

    /// The first row of a query; none when it has none.
    pub(super) fn first<T>(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.is_wanted()?;
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            rows.next()?.map(row).transpose()
        };
        read().map_err(self.failed(operation))
    }

    /// All rows of a query.
    pub(super) fn all<T>(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.is_wanted()?;
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(parameters, row)?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        read().map_err(self.failed(operation))
    }

    /// Begins a transaction that writes. While another process writes, waits as long as `patience` allows and somebody
    /// waits for the outcome.
    pub(super) fn begin_to_write(
        &self,
        may_write: bool,
        patience: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        if !may_write {
            return Err(StoreError::ReadOnly {
                location: self.location().clone(),
                reason: "it was opened for reading only".into(),
            });
        }
        let started = Instant::now();
        loop {
            match self.begin("BEGIN IMMEDIATE") {
                Err(StoreError::Busy { .. }) if started.elapsed() < patience && is_wanted() => {}
                begun => return begun,
            }
        }
    }

    /// Ends a transaction that failed; SQLite may have ended it already.
    pub(super) fn rollback(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(location = %self.location(), %error, "a transaction could not be rolled back");
        }
    }

    /// A number that changes when somebody changes what the file declares.
    pub(super) fn schema_version(&self) -> Result<i64, StoreError> {
        self.first("asking for changes", "PRAGMA schema_version", (), |row| {
            row.get(0)
        })
        .map(Option::unwrap_or_default)
    }

    /// A number that changes when another connection commits.
    pub(super) fn data_version(&self) -> Result<i64, StoreError> {
        self.first("asking for changes", "PRAGMA data_version", (), |row| {
            row.get(0)
        })
        .map(Option::unwrap_or_default)
    }
}

impl Drop for Database {
    /// Whoever closes a file last moves the log into it and removes the log by its name. A log that is not the file's
    /// must stay, and so must one that took the place of the file's own.
    fn drop(&mut self) {
        let checked = self.check_files();
        if let Err(error) = &checked {
            tracing::error!(error = %ErrorChain(error), "the log is left as it is");
        }
        if self.moves_log && checked.is_ok() {
            return;
        }
        let kept = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = kept {
            tracing::error!(location = %self.location(), %error, "the log could not be kept");
        }
    }
}

/// A count or place as SQLite keeps it; what does not fit is past every stored one.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or place from a column; a negative one is not one that was written.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
