//! Tables in a file of SQLite: what an author declares, and how its events are counted.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::work::{NotTaken, Stopped, TablesHome};
use crate::block::StoredEvent;
use crate::domain::event::{DomainEvent, EventOrigin};
use crate::engine::sqlite::SqliteReadModels;
pub use crate::engine::sqlite::Tables;
use crate::engine::sqlite::{is_storages, said};
use crate::projection::commits::Batch;
use crate::projection::{Lists, Projection, ProjectionError, Source, panic};
use crate::store::Position;
use crate::store::read_model::{
    ReadModelError, ReadModelStorage, TableNames, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};

/// What a projection makes of the events of an enum, in tables of its own in a file of SQLite.
///
/// It works in the transaction that stores the position of the view, so an event counts with all that it changes or not at
/// all, and nothing is seen before the whole commit of the event is counted. Where it gives an error or panics, the view
/// stops before that commit ([`Parked`](crate::projection::Parked)), and no other view does. It may be called again for events whose
/// transaction came to nothing.
///
/// The tables are declared in the attribute, in a text or by the path of a constant. `{lamps}` stands for the table of this
/// version of the view, there and in every statement; see [`Tables`].
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
/// use cim_es::projection::{ProjectTables, ProjectionError, Tables};
///
/// /// Each lamp, and how many times it was switched.
/// #[derive(Projection)]
/// #[projection(
///     name = "lamps",
///     version = 1,
///     events = [LampEvent],
///     tables = "CREATE TABLE {lamps} (id TEXT PRIMARY KEY, is_on INTEGER NOT NULL, switched INTEGER NOT NULL)",
/// )]
/// struct LampTable;
///
/// impl ProjectTables<LampEvent> for LampTable {
///     fn project(
///         &self,
///         event: LampEvent,
///         at: &Source<'_, Lamp>,
///         tables: &Tables<'_>,
///     ) -> Result<(), ProjectionError> {
///         let LampEvent::Switched { on } = event;
///         tables.execute(
///             "INSERT INTO {lamps} VALUES (?1, ?2, 1)
///              ON CONFLICT DO UPDATE SET is_on = excluded.is_on, switched = switched + 1",
///             (at.id_text(), on),
///         )?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `{E}` and does not say what it makes of it in its tables",
    label = "`impl ProjectTables<{E}> for {Self}` is missing",
    note = "write `impl ProjectTables<{E}> for {Self} {{ fn project(&self, event: {E}, at: &Source<'_, …>, tables: &Tables<'_>) -> Result<(), ProjectionError> {{ … }} }}`, or take them out of `events = […]`"
)]
pub trait ProjectTables<E: DomainEvent<Origin: EventOrigin>>: InTables + Lists<E> {
    /// Takes the next event. `at` says where it stands: its aggregate, time, position, actor.
    ///
    /// # Errors
    /// Why the event cannot be counted; the view stops there. What SQLite says of a statement is handed on by `?`.
    fn project(
        &self,
        event: E,
        at: &Source<'_, E::Origin>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError>;
}

/// A projection whose view is tables of its own in a file of SQLite; `#[derive(Projection)]` writes it where `tables = …`
/// is named.
#[diagnostic::on_unimplemented(
    message = "the view of `{Self}` is not kept in tables of SQLite",
    label = "not a projection into tables of SQLite",
    note = "declare the tables, `#[projection(tables = \"CREATE TABLE {{…}} (…)\")]`, or open the view in the home that it has"
)]
pub trait InTables: Projection {
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
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError>;
}

pub(super) struct InSqlite<P> {
    pub projection: Arc<P>,
    pub models: SqliteReadModels,
    pub names: Arc<TableNames>,
}

impl<P: InTables> TablesHome for InSqlite<P> {
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
        let (projection, batch) = (Arc::clone(&self.projection), batch.clone());
        let first = commits.start;
        let project = move |tables: &Tables<'_>| {
            for (at, event) in batch.events_of(commits) {
                let is_new = event.position > settled;
                let taken = take(&*projection, event, is_new, tables);
                taken.map_err(|not_taken| not_taken.stops(at, event))?;
            }
            Ok(())
        };
        let done = self
            .models
            .commit_tables(&self.names, changes, project)
            .await;
        done.unwrap_or_else(|error| Err(Stopped::by_storage(first, error)))
    }

    fn turn_to(&mut self, view: &ViewId) -> Result<(), ReadModelError> {
        self.names = Arc::new(TableNames::declared_in(view, P::TABLES)?);
        Ok(())
    }

    // What the file declares says whether the tables may have changed.
    fn forget(&self) {}
}

/// Has a projection take an event in the open transaction.
pub(in crate::projection) fn take<P: InTables>(
    projection: &P,
    event: &StoredEvent,
    is_new: bool,
    tables: &Tables<'_>,
) -> Result<(), NotTaken> {
    let taken = catch_unwind(AssertUnwindSafe(|| projection.take(event, is_new, tables)));
    match taken {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match storage_error(error, tables) {
            Ok(error) => NotTaken::Storage(error),
            Err(error) => NotTaken::Refused(error.to_string()),
        }),
        Err(panic) => Err(NotTaken::Refused(panic::reason(&*panic))),
    }
}

/// What the file said, where that is why the projection gave up.
fn storage_error(
    error: ProjectionError,
    tables: &Tables<'_>,
) -> Result<ReadModelError, ProjectionError> {
    let error = match error.downcast::<rusqlite::Error>() {
        Ok(error) if is_storages(&error) => return Ok(tables.storage_error(error)),
        Ok(error @ rusqlite::Error::SqlInputError { .. }) => ProjectionError::new(said(&error)),
        Ok(error) => ProjectionError::from(error),
        Err(error) => error,
    };
    error.into_storage_error()
}
