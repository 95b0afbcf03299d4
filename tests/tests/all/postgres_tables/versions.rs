//! A new version is built in tables of its own, and takes over in one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cim_es::prelude::*;
use cim_es::projection::{
    OpenError, PostgresTables, PostgresTablesReader, ProjectPostgresTables, ProjectionError,
    ProjectionManager, ViewState,
};

use super::{Desk, Sums, until};
use crate::postgres_killed::{LIMIT, Till, TillEvent};

/// The second version counts double in a table of another form.
#[derive(Projection, Clone)]
#[projection(
    name = "sums",
    version = 2,
    events = [TillEvent],
    postgres_tables = "CREATE TABLE {tills} (double int8 NOT NULL, id text PRIMARY KEY)",
)]
struct Doubles {
    outside: Arc<AtomicUsize>,
}

impl ProjectPostgresTables<TillEvent> for Doubles {
    async fn project(
        &self,
        event: TillEvent,
        at: &Source<'_, Till>,
        tables: &PostgresTables<'_>,
    ) -> Result<(), ProjectionError> {
        let TillEvent::Moved { amount } = event;
        self.outside
            .fetch_add(usize::from(at.is_new()), Ordering::Relaxed);
        let sql = "INSERT INTO {tills} AS old (id, double) VALUES ($1, $2)
                   ON CONFLICT (id) DO UPDATE SET double = old.double + $2";
        tables.execute(sql, &[&at.id(), &(2 * amount)]).await?;
        Ok(())
    }
}

async fn names(desk: &Desk) -> String {
    let sql = "SELECT coalesce(string_agg(relname, ',' ORDER BY relname), '') FROM pg_class \
               WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v') AND relname LIKE 'sums%'";
    desk.sql(sql).await.unwrap()
}

async fn open_doubles(desk: &Desk) -> (Doubles, cim_es::projection::PostgresTablesView) {
    let doubles = Doubles {
        outside: Arc::default(),
    };
    let manager = ProjectionManager::new(desk.store.clone());
    let opening = manager.postgres_tables_by(doubles.clone(), desk.models().await);
    (doubles, opening.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_answers_when_it_is_level_and_the_tables_of_the_one_before_are_gone() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (former, view) = desk.open().await;
    for _ in 0..5 {
        desk.add(&ann, 1).await;
    }
    let last = desk.add(&ann, 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    let reader = PostgresTablesReader::new(desk.models().await, "sums");
    assert_eq!(reader.snapshot().await.unwrap().view().version(), 1);
    assert_eq!(
        names(&desk).await,
        "sums_1_movements,sums_1_tills,sums_movements,sums_tills"
    );

    let (doubles, next) = open_doubles(&desk).await;
    next.wait_for(last, LIMIT).await.unwrap();
    until(&view, |view| {
        matches!(view.status().state, ViewState::Stopped { .. })
    })
    .await;
    assert_eq!(names(&desk).await, "sums_2_tills,sums_tills");
    assert_eq!(reader.snapshot().await.unwrap().view().version(), 2);
    assert_eq!(
        desk.sql::<i64>("SELECT double FROM sums_tills")
            .await
            .unwrap(),
        12
    );
    assert_eq!(doubles.outside.load(Ordering::Relaxed), 0);
    former.stop().await;
    let refused = ProjectionManager::new(desk.store.clone());
    let refused = refused
        .postgres_tables::<Sums>(desk.models().await)
        .await
        .unwrap_err();
    assert!(matches!(refused, OpenError::Superseded { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_for_long_holds_up_the_new_version_and_loses_nothing() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (former, view) = desk.open().await;
    let first = desk.add(&ann, 1).await;
    view.wait_for(first, LIMIT).await.unwrap();
    let long = view.snapshot().await.unwrap();
    former.stop().await;

    let (_, next) = open_doubles(&desk).await;
    // It cannot drop the tables that are read, and says so.
    until(&next, |view| {
        matches!(view.status().state, ViewState::Waiting { .. })
    })
    .await;
    let line = next.status().to_string();
    assert!(line.contains("lock timeout"), "{line}");
    let sum = long
        .query_row("SELECT sum FROM {tills}", &[])
        .await
        .unwrap();
    assert_eq!(sum.unwrap().get::<_, i64>(0), 1);
    long.close().await;
    next.wait_for(first, LIMIT).await.unwrap();
    until(&next, |view| view.status().state == ViewState::Live).await;
    assert_eq!(names(&desk).await, "sums_2_tills,sums_tills");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_built_on_a_table_is_said_and_stays() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (former, view) = desk.open().await;
    let first = desk.add(&ann, 1).await;
    view.wait_for(first, LIMIT).await.unwrap();
    former.stop().await;
    desk.meddle("CREATE VIEW report AS SELECT count(*) AS n FROM sums_tills")
        .await;
    let (_, next) = open_doubles(&desk).await;
    until(&next, |view| {
        matches!(view.status().state, ViewState::Waiting { .. })
    })
    .await;
    let line = next.status().to_string();
    assert!(
        line.contains("something that is not of this library depends on a table of a view")
            && line.contains("view report depends on view sums_tills"),
        "{line}"
    );
    assert_eq!(desk.sql::<i64>("SELECT n FROM report").await.unwrap(), 1);
    desk.meddle("DROP VIEW report").await;
    next.wait_for(first, LIMIT).await.unwrap();
}
