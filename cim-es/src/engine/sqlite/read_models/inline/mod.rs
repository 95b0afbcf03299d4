//! Views in the file of the events, written in the transaction that stores the events.
//!
//! Whoever writes to the file counts what it writes in the views that are registered here, before it commits: who reads
//! after the answer finds the view level. A view that is behind, because it is new or because a program without it wrote,
//! is brought level by steps of its own, each a short transaction among the others, or at the next commit where little is
//! missing.
//!
//! A view cannot fail a commit. An event that it refuses parks it before the commit of that event, which is recorded in
//! the same transaction. Where its tables cannot be written, the transaction is made again without it.
//!
//! No hold is needed: SQLite lets one process write at a time, and each goes on from the position in the file.

mod catch_up;
mod check;
mod file;
mod keeping;
mod kept;

pub(in crate::engine::sqlite) use check::{check, check_all};
pub use file::InlineReadModels;
pub(in crate::engine::sqlite) use keeping::{Counting, Inline};
pub(crate) use kept::{Kept, RegisterError, Registration, Step, Unkept};

use std::sync::Arc;

use bytes::Bytes;

use super::views::{self, View};
use super::{Tables, documents, tables};
use crate::block::StoredEvent;
use crate::domain::message::Timestamp;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::{format, schema};
use crate::store::read_model::{
    DocumentChange, DocumentPage, IndexEntry, Page, Parked, ReadModelError, TableNames,
    ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Position, Selection, StoreError};

/// A view, as who writes the events sees it.
pub(crate) trait InlineView: Send + 'static {
    /// What it was opened with.
    fn declaration(&self) -> &ViewDeclaration;

    /// The events that it takes.
    fn selection(&self) -> &Selection;

    /// From now on it makes another build of the view.
    ///
    /// # Errors
    /// Names of tables that have no room for the number of the build.
    fn turn_to(&mut self, build: &ViewId) -> Result<(), ReadModelError>;

    /// The names and the declaration of its tables; none where it has documents.
    fn tables(&self) -> Option<(&TableNames, &str)>;

    /// Counts the events of one commit. Where one of them cannot be counted, nothing of the commit stays. Up to `settled`
    /// what is done once was done before.
    fn count(
        &mut self,
        on: &OpenView<'_>,
        commit: &[&StoredEvent],
        settled: Position,
    ) -> Result<(), Uncounted>;

    /// The documents that changed since it was last told that all is stored, in the order of their keys; none where it has
    /// tables.
    fn changes(&self) -> Vec<DocumentChange>;

    /// What was counted is stored, and readers see it. Who asked for the events has no answer yet.
    fn stored(&mut self, standing: &Standing<'_>);

    /// What was counted since the last time is not stored.
    fn forget(&mut self);

    /// It is to be brought level by a step.
    fn call(&self);
}

/// Where a view stands.
pub(crate) struct Standing<'a> {
    pub record: &'a ViewRecord,
    /// The last event of the file.
    pub end: Position,
    /// How many events were counted since the last time, and when the last of them happened.
    pub counted: u64,
    pub last: Option<Timestamp>,
}

/// Why a commit was not counted.
#[derive(Debug)]
pub(crate) enum Uncounted {
    /// An event cannot be counted.
    Refused(Box<Parked>),
    /// The file could not be read.
    Storage(ReadModelError),
}

/// The documents or tables of a view, as the open transaction has them.
pub(crate) struct OpenView<'a> {
    database: &'a Database,
    view: &'a View,
}

impl OpenView<'_> {
    /// The documents with some keys.
    pub(crate) fn read(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>, ReadModelError> {
        Ok(documents::read_of(self.database, self.view.number, keys)?)
    }

    /// The documents that have an index entry.
    pub(crate) fn find(
        &self,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<DocumentPage, ReadModelError> {
        documents::find_of(self.database, self.view, entry, page)
    }

    /// All documents.
    pub(crate) fn list(&self, page: &Page) -> Result<DocumentPage, ReadModelError> {
        documents::list_of(self.database, self.view, page)
    }

    /// Has a projection change the tables of the view. Where it cannot, nothing that it did stays.
    pub(crate) fn project(
        &self,
        names: &TableNames,
        work: impl FnOnce(&Tables<'_>) -> Result<(), Uncounted>,
    ) -> Result<(), Uncounted> {
        let run = |sql| {
            let done = self.database.statement(sql);
            done.map_err(|error| Uncounted::Storage(error.into()))
        };
        run("SAVEPOINT cim_es_commit")?;
        let counted = tables::project(self.database, names, work);
        match &counted {
            // SQLite ended the whole transaction where the file failed.
            Err(Uncounted::Storage(_)) => return counted,
            Err(Uncounted::Refused(_)) => run("ROLLBACK TO cim_es_commit")?,
            Ok(()) => {}
        }
        run("RELEASE cim_es_commit")?;
        counted
    }

    /// Where the view stands in the file.
    pub(crate) fn position(&self) -> Position {
        self.view.record.up_to.position
    }
}

/// The tables of a view, by their names and their declaration.
pub(crate) type DeclaredTables = (Arc<TableNames>, &'static str);

/// Makes a view, with its tables where it has some, or gives the row of the one that is there.
fn make(
    database: &Database,
    declaration: &ViewDeclaration,
    tables: Option<(&TableNames, &str)>,
) -> Result<View, ReadModelError> {
    make_tables(database)?;
    match tables {
        None => views::make(database, declaration)?,
        Some((names, text)) => tables::open(database, declaration, names, text)?,
    };
    views::expect(database, &declaration.view)
}

/// The row of a view as it is stored; none where it is not there, or not of this declaration. Where its build is gone, the
/// view turns to the newest one, which another program made.
fn find(database: &Database, view: &mut dyn InlineView) -> Result<Option<View>, ReadModelError> {
    let id = &view.declaration().view;
    if views::find(database, id)?.is_none() {
        let versions = views::named(database, id.name())?;
        match ViewRecord::newest_build(&versions, id) {
            Some(newest) => view.turn_to(&newest)?,
            None => return Ok(None),
        }
    }
    let declaration = view.declaration();
    let row = views::find(database, &declaration.view)?;
    let row = row.filter(|row| row.record.fingerprint == declaration.fingerprint);
    if let (Some(row), Some(_)) = (&row, view.tables()) {
        tables::check(database, row)?;
    }
    Ok(row)
}

/// Whether the file of events has the tables of read models.
fn has_tables(database: &Database) -> Result<bool, StoreError> {
    Ok(format::version(database)? >= schema::WITH_READ_MODELS)
}

/// Has no view answer that counted an event behind a position, in the open transaction that replaces these events: who
/// keeps such a view builds it again, and until then nobody is told what was taken out.
pub(in crate::engine::sqlite) fn withdraw(
    database: &Database,
    position: u64,
) -> Result<(), StoreError> {
    if !has_tables(database)? {
        return Ok(());
    }
    for mut view in views::all(database)? {
        if view.record.is_serving && view.record.up_to.position.0 > position {
            view.record.is_serving = false;
            views::save(database, &view)?;
            tables::serve(database, view.record.view.name()).map_err(keeping::into_store_error)?;
        }
    }
    Ok(())
}

/// Makes the tables of read models in the file of events, in the open transaction, unless they are there.
fn make_tables(database: &Database) -> Result<(), StoreError> {
    format::raise(database, schema::WITH_READ_MODELS)
}
