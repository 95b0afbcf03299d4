//! Tables in PostgreSQL: what an author declares, and how its events are counted.

use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::work::{NotTaken, Stopped, TablesHome};
use crate::block::StoredEvent;
use crate::domain::event::{DomainEvent, EventOrigin};
use crate::engine::postgres::PostgresReadModels;
pub use crate::engine::postgres::PostgresTables;
use crate::projection::commits::Batch;
use crate::projection::home::Fault;
use crate::projection::{Lists, Projection, ProjectionError, Source, panic};
use crate::store::Position;
use crate::store::read_model::{
    ReadModelError, ReadModelStorage, TableNames, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};

/// What a projection makes of the events of an enum, in tables of its own in PostgreSQL: as
/// [`ProjectTables`](super::ProjectTables) in SQLite, with statements that are awaited.
///
/// A statement that fails ends the transaction for PostgreSQL, so an error that a projection passes over stops the view
/// all the same: write it so that it does not fail (`ON CONFLICT`), or within a `SAVEPOINT`.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
/// use cim_es::projection::{PostgresTables, ProjectPostgresTables, ProjectionError};
///
/// /// Each lamp, and how many times it was switched.
/// #[derive(Projection)]
/// #[projection(
///     name = "lamps",
///     version = 1,
///     events = [LampEvent],
///     postgres_tables = "CREATE TABLE {lamps} (id uuid PRIMARY KEY, is_on bool NOT NULL, switched int8 NOT NULL)",
/// )]
/// struct LampTable;
///
/// impl ProjectPostgresTables<LampEvent> for LampTable {
///     async fn project(
///         &self,
///         event: LampEvent,
///         at: &Source<'_, Lamp>,
///         tables: &PostgresTables<'_>,
///     ) -> Result<(), ProjectionError> {
///         let LampEvent::Switched { on } = event;
///         let sql = "INSERT INTO {lamps} AS old VALUES ($1, $2, 1)
///                    ON CONFLICT (id) DO UPDATE SET is_on = $2, switched = old.switched + 1";
///         tables.execute(sql, &[&at.id(), &on]).await?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `{E}` and does not say what it makes of it in its tables of PostgreSQL",
    label = "`impl ProjectPostgresTables<{E}> for {Self}` is missing",
    note = "write `impl ProjectPostgresTables<{E}> for {Self}` with `async fn project(&self, event: {E}, at: &Source<'_, …>, tables: &PostgresTables<'_>) -> Result<(), ProjectionError>`, or take them out of `events = […]`"
)]
pub trait ProjectPostgresTables<E: DomainEvent<Origin: EventOrigin>>:
    InPostgresTables + Lists<E>
{
    /// Takes the next event. `at` says where it stands: its aggregate, time, position, actor.
    ///
    /// # Errors
    /// Why the event cannot be counted; the view stops there. What PostgreSQL says of a statement is handed on by `?`.
    fn project(
        &self,
        event: E,
        at: &Source<'_, E::Origin>,
        tables: &PostgresTables<'_>,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

/// A projection whose view is tables of its own in PostgreSQL; `#[derive(Projection)]` writes it where
/// `postgres_tables = …` is named.
#[diagnostic::on_unimplemented(
    message = "the view of `{Self}` is not kept in tables of PostgreSQL",
    label = "not a projection into tables of PostgreSQL",
    note = "declare the tables, `#[projection(postgres_tables = \"CREATE TABLE {{…}} (…)\")]`, or open the view in the home that it has"
)]
pub trait InPostgresTables: Projection {
    /// The statements that make the tables.
    const TABLES: &'static str;

    /// Takes an event that the selection gives.
    ///
    /// # Errors
    /// [`ProjectionError`].
    #[doc(hidden)]
    fn take(
        &self,
        event: &StoredEvent,
        is_new: bool,
        tables: &PostgresTables<'_>,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

pub(super) struct InPostgres<P> {
    pub projection: P,
    pub models: PostgresReadModels,
    pub names: TableNames,
    /// Whether the tables were found as they were made, since this program counts.
    pub is_checked: AtomicBool,
}

/// Commits that are to be counted in one transaction.
struct Attempt<'a> {
    changes: &'a ViewChanges,
    settled: Position,
    batch: &'a Batch,
    commits: Range<usize>,
}

/// Why a transaction came to nothing.
enum Failed {
    Stopped(Stopped),
    /// Something else than the tables of the view was written to.
    OthersWritten(String),
}

impl Attempt<'_> {
    fn storage_failed(&self, error: ReadModelError) -> Failed {
        Failed::Stopped(Stopped::by_storage(self.commits.start, error))
    }

    /// The last commit is refused, where it is not known which of them is at fault.
    fn refuse_last(&self, reason: String) -> Stopped {
        let at = self.commits.end.saturating_sub(1);
        let commit = self.batch.commit_at(at);
        match commit.and_then(|commit| commit.last()) {
            Some(event) => Stopped::by_event(at, event, reason),
            None => Stopped {
                at,
                fault: Fault::Unfit(reason),
            },
        }
    }
}

impl<P: InPostgresTables> InPostgres<P> {
    /// Counts commits in one transaction; nothing of them is stored where that fails.
    async fn attempt(&self, work: &Attempt<'_>, looks_at_each: bool) -> Result<(), Failed> {
        let failed = |error| work.storage_failed(error);
        let is_checked = self.is_checked.load(Ordering::Relaxed);
        let begun = self
            .models
            .begin_tables(&self.names, work.changes, is_checked);
        let transaction = begun.await.map_err(failed)?;
        self.is_checked.store(true, Ordering::Relaxed);
        let taken = self.take(work, &transaction.tables(looks_at_each)).await;
        let Err(refused) = taken else {
            return match transaction.others_written().await {
                Ok(None) => transaction.commit().await.map_err(failed),
                Ok(Some(reason)) => {
                    transaction.roll_back().await;
                    Err(Failed::OthersWritten(reason))
                }
                Err(error) => {
                    transaction.roll_back().await;
                    Err(failed(error))
                }
            };
        };
        transaction.roll_back().await;
        if let Fault::Event(_) = refused.fault {
            // A table that is gone is why a statement fails, and says more than the statement does.
            let checked = self.models.check_tables(self.names.view()).await;
            checked.map_err(failed)?;
        }
        Err(Failed::Stopped(refused))
    }

    async fn take(&self, work: &Attempt<'_>, tables: &PostgresTables<'_>) -> Result<(), Stopped> {
        for (at, event) in work.batch.events_of(work.commits.clone()) {
            let is_new = event.position > work.settled;
            let taken = panic::caught(self.projection.take(event, is_new, tables)).await;
            let not_taken = match (taken, tables.failure()) {
                (Ok(Ok(())), None) => continue,
                (Ok(Ok(())), Some(failure)) => NotTaken::Refused(failure.to_string()),
                (Ok(Err(error)), _) => match error.into_storage_error() {
                    Ok(error) => NotTaken::Storage(error),
                    Err(error) => NotTaken::Refused(error.to_string()),
                },
                (Err(reason), _) => NotTaken::Refused(reason),
            };
            return Err(not_taken.stops(at, event));
        }
        Ok(())
    }
}

impl<P: InPostgresTables> TablesHome for InPostgres<P> {
    fn storage(&self) -> &dyn ReadModelStorage {
        &self.models
    }

    async fn make(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        let made = self.models.open_tables(declaration, &self.names, P::TABLES);
        made.await
    }

    async fn project(
        &self,
        changes: ViewChanges,
        settled: Position,
        batch: &Batch,
        commits: Range<usize>,
    ) -> Result<(), Stopped> {
        let work = Attempt {
            changes: &changes,
            settled,
            batch,
            commits,
        };
        match self.attempt(&work, false).await {
            // Once more, to know which statement of which event it is.
            Err(Failed::OthersWritten(_)) => match self.attempt(&work, true).await {
                Err(Failed::OthersWritten(reason)) => Err(work.refuse_last(reason)),
                Err(Failed::Stopped(stopped)) => Err(stopped),
                Ok(()) => Ok(()),
            },
            Err(Failed::Stopped(stopped)) => Err(stopped),
            Ok(()) => Ok(()),
        }
    }

    fn turn_to(&mut self, view: &ViewId) -> Result<(), ReadModelError> {
        self.names = TableNames::declared_in(view, P::TABLES)?;
        self.is_checked = false.into();
        Ok(())
    }

    fn forget(&self) {
        self.is_checked.store(false, Ordering::Relaxed);
    }
}
