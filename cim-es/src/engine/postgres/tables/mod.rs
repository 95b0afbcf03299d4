//! Tables of an author's own in the schema of the read models.

mod made;
mod permitted;
mod shown;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Connections, Link, Parameters, Snapshot, Transaction};
use super::failure::{is_of_statement, store_error};
use super::views::{self, View};
use crate::domain::ErrorChain;
use crate::store::Position;
use crate::store::read_model::{
    ReadModelError, TableError, TableNames, Unserved, ViewChanges, ViewDeclaration, ViewId,
    ViewRecord, one_line, quoted,
};

/// The tables of a view in PostgreSQL, at one moment or in the transaction that counts an event: SQL in which `{units}`
/// stands for the table of this version. Parameters are `$1`, `$2`, ….
///
/// Every statement is prepared once for a connection. A text in quotes and a comment stay as they are, and so do braces
/// with something else than a name.
///
/// A projection reads and writes rows. It does not end the transaction, and declares nothing: a statement that would is
/// refused. What it writes to should be its own tables; PostgreSQL is not asked to see to that.
pub struct PostgresTables<'a> {
    connections: &'a Connections,
    link: &'a Link,
    names: &'a TableNames,
    may_write: bool,
    /// The statement since which the transaction takes nothing more.
    failed: &'a Mutex<Option<String>>,
}

impl PostgresTables<'_> {
    /// Runs a statement, and gives the number of rows that it changed.
    ///
    /// # Errors
    /// [`TableError`] says which statement, and what PostgreSQL said.
    pub async fn execute(&self, sql: &str, params: Parameters<'_>) -> Result<u64, TableError> {
        let resolved = self.permitted(sql)?;
        let done = self.link.execute(&resolved, params);
        self.answered(sql, self.connections.answer(done).await)
    }

    /// The first row that a statement gives; none when it gives none.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query_row(
        &self,
        sql: &str,
        params: Parameters<'_>,
    ) -> Result<Option<Row>, TableError> {
        let rows = self.query(sql, params).await?;
        Ok(rows.into_iter().next())
    }

    /// All rows that a statement gives.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query(&self, sql: &str, params: Parameters<'_>) -> Result<Vec<Row>, TableError> {
        let resolved = self.permitted(sql)?;
        let asked = self.link.query(&resolved, params);
        self.answered(sql, self.connections.answer(asked).await)
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

    /// Why the transaction takes nothing more, where a statement failed and was passed over.
    pub(crate) fn failure(&self) -> Option<TableError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let statement = failed.clone()?;
        Some(TableError::Refused {
            view: self.view().clone(),
            statement,
            reason: "it failed, and PostgreSQL takes nothing more in a transaction after that; write it so that it does not fail, as with `ON CONFLICT`, or go back to a `SAVEPOINT`"
                .to_owned(),
        })
    }

    fn permitted(&self, sql: &str) -> Result<Arc<str>, TableError> {
        let resolved = self.names.resolve(sql)?;
        match permitted::in_projection(sql) {
            Ok(()) => Ok(resolved),
            Err(reason) => Err(TableError::Refused {
                view: self.view().clone(),
                statement: one_line(sql),
                reason,
            }),
        }
    }

    fn answered<T>(
        &self,
        sql: &str,
        answer: Option<Result<T, tokio_postgres::Error>>,
    ) -> Result<T, TableError> {
        const RUNNING: &str = "running a statement of a view";
        let error = match answer {
            Some(Ok(done)) => {
                if permitted::goes_back(sql) {
                    *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                return Ok(done);
            }
            Some(Err(error)) => error,
            None => return Err(self.connections.silent(RUNNING).into()),
        };
        let (view, statement) = (self.view().clone(), one_line(sql));
        if !self.may_write && error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
            return Err(TableError::Refused {
                view,
                statement,
                reason: "who reads a view changes nothing; what is in its tables comes of events"
                    .to_owned(),
            });
        }
        if !is_of_statement(&error) {
            return Err(store_error(self.connections.location(), RUNNING, error).into());
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| statement.clone());
        Err(TableError::Statement {
            view,
            statement,
            source: Arc::new(error),
        })
    }
}

impl std::fmt::Debug for PostgresTables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTables")
            .field("view", self.view())
            .finish_non_exhaustive()
    }
}

/// The transaction in which a projection changes the tables of a view, with the position.
pub(crate) struct TablesTransaction<'a> {
    transaction: Transaction<'a>,
    names: &'a TableNames,
    failed: Mutex<Option<String>>,
}

impl<'a> TablesTransaction<'a> {
    /// Begins it, and notes what changes of the view itself.
    pub(super) async fn begin(
        connections: &'a Connections,
        names: &'a TableNames,
        changes: &ViewChanges,
        is_checked: bool,
    ) -> Result<Self, ReadModelError> {
        let transaction = connections.begin().await?;
        match note(&transaction, names.view(), changes, is_checked).await {
            Ok(()) => Ok(Self {
                transaction,
                names,
                failed: Mutex::default(),
            }),
            Err(error) => Err(give_up(transaction, error).await),
        }
    }

    /// What the projection is given.
    pub(crate) fn tables(&self) -> PostgresTables<'_> {
        PostgresTables {
            connections: self.transaction.connections(),
            link: self.transaction.link(),
            names: self.names,
            may_write: true,
            failed: &self.failed,
        }
    }

    /// Stores all of it.
    pub(crate) async fn commit(self) -> Result<(), ReadModelError> {
        self.transaction.finish(Ok(())).await
    }

    /// Stores nothing of it.
    pub(crate) async fn roll_back(self) {
        self.transaction.roll_back().await;
    }
}

async fn note(
    transaction: &Transaction<'_>,
    view: &ViewId,
    changes: &ViewChanges,
    is_checked: bool,
) -> Result<(), ReadModelError> {
    let mut view = views::expect(transaction, view).await?;
    view.record.take(changes, transaction.location())?;
    if !is_checked {
        made::check(transaction, &view).await?;
    }
    Ok(views::save(transaction, &view).await?)
}

async fn give_up(transaction: Transaction<'_>, error: ReadModelError) -> ReadModelError {
    transaction.roll_back().await;
    error
}

/// Makes a view with its tables, unless it is there already.
pub(super) async fn open(
    transaction: &Transaction<'_>,
    declaration: &ViewDeclaration,
    names: &TableNames,
    text: &str,
) -> Result<ViewRecord, ReadModelError> {
    let there = views::find(transaction, &declaration.view).await?;
    let record = views::open(transaction, declaration).await?;
    if there.is_some() {
        let view = views::expect(transaction, &declaration.view).await?;
        made::check(transaction, &view).await?;
        if record.is_serving {
            shown::update(transaction, declaration.view.name()).await?;
        }
        return Ok(record);
    }
    let view = views::expect(transaction, &declaration.view).await?;
    made::make(transaction, &view, names, text).await?;
    Ok(record)
}

/// Refuses tables that are not as the view made them.
pub(super) async fn check(
    transaction: &Transaction<'_>,
    view: &ViewId,
) -> Result<(), ReadModelError> {
    let view = views::expect(transaction, view).await?;
    made::check(transaction, &view).await
}

/// Has the tables of the version that serves be read by names without a version.
pub(super) async fn serve(transaction: &Transaction<'_>, name: &str) -> Result<(), ReadModelError> {
    shown::update(transaction, name).await
}

/// Removes the tables of a view, and the names by which they are read where it serves.
pub(super) async fn remove(
    transaction: &Transaction<'_>,
    view: &View,
) -> Result<(), ReadModelError> {
    let Some(record) = made::record(transaction, view.number).await? else {
        return Ok(());
    };
    if view.record.is_serving {
        shown::remove(transaction, view.record.view.name(), &record.tables).await?;
    }
    made::remove(transaction, &record).await
}

/// The tables of a view at one moment, with the position up to which they are true.
///
/// It is a transaction that reads, on a connection of its own: what is asked of it is of one moment, however long that
/// takes. PostgreSQL keeps that moment, and the tables, until it is dropped or [closed](Self::close).
pub struct PostgresTablesSnapshot {
    snapshot: Snapshot,
    names: TableNames,
    position: Position,
    failed: Mutex<Option<String>>,
}

/// How many times a version that was removed while it was looked up is looked up again.
const LOOKS: usize = 5;

impl PostgresTablesSnapshot {
    pub(super) async fn take(
        connections: &Arc<Connections>,
        name: &str,
    ) -> Result<Self, TableError> {
        let mut looks = 0;
        loop {
            looks += 1;
            match Self::look(connections, name).await {
                Err(TableError::Storage(ReadModelError::TablesChanged { .. })) if looks < LOOKS => {
                }
                taken => return taken,
            }
        }
    }

    async fn look(connections: &Arc<Connections>, name: &str) -> Result<Self, TableError> {
        let snapshot = connections.snapshot().await?;
        let serving = shown::serving(&snapshot, name).await?;
        let Some((view, position, record)) = serving else {
            drop(snapshot);
            let versions = views::named(connections, name).await?;
            return Err(TableError::NotServing {
                name: name.to_owned(),
                why: Unserved::of(&versions),
            });
        };
        let names = record.names_of(&view);
        let tables = record.tables.iter().map(|name| names.in_database(name));
        let tables: BTreeSet<String> = tables.collect();
        snapshot.keep(&view, &tables).await?;
        Ok(Self {
            snapshot,
            names,
            position,
            failed: Mutex::default(),
        })
    }

    fn tables(&self) -> PostgresTables<'_> {
        PostgresTables {
            connections: self.snapshot.connections(),
            link: self.snapshot.link(),
            names: &self.names,
            may_write: false,
            failed: &self.failed,
        }
    }

    /// Up to where what is read is true.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The view, with its version.
    pub fn view(&self) -> &ViewId {
        self.names.view()
    }

    /// The first row that a statement gives; none when it gives none.
    ///
    /// # Errors
    /// As [`PostgresTables::execute`].
    pub async fn query_row(
        &self,
        sql: &str,
        params: Parameters<'_>,
    ) -> Result<Option<Row>, TableError> {
        self.tables().query_row(sql, params).await
    }

    /// All rows that a statement gives.
    ///
    /// # Errors
    /// As [`PostgresTables::execute`].
    pub async fn query(&self, sql: &str, params: Parameters<'_>) -> Result<Vec<Row>, TableError> {
        self.tables().query(sql, params).await
    }

    /// Lets the connection be used again at once.
    pub async fn close(self) {
        self.snapshot.close().await;
    }
}

impl std::fmt::Debug for PostgresTablesSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTablesSnapshot")
            .field("view", self.view())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// What PostgreSQL says of a statement, in one sentence.
fn said(error: &tokio_postgres::Error) -> String {
    let Some(error) = error.as_db_error() else {
        return ErrorChain(error).to_string();
    };
    let detail = error.detail().or(error.hint());
    let detail = detail.map(|detail| format!(" ({})", one_line(detail)));
    format!("{}{}", error.message(), detail.unwrap_or_default())
}
