//! Each event counts once, in whole commits, whoever counts and whatever becomes of connections and servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_es::message::Timestamp;
use cim_es::prelude::*;
use cim_es::projection::{PostgresTablesReader, ViewState, WaitError};
use cim_es::store::read_model::ReadModelStorageExt;
use cim_es::store::{EventStore, EventStoreExt, Position};
use cim_es::{ErrorChain, PostgresReadModels};
use cim_es_tests::postgres::Postgres;

use super::{Desk, total, until};
use crate::postgres_killed::{LIMIT, Till, TillEvent};

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_with_their_position_and_by_sql_from_any_program() {
    let desk = Desk::new();
    let (_manager, view) = desk.open().await;
    let (ann, ben) = (Id::new(), Id::new());
    desk.add(&ann, 5).await;
    let last = desk.add(&ben, -1).await;
    view.wait_for(last, LIMIT).await.unwrap();

    // Who only asks needs nothing but the storage.
    let reader = PostgresTablesReader::new(desk.models().await, "sums");
    let snapshot = reader.snapshot().await.unwrap();
    assert_eq!(snapshot.position(), last);
    let sql = "SELECT id, sum, at FROM {tills} JOIN {movements} ON till = id ORDER BY sum";
    let rows = snapshot.query(sql, &[]).await.unwrap();
    let found: Vec<(Id<Till>, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [(ben, -1), (ann, 5)]);
    let event = desk.store.read_all(Position::START);
    let event = futures_util::StreamExt::next(&mut { event }).await;
    let time: Timestamp = rows[1].get(2);
    assert_eq!(time, event.unwrap().unwrap().timestamp());

    // It stays at its moment, whatever comes.
    let next = desk.add(&ann, 1).await;
    view.wait_for(next, LIMIT).await.unwrap();
    let sum = snapshot
        .query_row("SELECT sum FROM {tills} WHERE id = $1", &[&ann])
        .await;
    assert_eq!(sum.unwrap().unwrap().get::<_, i64>(0), 5);
    assert_eq!(total(&view).await, (5, 3));
    assert_eq!(
        desk.sql::<i64>("SELECT sum(sum)::int8 FROM sums_tills")
            .await
            .unwrap(),
        5
    );
    assert_eq!(
        desk.sql::<i64>("SELECT count(*) FROM sums_movements")
            .await
            .unwrap(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_database_is() {
    let desk = Desk::new();
    let ann = Id::new();
    for turn in 1..=3_i64 {
        let mut last = Position::START;
        for _ in 0..20 {
            last = desk.add(&ann, 1).await;
        }
        let (manager, view) = desk.open().await;
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(total(&view).await, (20 * turn, 20 * turn));
        assert_eq!(view.status().counted, 20);
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_all_the_time_never_sees_half_a_commit() {
    let desk = Desk::new();
    let (_manager, view) = desk.open().await;
    view.wait_for(desk.transfer(0).await, LIMIT).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (asked, over) = (view.clone(), Arc::clone(&is_over));
    let reader = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            let (sum, events) = total(&asked).await;
            assert_eq!((sum, events % 2), (0, 0));
        }
    });
    let mut last = Position::START;
    for turn in 0..100 {
        last = desk.transfer(turn % 12).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_projection_or_a_table_refuses_parks_the_view_before_the_commit() {
    let desk = Desk::new();
    let (ann, ben) = (Id::new(), Id::new());
    for (amount, reason) in [
        (113, "113 is not counted"),
        (114, "the projection panicked: 114 is not counted"),
        (
            115,
            "statement `INSERT INTO {movements} (position, till, amount, at) VALUES ($1, $2, $3, $4)` of view `sums v1` failed: db error: ERROR: new row for relation \"sums_1_movements\" violates check constraint",
        ),
        (
            116,
            "is refused: it failed, and PostgreSQL takes nothing more in a transaction after that",
        ),
    ] {
        let (manager, view) = desk.open().await;
        until(&view, |view| view.status().state == ViewState::Live).await;
        // It comes to them together, and counts those before.
        view.pause().await.unwrap();
        let mut before = Position::START;
        for turn in 0..5 {
            before = desk.transfer(turn).await;
        }
        let desk_id = MessageIdentity::new_from_user("test");
        let moved = |amount| crate::postgres_killed::TillCommand::Move { amount };
        let commits = cim_es::repository::Together::new(&desk_id)
            .execute(&desk.tills, &ann, moved(1))
            .execute(&desk.tills, &ben, moved(amount))
            .commit()
            .await
            .unwrap();
        let failing = commits[1].position();
        let last = desk.transfer(3).await;
        view.resume().await.unwrap();
        let refused = view.wait_for(last, LIMIT).await.unwrap_err();
        assert!(matches!(&refused, WaitError::Parked { .. }), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
        view.wait_for(before, LIMIT).await.unwrap();
        let record = desk.models().await.view(view.id()).await.unwrap().unwrap();
        assert_eq!(record.parked.unwrap().bookmark.position, failing);
        manager.stop().await;

        // The next start tries again, and stops again.
        let (manager, view) = desk.open().await;
        view.wait_for(last, LIMIT).await.unwrap_err();
        view.skip("an unlucky number", "Eve").await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        let record = desk.models().await.view(view.id()).await.unwrap().unwrap();
        assert_eq!(record.parked, None);
        manager.stop().await;
    }
    let (_manager, view) = desk.open().await;
    until(&view, |view| view.status().skipped.len() == 4).await;
    assert_eq!(total(&view).await.0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_programs_one_counts_and_the_other_takes_over_when_it_stops() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (first, view) = desk.open().await;
    until(&view, |view| view.status().state == ViewState::Live).await;
    let (_second, other) = desk.open().await;
    until(&other, |view| view.status().state == ViewState::Standby).await;
    let last = desk.add(&ann, 1).await;
    other.wait_for(last, LIMIT).await.unwrap();
    other.rebuild().await.unwrap_err();
    first.stop().await;
    let last = desk.add(&ann, 1).await;
    other.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(other.status().counted, 1);
    assert_eq!(total(&other).await, (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_built_again_come_out_the_same() {
    let desk = Desk::new();
    let (_manager, view) = desk.open().await;
    let mut last = Position::START;
    for turn in 0..30 {
        last = desk.transfer(turn % 12).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    let all = "SELECT string_agg(concat(id, sum, moves), ',' ORDER BY id) FROM sums_tills";
    let before: String = desk.sql(all).await.unwrap();
    view.rebuild().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(desk.sql::<String>(all).await.unwrap(), before);
}

/// In the middle of transactions, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_counts_once_while_connections_are_cut() {
    const CUTS: usize = 12;
    let desk = Desk::new();
    let (manager, view) = desk.open().await;
    view.wait_for(desk.transfer(0).await, LIMIT).await.unwrap();
    let operator = desk.client().await;
    // Those of this test that are in a transaction, at the tables of the view.
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
         AND pid IN (SELECT pid FROM pg_locks WHERE relation IN (SELECT oid FROM pg_class WHERE \
         relnamespace = '{}'::regnamespace AND relname LIKE 'sums%'))",
        desk.schema
    );
    let (mut cuts, mut number) = (0, 0);
    while cuts < CUTS {
        let mut last = Position::START;
        for _ in 0..20 {
            number += 1;
            last = desk.transfer(number % 12).await;
        }
        // While it works at these events it is cut once, if it is met in a transaction.
        while view.status().up_to.position < last {
            let cut = operator.query(&cut, &[]).await.unwrap().len();
            cuts += cut;
            if cut > 0 {
                break;
            }
        }
        view.wait_for(last, LIMIT).await.unwrap();
    }
    rows_are_the_fold(&desk).await;
    manager.stop().await;
}

/// Compares every row with the fold of the events.
async fn rows_are_the_fold(desk: &Desk) {
    let mut fold = Vec::new();
    let mut events = desk.store.read_all(Position::START);
    while let Some(event) = futures_util::StreamExt::next(&mut events).await {
        let event = event.unwrap();
        let TillEvent::Moved { amount } = event.decode().unwrap();
        let till: Id<Till> = event.envelope.aggregate_id.parse().unwrap();
        fold.push((event.position, till, amount));
    }
    let client = desk.client().await;
    let sql = "SELECT position, till, amount FROM sums_movements ORDER BY position";
    let rows = client.query(sql, &[]).await.unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(found, fold);
    let sql = "SELECT count(*) FROM sums_tills WHERE (sum, moves) IS DISTINCT FROM \
               (SELECT (sum(amount)::int8, count(*)) FROM sums_movements WHERE till = id)";
    let differ: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(differ, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_waited_for_and_the_view_goes_on() {
    let mut server = tokio::task::block_in_place(Postgres::start);
    let desk = Desk::on(&server);
    tokio::task::block_in_place(|| server.kill());
    // At the start it is said at once.
    let error = PostgresReadModels::open_with(desk.options())
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{}", ErrorChain(&error));

    tokio::task::block_in_place(|| server.restart());
    let (manager, view) = desk.open().await;
    view.wait_for(desk.transfer(0).await, LIMIT).await.unwrap();
    tokio::task::block_in_place(|| server.kill());
    for number in 1..5 {
        desk.transfer(number).await;
    }
    until(&view, |view| {
        matches!(view.status().state, ViewState::Waiting { .. })
    })
    .await;
    let line = view.status().to_string();
    assert!(line.contains("waiting"), "{line}");
    let late = view.wait_for(
        desk.store.last_position().await.unwrap(),
        Duration::from_millis(50),
    );
    let late = late.await.unwrap_err();
    assert!(matches!(late, WaitError::TooSlow { .. }), "{late}");
    let asked = view.snapshot().await.unwrap_err();
    assert!(
        matches!(&asked, cim_es::projection::TableError::Storage(error) if error.is_transient()),
        "{asked}"
    );

    tokio::task::block_in_place(|| server.restart());
    let last = desk.transfer(5).await;
    view.wait_for(last, LIMIT).await.unwrap();
    rows_are_the_fold(&desk).await;
    manager.stop().await;
}
