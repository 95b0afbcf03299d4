//! What is wrong with tables or statements is said: which one, where, and what to do.

use cim_es::prelude::*;
use cim_es::projection::{
    InPostgresTables, OpenError, PostgresTables, PostgresTablesReader, ProjectPostgresTables,
    ProjectionError, ProjectionManager, TableError, ViewState, WithoutFields,
};
use cim_es::store::Position;
use cim_es::store::read_model::ReadModelError;

use super::{Desk, Sums, total, until};
use crate::postgres_killed::{LIMIT, Till, TillEvent};

/// A projection of one text, which runs one statement at each event.
macro_rules! projection {
    ($name:ident, $text:expr, $statement:expr) => {
        #[derive(Projection)]
        #[projection(name = "odd", version = 1, events = [TillEvent], postgres_tables = $text)]
        struct $name;

        impl ProjectPostgresTables<TillEvent> for $name {
            async fn project(
                &self,
                _: TillEvent,
                _: &Source<'_, Till>,
                tables: &PostgresTables<'_>,
            ) -> Result<(), ProjectionError> {
                tables.execute($statement, &[]).await?;
                Ok(())
            }
        }
    };
}

async fn refused<P: InPostgresTables + WithoutFields>() -> String {
    let desk = Desk::new();
    let models = desk.models().await;
    desk.meddle("CREATE TABLE theirs (id text); CREATE TABLE odd_1_there (id text)")
        .await;
    let manager = ProjectionManager::new(desk.store.clone());
    let error = manager.postgres_tables::<P>(models).await.unwrap_err();
    let is_it = matches!(
        error,
        OpenError::Storage(ReadModelError::InvalidTables { .. })
    );
    assert!(is_it, "{error:?}");
    // Nothing of it stays.
    let made = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname LIKE 'odd%'";
    assert_eq!(desk.sql::<i64>(made).await.unwrap(), 1, "{error}");
    assert_eq!(
        desk.sql::<i64>("SELECT count(*) FROM views").await.unwrap(),
        0
    );
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_makes_something_else_than_tables_of_the_view_is_refused_with_the_statement() {
    macro_rules! case {
        ($text:literal, $said:literal) => {{
            projection!(Odd, $text, "SELECT 1");
            let said = refused::<Odd>().await;
            assert!(
                said.starts_with("the tables of view `odd v1` cannot be made: ")
                    && said.contains($said),
                "{}\n{said}",
                $text
            );
        }};
    }
    case!(
        "CREATE TABLE {a} (id text); CREATE TABLE b (id text)",
        "statement 2: the table is not named for the version of the view"
    );
    case!(
        "CREATE TABLE {a} (id text); CREATE INDEX i ON {a} (id)",
        "statement 2: the index is not named for the version of the view"
    );
    case!(
        "CREATE TABLE {a} (id text); CREATE INDEX {i} ON theirs (id)",
        "`{i}` is not an index on a table of this view"
    );
    case!(
        "CREATE TABLE {a} (id txt)",
        "statement 1: type \"txt\" does not exist"
    );
    case!(
        "CREATE TABEL {a} (id text)",
        "statement 1: the tables of a view are declared by"
    );
    case!(
        "CREATE UNLOGGED TABLE {a} (id text)",
        "would be lost without its position"
    );
    case!(
        "CREATE TEMP TABLE {a} (id text)",
        "would be lost without its position"
    );
    case!(
        "CREATE TABLE {a} (id text); CREATE VIEW {v} AS SELECT 1",
        "by nothing else"
    );
    case!(
        "CREATE TABLE {a} (id text); DROP TABLE theirs",
        "statement 2: "
    );
    case!("CREATE TABLE {a} (id text); COMMIT; BEGIN", "statement 2: ");
    case!(
        "CREATE TABLE {a} (id text); INSERT INTO theirs VALUES (1)",
        "it writes to what is not a table of this view"
    );
    case!(
        "CREATE TABLE {there} (id text)",
        "already exists; somebody else made it: drop it or rename it"
    );
    case!(
        "CREATE TABLE IF NOT EXISTS {there} (id text)",
        "`{there}` is named and not made"
    );
    case!(
        "CREATE TABLE {A} (id text)",
        "`{A}` is not taken as the name of a table"
    );
    case!("SELECT '{a}'", "it names no table in braces");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_projection_must_not_do_is_refused_and_nothing_of_it_is_done() {
    const TEXT: &str = "CREATE TABLE {a} (id text)";
    macro_rules! case {
        ($statement:literal, $said:literal) => {{
            projection!(Odd, TEXT, $statement);
            let desk = Desk::new();
            let manager = ProjectionManager::new(desk.store.clone());
            let view = manager
                .postgres_tables::<Odd>(desk.models().await)
                .await
                .unwrap();
            until(&view, |view| view.status().state == ViewState::Live).await;
            let last = desk.transfer(0).await;
            let said = view.wait_for(last, LIMIT).await.unwrap_err().to_string();
            assert!(said.contains($said), "{said}");
            assert_eq!(
                desk.sql::<i64>("SELECT count(*) FROM odd_a").await.unwrap(),
                0
            );
            manager.stop().await;
        }};
    }
    case!(
        "COMMIT",
        "statement `COMMIT` of view `odd v1` is refused: the transaction is begun and ended"
    );
    case!(
        "-- now\n rollback",
        "the transaction is begun and ended with the position of the view"
    );
    case!(
        "DROP TABLE {a}",
        "a projection writes rows; what is declared is changed in the declaration"
    );
    case!(
        "SET search_path TO public",
        "the connection is that of the storage, and stays as it is"
    );
    case!(
        "INSERT INTO {b} VALUES (1)",
        "view `odd v1` declares no `{b}`: it has `{a}`"
    );
    case!(
        "INSERT INTO {a} VALEUS (1)",
        "statement `INSERT INTO {a} VALEUS (1)` of view `odd v1` failed"
    );
    case!(
        "INSERT INTO {a} VALUES ($1)",
        "statement `INSERT INTO {a} VALUES ($1)` of view `odd v1` failed"
    );
}

/// Counts amounts, and does at 113 what the view was made for.
macro_rules! trespassing {
    ($name:ident, $statement:expr, $is_passed_over:expr) => {
        #[derive(Projection)]
        #[projection(name = "odd", version = 1, events = [TillEvent], postgres_tables = "CREATE TABLE {a} (amount int8)")]
        struct $name;

        impl ProjectPostgresTables<TillEvent> for $name {
            async fn project(
                &self,
                event: TillEvent,
                _: &Source<'_, Till>,
                tables: &PostgresTables<'_>,
            ) -> Result<(), ProjectionError> {
                let TillEvent::Moved { amount } = event;
                tables
                    .execute("INSERT INTO {a} VALUES ($1)", &[&amount])
                    .await?;
                if amount == 113 {
                    let done = tables.execute($statement, &[]).await;
                    if !$is_passed_over {
                        done?;
                    }
                }
                Ok(())
            }
        }
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_writes_to_tables_of_others_parks_the_view_before_its_event() {
    macro_rules! case {
        ($statement:literal, $table:literal) => {
            case!($statement, $table, false);
            case!($statement, $table, true);
        };
        ($statement:literal, $table:literal, $is_passed_over:literal) => {{
            trespassing!(Odd, $statement, $is_passed_over);
            let desk = Desk::new();
            let models = desk.models().await;
            desk.meddle(
                "CREATE TABLE theirs (id int8);
                 CREATE FUNCTION write_theirs() RETURNS int8 LANGUAGE sql AS 'INSERT INTO theirs VALUES (1) RETURNING id'",
            )
            .await;
            let till = Id::new();
            // All at once, so that they would be counted in one transaction.
            for amount in [1, 2, 113] {
                desk.add(&till, amount).await;
            }
            let last = desk.add(&till, 4).await;
            let manager = ProjectionManager::new(desk.store.clone());
            let view = manager.postgres_tables::<Odd>(models).await.unwrap();
            let said = view.wait_for(last, LIMIT).await.unwrap_err().to_string();
            let told = format!(
                "statement `{}` of view `odd v1` is refused: it writes to `{}.{}`, which is not a table of this view",
                $statement, desk.schema, $table
            );
            assert!(said.contains(&told), "{said}");
            let parked = view.status().parked().map(|parked| parked.bookmark.position);
            assert_eq!(parked, Some(Position(3)), "{}", $statement);
            for (sql, count) in [
                ("SELECT sum(amount)::int8 FROM odd_1_a", 3),
                ("SELECT count(*) FROM theirs", 0),
                ("SELECT max(position) FROM views", 2),
            ] {
                assert_eq!(desk.sql::<i64>(sql).await.unwrap(), count, "{}: {sql}", $statement);
            }
            manager.stop().await;
        }};
    }
    case!("INSERT INTO theirs VALUES (1)", "theirs");
    case!("DELETE FROM theirs", "theirs");
    case!(
        "WITH done AS (INSERT INTO theirs VALUES (1) RETURNING id) SELECT * FROM done",
        "theirs"
    );
    case!("SELECT write_theirs()", "theirs");
    case!("UPDATE views SET position = 99", "views");
    case!("DELETE FROM documents", "documents");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_to_tables_of_others_and_taken_back_is_no_fault_and_they_may_be_read() {
    trespassing!(Odd, "SELECT * FROM theirs FOR SHARE", false);

    #[derive(Projection)]
    #[projection(name = "even", version = 1, events = [TillEvent], postgres_tables = "CREATE TABLE {a} (amount int8)")]
    struct Even;

    impl ProjectPostgresTables<TillEvent> for Even {
        async fn project(
            &self,
            event: TillEvent,
            _: &Source<'_, Till>,
            tables: &PostgresTables<'_>,
        ) -> Result<(), ProjectionError> {
            let TillEvent::Moved { amount } = event;
            tables.execute("SAVEPOINT here", &[]).await?;
            tables.execute("INSERT INTO theirs VALUES (1)", &[]).await?;
            tables.execute("ROLLBACK TO here", &[]).await?;
            tables
                .execute("INSERT INTO {a} VALUES ($1)", &[&amount])
                .await?;
            Ok(())
        }
    }

    let desk = Desk::new();
    let models = desk.models().await;
    desk.meddle("CREATE TABLE theirs (id int8)").await;
    let last = desk.add(&Id::new(), 113).await;
    let manager = ProjectionManager::new(desk.store.clone());
    let odd = manager.postgres_tables::<Odd>(models.clone());
    let odd = odd.await.unwrap();
    odd.wait_for(last, LIMIT).await.unwrap();
    let even = manager.postgres_tables::<Even>(models).await.unwrap();
    even.wait_for(last, LIMIT).await.unwrap();
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_person_changed_or_dropped_is_said_and_the_view_is_built_again_when_that_is_asked()
 {
    for (meddling, said) in [
        (
            "DROP TABLE sums_1_movements CASCADE",
            "table `sums_1_movements` is gone",
        ),
        (
            "ALTER TABLE sums_1_tills ADD COLUMN name text",
            "table `sums_1_tills` has `name text` beside what it was made with",
        ),
        (
            "DROP VIEW sums_tills; ALTER TABLE sums_1_tills DROP COLUMN sum",
            "table `sums_1_tills` has no longer `sum bigint not null`",
        ),
        (
            "ALTER TABLE sums_1_tills ALTER COLUMN moves DROP NOT NULL",
            "table `sums_1_tills` was made with `moves bigint not null`, and has `moves bigint`",
        ),
        (
            "ALTER TABLE sums_1_movements DROP CONSTRAINT sums_1_movements_amount_check",
            "table `sums_1_movements` has no longer `sums_1_movements_amount_check CHECK",
        ),
        (
            "ALTER TABLE sums_1_movements SET UNLOGGED",
            "has `unlogged` beside",
        ),
        (
            "DROP INDEX sums_1_movements_of",
            "index `sums_1_movements_of` is gone",
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER t BEFORE INSERT ON sums_1_tills FOR EACH ROW EXECUTE FUNCTION f()",
            "trigger `t` was added to `sums_1_tills`",
        ),
        (
            "CREATE UNIQUE INDEX u ON sums_1_tills (sum)",
            "index `u` was added to `sums_1_tills`",
        ),
    ] {
        let (desk, ann) = (Desk::new(), Id::new());
        let (manager, view) = desk.open().await;
        let last = desk.add(&ann, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        manager.stop().await;
        desk.meddle(meddling).await;

        let manager = ProjectionManager::new(desk.store.clone());
        let refused = manager
            .postgres_tables::<Sums>(desk.models().await)
            .await
            .unwrap_err();
        let is_it = matches!(
            &refused,
            OpenError::Storage(ReadModelError::TablesChanged { .. })
        );
        assert!(is_it, "{meddling}: {refused:?}");
        let text = refused.to_string();
        assert!(text.contains(said), "{meddling}: {text}");

        let opening = manager.postgres_tables::<Sums>(desk.models().await);
        let view = opening.rebuild_if_changed().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(total(&view).await, (1, 1), "{meddling}");
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_a_person_added_for_a_report_changes_nothing() {
    let desk = Desk::new();
    let (manager, _) = desk.open().await;
    manager.stop().await;
    desk.meddle("CREATE INDEX by_sum ON sums_1_tills (sum)")
        .await;
    let (_manager, view) = desk.open().await;
    view.wait_for(desk.transfer(0).await, LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_under_a_running_view_has_it_wait_until_it_is_told_to_begin_again()
{
    let (desk, ann) = (Desk::new(), Id::new());
    let (_manager, view) = desk.open().await;
    let last = desk.add(&ann, 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    desk.meddle("DROP TABLE sums_1_movements CASCADE").await;
    let last = desk.add(&ann, 1).await;
    until(&view, |view| {
        matches!(view.status().state, ViewState::Waiting { .. })
    })
    .await;
    let line = view.status().to_string();
    assert!(line.contains("table `sums_1_movements` is gone"), "{line}");
    let refused = view.snapshot().await.unwrap_err();
    let is_it = matches!(
        &refused,
        TableError::Storage(ReadModelError::TablesChanged { .. })
    );
    assert!(is_it, "{refused:?}");
    view.rebuild().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(total(&view).await, (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_view_changes_nothing_and_says_so() {
    let desk = Desk::new();
    let reader = PostgresTablesReader::new(desk.models().await, "sums");
    let refused = reader.snapshot().await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("no version of view `sums` can be asked yet"),
        "{refused}"
    );
    let (_manager, view) = desk.open().await;
    view.wait_for(desk.transfer(0).await, LIMIT).await.unwrap();
    let snapshot = reader.snapshot().await.unwrap();
    let refused = snapshot
        .query("DELETE FROM {movements}", &[])
        .await
        .unwrap_err();
    let is_it = matches!(&refused, TableError::Refused { .. });
    assert!(
        is_it
            && refused
                .to_string()
                .contains("who reads a view changes nothing"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_else_in_the_place_of_a_name_without_a_version_is_said() {
    let desk = Desk::new();
    desk.models().await;
    desk.meddle("CREATE TABLE sums_tills (id text)").await;
    let (_manager, view) = desk.open().await;
    until(&view, |view| {
        matches!(view.status().state, ViewState::Waiting { .. })
    })
    .await;
    let line = view.status().to_string();
    assert!(
        line.contains(
            "`sums_tills` stands where a table of view `sums` is to be read; rename it or drop it"
        ),
        "{line}"
    );
    desk.meddle("DROP TABLE sums_tills").await;
    view.wait_for(desk.transfer(0).await, LIMIT).await.unwrap();
}
