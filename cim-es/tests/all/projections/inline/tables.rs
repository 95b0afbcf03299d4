//! Tables of an author's own, kept in the file of the events.

use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::projection::{
    OpenError, ProjectTables, ProjectionError, ProjectionManager, Tables, TablesReader, TablesView,
    ViewState,
};
use cim_es::store::read_model::{ReadModelError, TableError};
use cim_es::store::{EventStore, Position};

use super::folded;
use crate::account::{Account, AccountEvent};
use crate::projections::tables::{Sums, change_of, sql_in, total};
use crate::projections::{Cards, LIMIT, commit, deposit, transfer, until};
use crate::sqlite_support::Directory;

struct Kept {
    directory: Directory,
    store: SqliteEventStore,
    manager: ProjectionManager,
    sums: TablesView,
}

impl Kept {
    async fn new() -> Self {
        let directory = Directory::new();
        let store = SqliteEventStore::open(directory.file("events.db")).unwrap();
        let manager = ProjectionManager::new(store.clone());
        let sums = manager.inline_tables::<Sums>(&store).await.unwrap();
        Self {
            directory,
            store,
            manager,
            sums,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.file("events.db")
    }

    fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> rusqlite::Result<T> {
        sql_in(&self.path(), sql)
    }

    fn meddle(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// What the tables hold is the fold of the events.
    async fn check(&self) {
        let sums = "SELECT id, sum FROM {accounts} ORDER BY id";
        let rows = self.sums.read(move |tables| {
            tables.query(sums, (), |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            })
        });
        let found: Vec<_> = rows.await.unwrap().value;
        let expected: Vec<_> = folded(&self.store).await.into_iter().collect();
        assert_eq!(found, expected);
        self.store.check().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_level_with_every_answer_for_whoever_reads_them_by_a_handle_or_by_sql() {
    let kept = Kept::new().await;
    // Documents and tables stand in one file.
    let cards = kept.manager.inline::<Cards>(&kept.store).await.unwrap();
    let ids: Vec<Id<Account>> = (0..4).map(|_| Id::new()).collect();
    for turn in 0..20 {
        let last = transfer(&kept.store, ids[turn % 4], ids[(turn + 1) % 4]).await;
        let position = "SELECT max(position) FROM {movements}";
        let read = kept
            .sums
            .read(move |tables| tables.query_row(position, (), |row| row.get(0)));
        let read = read.await.unwrap();
        // The last event of it is of a kind that makes no row.
        assert_eq!((read.position, read.value), (last, Some(last.0 as i64 - 1)));
        assert_eq!(cards.get(&ids[0]).await.unwrap().position, last);
        let found: i64 = kept
            .sql("SELECT max(position) FROM sums_movements")
            .unwrap();
        assert_eq!(found as u64, last.0 - 1);
    }
    let writing =
        (0..32).map(|writer| transfer(&kept.store, ids[writer % 4], ids[(writer + 1) % 4]));
    futures_util::future::join_all(writing).await;
    assert_eq!(total(&kept.sums).await, (0, 2 * 52));
    kept.check().await;

    let elsewhere = SqliteEventStore::options()
        .read_only()
        .open(kept.path())
        .unwrap();
    let elsewhere = TablesReader::inline(elsewhere.read_models(), "sums");
    let count = elsewhere.read(|tables| {
        tables.query_row("SELECT count(*) FROM {movements}", (), |row| {
            row.get::<_, i64>(0)
        })
    });
    assert_eq!(count.await.unwrap().value, Some(104));
}

#[tokio::test]
async fn what_is_refused_panicked_at_or_breaks_a_rule_of_the_tables_takes_back_its_commit_alone() {
    for amount in [13, 14, 15] {
        let kept = Kept::new().await;
        let (ann, ben) = (Id::new(), Id::new());
        let before = deposit(&kept.store, ann, 5).await;
        let parts = [
            (ann, vec![AccountEvent::Deposited { amount: 1 }]),
            (ben, vec![AccountEvent::Deposited { amount }]),
        ];
        let failing = commit(&kept.store, parts).await;
        let status = kept.sums.status();
        let parked = status.parked().expect("it is parked");
        assert_eq!(parked.bookmark.position, failing, "{parked:?}");
        let last = transfer(&kept.store, ann, ben).await;
        let read = kept.sums.read(|tables| {
            tables.query_row("SELECT sum(sum) FROM {accounts}", (), |row| {
                row.get::<_, i64>(0)
            })
        });
        let read = read.await.unwrap();
        assert_eq!(
            (read.position, read.value),
            (before, Some(5)),
            "amount {amount}"
        );

        kept.sums.skip("an unlucky number", "Eve").await.unwrap();
        kept.sums.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(total(&kept.sums).await, (6, 4), "amount {amount}");
        let last = deposit(&kept.store, ann, 1).await;
        kept.sums
            .wait_for(last, std::time::Duration::ZERO)
            .await
            .unwrap();
        kept.store.check().await.unwrap();
    }
}

/// The second version has another table.
#[derive(Projection)]
#[projection(
    name = "sums",
    version = 2,
    events = [AccountEvent],
    tables = "CREATE TABLE {accounts} (id TEXT PRIMARY KEY, sum INTEGER NOT NULL, events INTEGER NOT NULL, twice INTEGER);
              CREATE TABLE {movements} (position INTEGER PRIMARY KEY, account TEXT, change INTEGER)",
)]
struct NewSums;

impl ProjectTables<AccountEvent> for NewSums {
    fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        let Some(change) = change_of(&event) else {
            return Ok(());
        };
        tables.execute(
            "INSERT INTO {accounts} VALUES (?1, ?2, 1, 2 * ?2)
             ON CONFLICT (id) DO UPDATE SET sum = sum + ?2, events = events + 1, twice = twice + 2 * ?2",
            (at.id_text(), change),
        )?;
        Ok(())
    }
}

#[tokio::test]
async fn a_new_version_is_built_beside_the_old_one_and_takes_over_its_names() {
    let kept = Kept::new().await;
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..150 {
        transfer(&kept.store, ann, ben).await;
    }
    let other = SqliteEventStore::open(kept.path()).unwrap();
    let manager = ProjectionManager::new(other.clone());
    let sums = manager.inline_tables::<NewSums>(&other).await.unwrap();
    sums.wait_for(Position(450), LIMIT).await.unwrap();
    let twice: i64 = kept.sql("SELECT max(twice) FROM sums_accounts").unwrap();
    assert_eq!(twice, 300);
    kept.sql::<i64>("SELECT count(*) FROM sums_1_accounts")
        .unwrap_err();
    // The program of the former version goes on without its view.
    let last = transfer(&kept.store, ann, ben).await;
    sums.wait_for(last, LIMIT).await.unwrap();
    until(|| matches!(kept.sums.status().state, ViewState::Stopped { .. })).await;
    let last = transfer(&other, ann, ben).await;
    sums.wait_for(last, std::time::Duration::ZERO)
        .await
        .unwrap();
    let twice: i64 = kept.sql("SELECT max(twice) FROM sums_accounts").unwrap();
    assert_eq!(twice, 304);
    other.check().await.unwrap();
}

#[tokio::test]
async fn tables_that_a_person_changed_stop_their_view_and_no_commit() {
    let kept = Kept::new().await;
    let (ann, ben) = (Id::new(), Id::new());
    transfer(&kept.store, ann, ben).await;
    // What makes a report faster is nobody's harm.
    kept.meddle("CREATE INDEX by_sum ON sums_1_accounts (sum)");
    let last = transfer(&kept.store, ann, ben).await;
    kept.sums
        .wait_for(last, std::time::Duration::ZERO)
        .await
        .unwrap();
    kept.meddle("CREATE UNIQUE INDEX note ON sums_1_movements (position, change)");
    let last = transfer(&kept.store, ann, ben).await;
    let stopped = kept
        .sums
        .wait_for(last, LIMIT)
        .await
        .unwrap_err()
        .to_string();
    assert!(stopped.contains("note"), "{stopped}");
    transfer(&kept.store, ann, ben).await;

    let manager = ProjectionManager::new(kept.store.clone());
    let error = manager
        .inline_tables::<Sums>(&kept.store)
        .await
        .unwrap_err();
    let OpenError::Storage(ReadModelError::TablesChanged { .. }) = error else {
        panic!("{error}");
    };
    kept.meddle("DROP INDEX note");
    let sums = manager.inline_tables::<Sums>(&kept.store).await.unwrap();
    sums.wait_for(Position(12), LIMIT).await.unwrap();
    kept.check().await;
    // A trigger could change events, so the file refuses it.
    kept.meddle(
        "CREATE TRIGGER greedy AFTER INSERT ON sums_1_accounts BEGIN DELETE FROM events; END",
    );
    let refused = SqliteEventStore::open(kept.path()).unwrap_err().to_string();
    assert!(refused.contains("DROP TRIGGER \"greedy\""), "{refused}");
    kept.meddle("DROP TRIGGER greedy");
    assert_eq!(kept.store.last_position().await.unwrap(), Position(12));
}

#[tokio::test]
async fn tables_are_built_again_and_come_out_the_same() {
    let kept = Kept::new().await;
    let (ann, ben) = (Id::new(), Id::new());
    for _ in 0..20 {
        transfer(&kept.store, ann, ben).await;
    }
    kept.sums.rebuild().await.unwrap();
    kept.sums.wait_for(Position(60), LIMIT).await.unwrap();
    kept.check().await;
    kept.manager.stop().await;
    let read = kept
        .sums
        .read(|tables| tables.execute("DELETE FROM {accounts}", ()));
    let refused = read.await.unwrap_err();
    assert!(matches!(refused, TableError::Refused { .. }), "{refused}");
}
