//! What is wrong with tables or statements is said: which one, where, and what to do.

use cim_es::prelude::*;
use cim_es::projection::{
    InTables, OpenError, ProjectTables, ProjectionError, ProjectionManager, TableError, Tables,
    TablesReader, ViewState,
};
use cim_es::store::read_model::ReadModelError;

use super::super::{LIMIT, deposit, until};
use super::{Desk, Sums, total};
use crate::account::{Account, AccountEvent};

/// A projection of one text, which does one thing at each event.
macro_rules! projection {
    ($name:ident, $text:expr, $project:expr) => {
        #[derive(Projection)]
        #[projection(name = "odd", version = 1, events = [AccountEvent], tables = $text)]
        struct $name;

        impl ProjectTables<AccountEvent> for $name {
            fn project(
                &self,
                _: AccountEvent,
                _: &Source<'_, Account>,
                tables: &Tables<'_>,
            ) -> Result<(), ProjectionError> {
                let project: fn(&Tables<'_>) -> Result<(), ProjectionError> = $project;
                project(tables)
            }
        }
    };
}

async fn refused<P: InTables + cim_es::projection::WithoutFields>() -> String {
    let desk = Desk::new();
    desk.models();
    desk.meddle("CREATE TABLE theirs (id TEXT); CREATE TABLE odd_1_there (id TEXT)");
    let manager = ProjectionManager::new(desk.store.clone());
    let error = manager.tables::<P>(desk.models()).await.unwrap_err();
    let is_it = matches!(
        error,
        OpenError::Storage(ReadModelError::InvalidTables { .. })
    );
    assert!(is_it, "{error:?}");
    // Nothing of it stays.
    let made = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'odd\\_1\\_%' ESCAPE '\\'";
    assert_eq!(desk.sql::<i64>(made).unwrap(), 1, "{error}");
    assert_eq!(desk.sql::<i64>("SELECT count(*) FROM views").unwrap(), 0);
    error.to_string()
}

#[tokio::test]
async fn a_text_that_makes_something_else_than_tables_of_the_view_is_refused_with_the_statement() {
    macro_rules! case {
        ($text:literal, $said:literal) => {{
            projection!(Odd, $text, |_| Ok(()));
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
        "CREATE TABLE {a} (id TEXT); CREATE TABLE b (id TEXT)",
        "statement 2: table `b` is not named for the version of the view: write `{b}` with the braces"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); CREATE INDEX by_id ON {a} (id)",
        "statement 2: index `by_id` is not named for the version"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); CREATE INDEX {b} ON theirs (id)",
        "statement 2: it makes an index on `theirs`, which is not a table of this view"
    );
    case!("CREATE TABLE {a} (id TXT", "statement 1: incomplete input");
    case!(
        "CREATE TABEL {a} (id TEXT)",
        "statement 1: near \"TABEL\": syntax error"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); CREATE VIEW {v} AS SELECT 1",
        "by nothing else"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); CREATE TRIGGER {t} AFTER INSERT ON {a} BEGIN DELETE FROM {a}; END",
        "by nothing else"
    );
    case!("CREATE TEMP TABLE {a} (id TEXT)", "by nothing else");
    case!(
        "CREATE TABLE {a} (id TEXT); DROP TABLE theirs",
        "statement 2: "
    );
    case!(
        "CREATE TABLE {a} (id TEXT); ALTER TABLE theirs ADD COLUMN b",
        "statement 2: "
    );
    case!(
        "CREATE TABLE {a} (id TEXT); INSERT INTO theirs VALUES (1)",
        "it writes to `theirs`"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); DELETE FROM views",
        "it writes to `views`"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); COMMIT",
        "statement 2: the transaction is begun and ended"
    );
    case!(
        "ATTACH 'other.db' AS other; CREATE TABLE {a} (id TEXT)",
        "statement 1: the connection"
    );
    case!(
        "PRAGMA synchronous = OFF; CREATE TABLE {a} (id TEXT)",
        "statement 1: the connection"
    );
    case!(
        "CREATE TABLE {there} (id TEXT)",
        "statement 1: table \"odd_1_there\" already exists"
    );
    case!(
        "CREATE TABLE IF NOT EXISTS {there} (id TEXT)",
        "`{there}` is named and not made: write `CREATE TABLE {there} (…)`, or, where `odd_1_there` is there already, drop it"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); -- \n SELECT * FROM {b}",
        "statement 2: no such table: odd_1_b"
    );
    case!("SELECT '{a}'; SELECT 1", "it names no table in braces");
    case!(
        "CREATE TABLE {A} (id TEXT)",
        "`{A}` is not taken as the name of a table"
    );
    case!(
        "CREATE TABLE {a} (id TEXT); CREATE TABLE odd_1_b (id TEXT)",
        "it makes table `odd_1_b`, which no name in braces stands for"
    );
    case!(
        "CREATE INDEX {i} ON {there} (id)",
        "`{there}` is named and not made"
    );
}

#[tokio::test]
async fn what_a_projection_must_not_do_is_refused_and_nothing_of_it_is_done() {
    const TEXT: &str = "CREATE TABLE {a} (id TEXT)";
    macro_rules! case {
        ($project:expr, $said:literal) => {{
            projection!(Odd, TEXT, $project);
            let desk = Desk::new();
            let manager = ProjectionManager::new(desk.store.clone());
            let view = manager.tables::<Odd>(desk.models()).await.unwrap();
            until(|| view.status().state == ViewState::Live).await;
            desk.meddle("CREATE TABLE theirs (id TEXT); INSERT INTO theirs VALUES ('here')");
            let last = deposit(&desk.store, Id::new(), 1).await;
            let said = view.wait_for(last, LIMIT).await.unwrap_err().to_string();
            assert!(said.contains($said), "{said}");
            // Neither the statement nor the mistake is said twice.
            assert!(!said.contains("Error code 1"), "{said}");
            assert!(!said.contains(" at offset "), "{said}");
            assert_eq!(desk.sql::<i64>("SELECT count(*) FROM odd_a").unwrap(), 0);
            assert_eq!(desk.sql::<i64>("SELECT count(*) FROM theirs").unwrap(), 1);
            manager.stop().await;
        }};
    }
    case!(
        |tables| {
            tables.execute("INSERT INTO {a} VALUES (1)", ())?;
            tables.execute("COMMIT", ())?;
            Ok(())
        },
        "statement `COMMIT` of view `odd v1` is refused: the transaction is begun and ended with the position of the view"
    );
    case!(
        |tables| {
            tables.execute("INSERT INTO {a} VALUES (1)", ())?;
            Ok(tables.connection().execute_batch("COMMIT; BEGIN")?)
        },
        "not authorized"
    );
    case!(
        |tables| Ok(tables.connection().execute_batch("ROLLBACK")?),
        "not authorized"
    );
    case!(
        |tables| {
            tables.execute("DELETE FROM theirs", ())?;
            Ok(())
        },
        "it writes to `theirs`, which is not a table of this view"
    );
    case!(
        |tables| {
            tables.execute("DELETE FROM views", ())?;
            Ok(())
        },
        "it writes to `views`"
    );
    case!(
        |tables| {
            tables.execute("DROP TABLE {a}", ())?;
            Ok(())
        },
        "a projection writes rows; what is declared is changed in the declaration, with the version of the view raised"
    );
    case!(
        |tables| {
            tables.execute("INSERT INTO {b} VALUES (1)", ())?;
            Ok(())
        },
        "view `odd v1` declares no `{b}`: it has `{a}`; in statement `INSERT INTO {b} VALUES (1)`"
    );
    case!(
        |tables| {
            tables.execute("INSRT INTO {a} VALUES (1)", ())?;
            Ok(())
        },
        "statement `INSRT INTO {a} VALUES (1)` of view `odd v1` failed: near \"INSRT\": syntax error; mend"
    );
    case!(
        |tables| Ok(tables.connection().execute_batch("SELEC 1")?),
        "near \"SELEC\": syntax error, at `SELEC 1`; mend"
    );
    case!(
        |tables| {
            tables.execute("INSERT INTO {a} VALUES (?1)", ())?;
            Ok(())
        },
        "statement `INSERT INTO {a} VALUES (?1)` of view `odd v1` failed"
    );
    case!(
        |tables| {
            tables.execute("INSERT INTO {a} VALUES (?1)", ("one",))?;
            let _: Option<i64> = tables.query_row("SELECT id FROM {a}", (), |row| row.get(0))?;
            Ok(())
        },
        "statement `SELECT id FROM {a}` of view `odd v1` failed: Invalid column type"
    );
}

#[tokio::test]
async fn a_table_that_a_person_changed_or_dropped_is_said_and_the_view_is_built_again_when_that_is_asked()
 {
    for (meddling, said) in [
        (
            "DROP TABLE sums_1_movements",
            "table `sums_1_movements` is gone",
        ),
        (
            "ALTER TABLE sums_1_accounts ADD COLUMN name TEXT",
            "table `sums_1_accounts` was made with",
        ),
        (
            "ALTER TABLE sums_1_accounts RENAME COLUMN sum TO total",
            "table `sums_1_accounts` was made with",
        ),
        (
            "DROP INDEX sums_1_movements_of",
            "index `sums_1_movements_of` is gone",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON sums_1_accounts BEGIN DELETE FROM sums_1_accounts; END",
            "trigger `t` was added to `sums_1_accounts`",
        ),
        (
            "CREATE UNIQUE INDEX u ON sums_1_accounts (sum)",
            "index `u` was added to `sums_1_accounts`",
        ),
    ] {
        let (desk, ann) = (Desk::new(), Id::new());
        let (manager, view) = desk.open().await;
        let last = deposit(&desk.store, ann, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        manager.stop().await;
        desk.meddle(&format!("PRAGMA foreign_keys = OFF; {meddling}"));

        let manager = ProjectionManager::new(desk.store.clone());
        let refused = manager.tables::<Sums>(desk.models()).await.unwrap_err();
        let is_it = matches!(
            &refused,
            OpenError::Storage(ReadModelError::TablesChanged { .. })
        );
        assert!(is_it, "{meddling}: {refused:?}");
        let text = refused.to_string();
        assert!(text.contains(said), "{meddling}: {text}");
        assert!(
            text.contains("undo it, or have the view built again"),
            "{text}"
        );

        let opening = manager.tables::<Sums>(desk.models()).rebuild_if_changed();
        let view = opening.await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(total(&view).await, (1, 1), "{meddling}");
        let status = view.status().to_string();
        assert!(status.contains("built again: view `sums v1`"), "{status}");
        manager.stop().await;
    }
}

#[tokio::test]
async fn tables_whose_rows_refer_to_each_other_are_removed_together() {
    projection!(
        Circle,
        "CREATE TABLE {a} (id INTEGER PRIMARY KEY, b INTEGER REFERENCES {b} (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE {b} (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES {a} (id))",
        |tables| {
            tables.execute("INSERT INTO {a} VALUES (1, 1)", ())?;
            tables.execute("INSERT INTO {b} VALUES (1, 1)", ())?;
            Ok(())
        }
    );
    let desk = Desk::new();
    let manager = ProjectionManager::new(desk.store.clone());
    let view = manager.tables::<Circle>(desk.models()).await.unwrap();
    let last = deposit(&desk.store, Id::new(), 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    view.rebuild().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(desk.sql::<i64>("SELECT count(*) FROM odd_a").unwrap(), 1);
}

#[tokio::test]
async fn what_is_recorded_of_tables_and_was_removed_is_said() {
    let desk = Desk::new();
    let (manager, _) = desk.open().await;
    manager.stop().await;
    desk.meddle("DELETE FROM documents WHERE key = ''");
    let manager = ProjectionManager::new(desk.store.clone());
    let refused = manager
        .tables::<Sums>(desk.models())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("what is recorded of its tables is gone"),
        "{refused}"
    );
    let refused = manager
        .tables::<Sums>(desk.models())
        .rebuild_if_changed()
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("somebody else made it: drop it or rename it"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_index_that_a_person_added_for_a_report_changes_nothing() {
    let desk = Desk::new();
    let (manager, _) = desk.open().await;
    manager.stop().await;
    desk.meddle("CREATE INDEX by_sum ON sums_1_accounts (sum)");
    let (_manager, view) = desk.open().await;
    let last = deposit(&desk.store, Id::new(), 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_dropped_under_a_running_view_has_it_wait_until_it_is_told_to_begin_again()
{
    let (desk, ann) = (Desk::new(), Id::new());
    let (_manager, view) = desk.open().await;
    let last = deposit(&desk.store, ann, 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    desk.meddle("PRAGMA foreign_keys = OFF; DROP TABLE sums_1_accounts");
    let error = view.read(|tables| {
        tables.query("SELECT id FROM {accounts}", (), |row| {
            row.get::<_, String>(0)
        })
    });
    let error = error.await.unwrap_err();
    let is_it = matches!(
        &error,
        TableError::Storage(ReadModelError::TablesChanged { .. })
    );
    assert!(is_it, "{error:?}");
    let last = deposit(&desk.store, ann, 1).await;
    until(|| matches!(view.status().state, ViewState::Waiting { .. })).await;
    let line = view.status().to_string();
    assert!(line.contains("table `sums_1_accounts` is gone"), "{line}");
    view.rebuild().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(total(&view).await, (2, 2));
}

#[tokio::test]
async fn who_reads_a_view_changes_nothing_and_says_so() {
    let desk = Desk::new();
    let reader = TablesReader::new(desk.models(), "sums");
    let refused = reader
        .read(|tables| tables.execute("SELECT 1", ()))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("no version of view `sums` can be asked yet"),
        "{refused}"
    );
    let (_manager, view) = desk.open().await;
    let last = deposit(&desk.store, Id::new(), 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    let refused = reader
        .read(|tables| tables.execute("DELETE FROM {movements}", ()))
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

#[tokio::test]
async fn a_table_of_somebody_else_in_the_place_of_a_name_without_a_version_is_said() {
    let desk = Desk::new();
    desk.models();
    desk.meddle("CREATE TABLE sums_accounts (id TEXT)");
    let (_manager, view) = desk.open().await;
    until(|| matches!(view.status().state, ViewState::Waiting { .. })).await;
    let line = view.status().to_string();
    assert!(
        line.contains("the table `sums_accounts` stands where a table of view `sums` is to be read; rename it or drop it"),
        "{line}"
    );
    desk.meddle("DROP TABLE sums_accounts");
    let last = deposit(&desk.store, Id::new(), 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(desk.sql::<i64>("SELECT sum FROM sums_accounts").unwrap(), 1);
}

#[tokio::test]
async fn a_text_that_changed_under_the_same_version_is_refused_and_says_to_raise_it() {
    projection!(One, "CREATE TABLE {a} (id TEXT)", |_| Ok(()));
    mod other {
        use super::*;
        projection!(Other, "CREATE TABLE {a} (id TEXT, b TEXT)", |_| Ok(()));
        pub async fn open(desk: &Desk) -> OpenError {
            let manager = ProjectionManager::new(desk.store.clone());
            manager.tables::<Other>(desk.models()).await.unwrap_err()
        }
    }
    let desk = Desk::new();
    let manager = ProjectionManager::new(desk.store.clone());
    manager.tables::<One>(desk.models()).await.unwrap();
    manager.stop().await;
    let refused = other::open(&desk).await;
    let is_it = matches!(
        &refused,
        OpenError::Storage(ReadModelError::DeclarationChanged { .. })
    );
    assert!(is_it, "{refused:?}");
}

#[tokio::test]
async fn a_table_for_full_text_search_is_written_searched_and_removed() {
    projection!(
        Search,
        "CREATE VIRTUAL TABLE {words} USING fts5(word); CREATE TABLE {counts} (n INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT UNIQUE)",
        |tables| {
            tables.execute("INSERT INTO {words} VALUES ('a word to find')", ())?;
            tables.execute(
                "INSERT INTO {counts} (word) VALUES ('a') ON CONFLICT DO NOTHING",
                (),
            )?;
            Ok(())
        }
    );
    let desk = Desk::new();
    let manager = ProjectionManager::new(desk.store.clone());
    let view = manager.tables::<Search>(desk.models()).await.unwrap();
    let mut last = deposit(&desk.store, Id::new(), 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    let found = view.read(|tables| {
        tables.query_row(
            "SELECT count(*) FROM {words} WHERE {words} MATCH 'find'",
            (),
            |row| row.get::<_, i64>(0),
        )
    });
    assert_eq!(found.await.unwrap().value, Some(1));
    manager.stop().await;
    let manager = ProjectionManager::new(desk.store.clone());
    let view = manager.tables::<Search>(desk.models()).await.unwrap();
    view.rebuild().await.unwrap();
    last = cim_es::store::Position(last.0.max(deposit(&desk.store, Id::new(), 1).await.0));
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(
        desk.sql::<i64>("SELECT count(*) FROM odd_words").unwrap(),
        2
    );
}
