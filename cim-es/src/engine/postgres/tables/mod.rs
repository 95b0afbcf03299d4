//! Tables of an author's own in the schema of the read models.

mod made;
mod permitted;
mod shown;
mod written;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
/// refused. What it writes to are its own tables: where a statement, or what it calls, writes to another one, the view stops
/// before that commit, and nothing of it is stored.
pub struct PostgresTables<'a> {
    connections: &'a Connections,
    link: &'a Link,
    names: &'a TableNames,
    access: Access,
    failed: &'a Mutex<Option<Failed>>,
}

/// What may be done with tables, and who sees to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// They are read.
    Read,
    /// They are written to. What else was is looked at before the transaction is committed.
    Write,
    /// They are written to. What else was is looked at behind each statement, to know which it is.
    WriteAndLook,
}

/// A statement since which the transaction cannot be committed.
#[derive(Clone)]
struct Failed {
    statement: String,
    reason: String,
}

impl PostgresTables<'_> {
    /// Runs a statement, and gives the number of rows that it changed.
    ///
    /// # Errors
    /// [`TableError`] says which statement, and what PostgreSQL said.
    pub async fn execute(&self, sql: &str, params: Parameters<'_>) -> Result<u64, TableError> {
        let resolved = self.permitted(sql)?;
        let done = self.link.execute(&resolved, params);
        let changed = self.answered(sql, self.connections.answer(done).await)?;
        self.look(sql).await?;
        Ok(changed)
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
        let rows = self.answered(sql, self.connections.answer(asked).await)?;
        self.look(sql).await?;
        Ok(rows)
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

    /// Why the transaction cannot be committed, where a statement failed and was passed over.
    pub(crate) fn failure(&self) -> Option<TableError> {
        let Failed { statement, reason } = self.failed().clone()?;
        let view = self.view().clone();
        Some(TableError::Refused {
            view,
            statement,
            reason,
        })
    }

    // Nothing that can panic is done under the lock.
    fn failed(&self) -> MutexGuard<'_, Option<Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a statement behind which something else than the tables of the view is written to.
    async fn look(&self, sql: &str) -> Result<(), TableError> {
        const LOOKING: &str = "looking at what a projection writes to";
        if self.access != Access::WriteAndLook {
            return Ok(());
        }
        let looked = written::others(self.link, self.connections.schema(), self.names);
        let reason = match self.connections.answer(looked).await {
            Some(Ok(None)) => return Ok(()),
            Some(Ok(Some(reason))) => reason,
            Some(Err(error)) => {
                return Err(store_error(self.connections.location(), LOOKING, error).into());
            }
            None => return Err(self.connections.silent(LOOKING).into()),
        };
        let statement = one_line(sql);
        let failed = Failed {
            statement: statement.clone(),
            reason: reason.clone(),
        };
        self.failed().get_or_insert(failed);
        Err(TableError::Refused {
            view: self.view().clone(),
            statement,
            reason,
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
                    *self.failed() = None;
                }
                return Ok(done);
            }
            Some(Err(error)) => error,
            None => return Err(self.connections.silent(RUNNING).into()),
        };
        let (view, statement) = (self.view().clone(), one_line(sql));
        if self.access == Access::Read && error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
        {
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
        let failed = Failed {
            statement: statement.clone(),
            reason: "it failed, and PostgreSQL takes nothing more in a transaction after that; write it so that it does not fail, as with `ON CONFLICT`, or go back to a `SAVEPOINT`"
                .to_owned(),
        };
        self.failed().get_or_insert(failed);
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
    view: View,
    failed: Mutex<Option<Failed>>,
}

impl<'a> TablesTransaction<'a> {
    /// Begins it, for changes of a view that has not changed otherwise.
    pub(super) async fn begin(
        connections: &'a Connections,
        names: &'a TableNames,
        changes: &ViewChanges,
        is_checked: bool,
    ) -> Result<Self, ReadModelError> {
        let (transaction, view) = views::begin(connections, names.view()).await?;
        match changed(&transaction, view, changes, is_checked).await {
            Ok(view) => Ok(Self {
                transaction,
                names,
                view,
                failed: Mutex::default(),
            }),
            Err(error) => Err(give_up(transaction, error).await),
        }
    }

    /// What the projection is given. Where each statement is looked at, one that writes to tables of others is refused;
    /// otherwise [`others_written`](Self::others_written) says that there is one.
    pub(crate) fn tables(&self, looks_at_each: bool) -> PostgresTables<'_> {
        PostgresTables {
            connections: self.transaction.connections(),
            link: self.transaction.link(),
            names: self.names,
            access: match looks_at_each {
                true => Access::WriteAndLook,
                false => Access::Write,
            },
            failed: &self.failed,
        }
    }

    /// Says so where something else than the tables of the view is written to.
    pub(crate) async fn others_written(&self) -> Result<Option<String>, ReadModelError> {
        const LOOKING: &str = "looking at what a projection writes to";
        let connections = self.transaction.connections();
        let looked = written::others(self.transaction.link(), connections.schema(), self.names);
        match connections.answer(looked).await {
            Some(Ok(others)) => Ok(others),
            Some(Err(error)) => Err(store_error(connections.location(), LOOKING, error).into()),
            None => Err(connections.silent(LOOKING).into()),
        }
    }

    /// Stores all of it, with what changes of the view itself.
    pub(crate) async fn commit(self) -> Result<(), ReadModelError> {
        let saved = views::save(&self.transaction, &self.view).await;
        self.transaction.finish(saved.map_err(Into::into)).await
    }

    /// Stores nothing of it.
    pub(crate) async fn roll_back(self) {
        self.transaction.roll_back().await;
    }
}

/// A view as it is to be saved. It is saved last, since the storage's own tables are not to be written to before.
async fn changed(
    transaction: &Transaction<'_>,
    mut view: View,
    changes: &ViewChanges,
    is_checked: bool,
) -> Result<View, ReadModelError> {
    view.record.take(changes, transaction.location())?;
    if !is_checked {
        made::check(transaction, &view).await?;
    }
    Ok(view)
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
    failed: Mutex<Option<Failed>>,
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
            access: Access::Read,
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
