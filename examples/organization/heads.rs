//! Who heads each unit: a view in tables of its own, which a join asks.
//!
//! The projection writes what the events say, row by row; that a unit is headed by the role in it that reports to none in it
//! is said by the query, which may be another one tomorrow without a new version of the view.

use cim_es::PostgresReadModels;
use cim_es::SqliteReadModels;
use cim_es::prelude::*;
use cim_es::projection::{
    OpenError, PostgresTables, ProjectPostgresTables, ProjectTables, ProjectionError,
    ProjectionManager, RunningView, TableError, Tables, UpTo, WaitError,
};
use cim_es::store::EventStore;
use std::time::Duration;

use super::values::{Code, Label};
use super::{Organization, OrganizationEvent};

/// One text for both databases.
const TABLES: &str = include_str!("heads.sql");

/// How long the program waits until the view is level.
const LIMIT: Duration = Duration::from_secs(60);

/// The units and roles of all organizations, in tables of SQLite or of PostgreSQL.
#[derive(Projection)]
#[projection(
    name = "heads",
    version = 1,
    events = [OrganizationEvent::{
        UnitCreated, UnitUpdated, UnitDissolved, RoleCreated, RoleUpdated, RoleVacated, RoleFilled, RoleFrozen,
        RoleUnfrozen, RoleDeprecated
    }],
    tables = TABLES,
    postgres_tables = TABLES,
)]
pub struct Heads;

/// What an event changes: a statement with parameters as PostgreSQL writes them, and what it is given beside the
/// organization, which is the first.
struct Change<'a> {
    sql: &'static str,
    given: Vec<Option<&'a str>>,
}

impl<'a> Change<'a> {
    fn of(event: &'a OrganizationEvent) -> Option<Self> {
        use OrganizationEvent::*;
        let state = |role: &'a Code, state: &'static str| {
            Self::new(
                "UPDATE {roles} SET state = $3 WHERE organization = $1 AND code = $2",
                [Some(role.as_str()), Some(state)],
            )
        };
        let of_role = |sql,
                       role: &'a Code,
                       title: &'a Label,
                       unit: &'a Option<Code>,
                       superior: &'a Option<Code>| {
            let (unit, superior) = (text(unit), text(superior));
            Self::new(
                sql,
                [Some(role.as_str()), Some(title.as_str()), unit, superior],
            )
        };
        let change = match event {
            UnitCreated { unit, name, .. } => Self::new(
                "INSERT INTO {units} (organization, code, name) VALUES ($1, $2, $3)",
                [Some(unit.as_str()), Some(name.as_str())],
            ),
            UnitUpdated { unit, name } => Self::new(
                "UPDATE {units} SET name = $3 WHERE organization = $1 AND code = $2",
                [Some(unit.as_str()), Some(name.as_str())],
            ),
            UnitDissolved { unit, .. } => Self::new(
                "DELETE FROM {units} WHERE organization = $1 AND code = $2",
                [Some(unit.as_str())],
            ),
            RoleCreated {
                role,
                title,
                unit,
                reports_to,
            } => of_role(
                "INSERT INTO {roles} (organization, code, title, unit, reports_to, state) VALUES ($1, $2, $3, $4, $5, 'held')",
                role,
                title,
                unit,
                reports_to,
            ),
            RoleUpdated {
                role,
                title,
                unit,
                reports_to,
            } => of_role(
                "UPDATE {roles} SET title = $3, unit = $4, reports_to = $5 WHERE organization = $1 AND code = $2",
                role,
                title,
                unit,
                reports_to,
            ),
            RoleVacated { role } => state(role, "vacant"),
            RoleFilled { role } | RoleUnfrozen { role } => state(role, "held"),
            RoleFrozen { role, .. } => state(role, "frozen"),
            RoleDeprecated { role, .. } => Self::new(
                "DELETE FROM {roles} WHERE organization = $1 AND code = $2",
                [Some(role.as_str())],
            ),
            _ => return None,
        };
        Some(change)
    }

    fn new<const N: usize>(sql: &'static str, given: [Option<&'a str>; N]) -> Self {
        let given = given.to_vec();
        Self { sql, given }
    }
}

fn text(code: &Option<Code>) -> Option<&str> {
    code.as_ref().map(Code::as_str)
}

impl ProjectTables<OrganizationEvent> for Heads {
    fn project(
        &self,
        event: OrganizationEvent,
        at: &Source<'_, Organization>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        if let Some(change) = Change::of(&event) {
            let given = [Some(at.id_text())].into_iter().chain(change.given);
            // SQLite would number `$3` by its place in the statement, and takes `?3` at its word.
            let sql = change.sql.replace('$', "?");
            tables.execute(&sql, rusqlite::params_from_iter(given))?;
        }
        Ok(())
    }
}

impl ProjectPostgresTables<OrganizationEvent> for Heads {
    async fn project(
        &self,
        event: OrganizationEvent,
        at: &Source<'_, Organization>,
        tables: &PostgresTables<'_>,
    ) -> Result<(), ProjectionError> {
        if let Some(change) = Change::of(&event) {
            let given: Vec<_> = [Some(at.id_text())]
                .into_iter()
                .chain(change.given)
                .collect();
            let given: Vec<_> = given
                .iter()
                .map(|it| it as &(dyn tokio_postgres::types::ToSql + Sync))
                .collect();
            tables.execute(change.sql, &given).await?;
        }
        Ok(())
    }
}

/// A unit, and a role that heads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub organization: String,
    pub unit: String,
    /// None for a unit without roles.
    pub title: Option<String>,
    /// Whether it is held, vacant or frozen.
    pub state: Option<String>,
    /// The title of the role that it reports to.
    pub superior: Option<String>,
}

/// Each unit with the roles in it that report to none in it.
const QUERY: &str = "
    SELECT {units}.organization, {units}.name, head.title, head.state, superior.title
    FROM {units}
    LEFT JOIN {roles} AS head ON head.organization = {units}.organization AND head.unit = {units}.code
        AND NOT EXISTS (
            SELECT 1 FROM {roles} AS above
            WHERE above.organization = head.organization AND above.code = head.reports_to AND above.unit = head.unit
        )
    LEFT JOIN {roles} AS superior ON superior.organization = head.organization AND superior.code = head.reports_to
    ORDER BY {units}.organization, {units}.code, head.code";

/// Why the heads cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Store(#[from] cim_es::store::StoreError),
}

/// Brings the tables in a file of read models level with a store, and asks them.
///
/// # Errors
/// [`HeadsError`].
pub async fn in_sqlite(
    store: impl EventStore + Clone,
    models: SqliteReadModels,
) -> Result<UpTo<Vec<Head>>, HeadsError> {
    let projections = ProjectionManager::new(store.clone());
    let heads = projections.tables::<Heads>(models).await?;
    level(&store, &heads).await?;
    let found = heads.read(|tables| {
        tables.query(QUERY, (), |row| {
            Ok(Head {
                organization: row.get(0)?,
                unit: row.get(1)?,
                title: row.get(2)?,
                state: row.get(3)?,
                superior: row.get(4)?,
            })
        })
    });
    let found = found.await?;
    projections.stop().await;
    Ok(found)
}

/// The same in PostgreSQL.
///
/// # Errors
/// [`HeadsError`].
pub async fn in_postgres(
    store: impl EventStore + Clone,
    models: PostgresReadModels,
) -> Result<UpTo<Vec<Head>>, HeadsError> {
    let projections = ProjectionManager::new(store.clone());
    let heads = projections.postgres_tables::<Heads>(models).await?;
    level(&store, &heads).await?;
    let snapshot = heads.snapshot().await?;
    let rows = snapshot.query(QUERY, &[]).await?;
    let found = rows.iter().map(|row| Head {
        organization: row.get(0),
        unit: row.get(1),
        title: row.get(2),
        state: row.get(3),
        superior: row.get(4),
    });
    let found = UpTo {
        value: found.collect(),
        position: snapshot.position(),
    };
    snapshot.close().await;
    projections.stop().await;
    Ok(found)
}

async fn level(store: &impl EventStore, view: &RunningView) -> Result<(), HeadsError> {
    let end = store.last_position().await?;
    Ok(view.wait_for(end, LIMIT).await?)
}
