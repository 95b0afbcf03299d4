//! Views in tables of the author's own, in PostgreSQL.

mod bad_input;
mod counting;
mod versions;

use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{
    PostgresTables, PostgresTablesView, ProjectPostgresTables, ProjectionError, ProjectionManager,
    RunningView,
};
use cim_es::store::Position;
use cim_es::{PostgresOptions, PostgresReadModels};
use cim_es_tests::postgres::Postgres;

use crate::postgres_killed::{LIMIT, Till, TillCommand, TillEvent, transfer};

/// What is in each till, with each movement. An amount of 113 is refused, one of 114 panics, one of 115 breaks a rule of the
/// tables, and one of 116 does so and passes it over.
#[derive(Projection)]
#[projection(name = "sums", version = 1, events = [TillEvent], postgres_tables = include_str!("sums.sql"))]
pub struct Sums;

impl ProjectPostgresTables<TillEvent> for Sums {
    async fn project(
        &self,
        event: TillEvent,
        at: &Source<'_, Till>,
        tables: &PostgresTables<'_>,
    ) -> Result<(), ProjectionError> {
        let TillEvent::Moved { amount } = event;
        match amount {
            113 => Err(ProjectionError::new("113 is not counted")),
            114 => panic!("114 is not counted"),
            115 => add(tables, at, 0).await,
            116 => {
                let _ = add(tables, at, 0).await;
                Ok(())
            }
            amount => add(tables, at, amount).await,
        }
    }
}

pub async fn add(
    tables: &PostgresTables<'_>,
    at: &Source<'_, Till>,
    amount: i64,
) -> Result<(), ProjectionError> {
    let sql = "INSERT INTO {tills} AS old (id, sum, moves) VALUES ($1, $2, 1)
               ON CONFLICT (id) DO UPDATE SET sum = old.sum + $2, moves = old.moves + 1";
    tables.execute(sql, &[&at.id(), &amount]).await?;
    let sql = "INSERT INTO {movements} (position, till, amount, at) VALUES ($1, $2, $3, $4)";
    tables
        .execute(sql, &[&at.position(), &at.id(), &amount, &at.time()])
        .await?;
    Ok(())
}

/// A store in memory, with a schema for views.
pub struct Desk {
    pub store: MemoryEventStore,
    pub tills: Repository<Till>,
    pub url: String,
    pub schema: String,
}

impl Desk {
    pub fn on(server: &Postgres) -> Self {
        let store = MemoryEventStore::new();
        Self {
            tills: Repository::new(store.clone()),
            store,
            url: server.url(),
            schema: format!("t{}", Uuid::now_v7().simple()),
        }
    }

    pub fn new() -> Self {
        Self::on(tokio::task::block_in_place(Postgres::shared))
    }

    pub fn options(&self) -> PostgresOptions {
        PostgresOptions::new(&self.url)
            .unwrap()
            .schema(&self.schema)
    }

    pub async fn models(&self) -> PostgresReadModels {
        PostgresReadModels::open_with(self.options()).await.unwrap()
    }

    pub async fn open(&self) -> (ProjectionManager, PostgresTablesView) {
        let manager = ProjectionManager::new(self.store.clone());
        let opening = manager.postgres_tables::<Sums>(self.models().await);
        let view = opening.lease(Duration::from_millis(300)).await;
        (manager, view.expect("the view opens"))
    }

    /// Another program, which knows nothing but SQL.
    pub async fn client(&self) -> tokio_postgres::Client {
        let connected = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        let path = format!("SET search_path TO {}", self.schema);
        client.batch_execute(&path).await.unwrap();
        client
    }

    pub async fn sql<T>(&self, sql: &str) -> Result<T, tokio_postgres::Error>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = self.client().await.query_one(sql, &[]).await?;
        row.try_get(0)
    }

    pub async fn meddle(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    pub async fn transfer(&self, number: u64) -> Position {
        transfer(&self.tills, number).await
    }

    pub async fn add(&self, till: &Id<Till>, amount: i64) -> Position {
        let desk = MessageIdentity::new_from_user("test");
        let command = TillCommand::Move { amount };
        let commit = self.tills.execute(till, command, &desk).await;
        commit.unwrap().position()
    }
}

/// The sum of all tills, and the number of events that are counted, at one moment.
pub async fn total(view: &PostgresTablesView) -> (i64, i64) {
    let snapshot = view.snapshot().await.unwrap();
    let sum = "SELECT coalesce(sum(sum), 0)::int8, coalesce(sum(moves), 0)::int8 FROM {tills}";
    let row = snapshot.query_row(sum, &[]).await.unwrap().unwrap();
    snapshot.close().await;
    (row.get(0), row.get(1))
}

/// Waits until something holds of a view.
pub async fn until(view: &RunningView, holds: impl Fn(&RunningView) -> bool) {
    let waiting = async {
        while !holds(view) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let outcome = tokio::time::timeout(LIMIT, waiting).await;
    outcome.unwrap_or_else(|_| panic!("it does not come so far: {}", view.status()));
}
