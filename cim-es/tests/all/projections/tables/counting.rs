//! Each event counts once, in whole commits, whoever counts; what is read says up to where it is true.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cim_es::prelude::*;
use cim_es::projection::{TablesReader, ViewId, ViewState, WaitError};
use cim_es::store::Position;
use cim_es::store::read_model::ReadModelStorageExt;

use super::super::{LIMIT, commit, deposit, transfer, until};
use super::{Desk, total};
use crate::account::{Account, AccountEvent};

#[tokio::test]
async fn tables_are_read_with_their_position_and_by_sql_from_any_program() {
    let desk = Desk::new();
    let (_manager, view) = desk.open().await;
    let (ann, ben) = (Id::new(), Id::new());
    deposit(&desk.store, ann, 5).await;
    let last = commit(
        &desk.store,
        [(ben, vec![AccountEvent::Withdrawn { amount: 1 }])],
    )
    .await;
    view.wait_for(last, LIMIT).await.unwrap();

    let of = ann.to_string();
    let ask = move |tables: &cim_es::projection::Tables<'_>| {
        let sql =
            "SELECT sum, count(*) FROM {accounts} JOIN {movements} ON account = id WHERE id = ?1";
        tables.query_row(sql, [of], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
    };
    let found = view.read(ask).await.unwrap();
    assert_eq!((found.value, found.position), (Some((5, 1)), last));

    // Who only asks needs nothing but the file.
    let reader = TablesReader::new(desk.models(), "sums");
    let ids = reader
        .read(|tables| {
            tables.query("SELECT id FROM {accounts} ORDER BY sum", (), |row| {
                row.get::<_, String>(0)
            })
        })
        .await
        .unwrap();
    assert_eq!(ids.value, [ben.to_string(), ann.to_string()]);
    let sum: i64 = desk.sql("SELECT sum(sum) FROM sums_accounts").unwrap();
    assert_eq!(sum, 4);
    let movements: i64 = desk.sql("SELECT count(*) FROM sums_movements").unwrap();
    assert_eq!(movements, 2);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_file_is() {
    let (desk, ann) = (Desk::new(), Id::new());
    for turn in 1..=3_i64 {
        let mut last = Position::START;
        for _ in 0..20 {
            last = deposit(&desk.store, ann, 1).await;
        }
        let (manager, view) = desk.open().await;
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(total(&view).await, (20 * turn, 20 * turn));
        assert_eq!(view.status().counted, 20);
        manager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_all_the_time_never_sees_half_a_commit() {
    let desk = Desk::new();
    let (_manager, view) = desk.open().await;
    let ids: Vec<Id<Account>> = (0..4).map(|_| Id::new()).collect();
    let first = transfer(&desk.store, ids[0], ids[1]).await;
    view.wait_for(first, LIMIT).await.unwrap();
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
        last = transfer(&desk.store, ids[turn % 4], ids[(turn + 1) % 4]).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}

#[tokio::test]
async fn what_a_projection_refuses_panics_at_or_a_table_refuses_parks_the_view_before_the_commit() {
    let desk = Desk::new();
    let (ann, ben) = (Id::new(), Id::new());
    for (turn, (amount, reason)) in [
        (13, "13 is not counted"),
        (14, "the projection panicked: 14 is not counted"),
        (
            15,
            "statement `INSERT INTO {movements} (position, account, change) VALUES (?1, ?2, ?3)` of view `sums v1` failed: CHECK constraint failed: change <> 0",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (manager, view) = desk.open().await;
        until(|| view.status().state == ViewState::Live).await;
        // It comes to them together, and counts those before.
        view.pause().await.unwrap();
        let mut before = Position::START;
        for _ in 0..5 {
            before = transfer(&desk.store, ann, ben).await;
        }
        let parts = [
            (ann, vec![AccountEvent::Deposited { amount: 1 }]),
            (ben, vec![AccountEvent::Deposited { amount }]),
        ];
        let failing = commit(&desk.store, parts).await;
        let last = transfer(&desk.store, ben, ann).await;
        view.resume().await.unwrap();
        let refused = view.wait_for(last, LIMIT).await.unwrap_err();
        assert!(matches!(&refused, WaitError::Parked { .. }), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
        view.wait_for(before, LIMIT).await.unwrap();
        // The event before it, of the same commit, is not shown.
        assert_eq!(total(&view).await.0, turn as i64);
        let id = ViewId::new("sums", 1).unwrap();
        let record = desk.models().view(&id).await.unwrap().unwrap();
        assert_eq!(record.parked.unwrap().bookmark.position, failing);
        manager.stop().await;

        // The next start tries again, and stops again.
        let (manager, view) = desk.open().await;
        view.wait_for(last, LIMIT).await.unwrap_err();
        view.skip("an unlucky number", "Eve").await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        let record = desk.models().view(&id).await.unwrap().unwrap();
        assert_eq!(record.parked, None);
        assert_eq!(record.skipped.last().unwrap().bookmark.position, failing);
        manager.stop().await;
    }
    let (_manager, view) = desk.open().await;
    until(|| view.status().skipped.len() == 3).await;
    assert_eq!(total(&view).await.0, 3);
}

#[tokio::test]
async fn of_two_programs_one_counts_and_the_other_takes_over_when_it_stops() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (first, view) = desk.open().await;
    until(|| view.status().state == ViewState::Live).await;
    let (_second, other) = desk.open().await;
    until(|| other.status().state == ViewState::Standby).await;
    let last = deposit(&desk.store, ann, 1).await;
    other.wait_for(last, LIMIT).await.unwrap();
    other.rebuild().await.unwrap_err();
    first.stop().await;
    let last = deposit(&desk.store, ann, 1).await;
    other.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(other.status().counted, 1);
    assert_eq!(total(&other).await, (2, 2));
}

#[tokio::test]
async fn tables_that_are_built_again_answer_all_the_while_and_come_out_the_same() {
    let desk = Desk::new();
    let (_manager, view) = desk.open().await;
    let ids: Vec<Id<Account>> = (0..4).map(|_| Id::new()).collect();
    let mut last = Position::START;
    for turn in 0..50 {
        last = transfer(&desk.store, ids[turn % 4], ids[(turn + 1) % 4]).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    let all =
        "SELECT group_concat(id || sum || events) FROM (SELECT * FROM sums_accounts ORDER BY id)";
    let before: String = desk.sql(all).unwrap();
    let answer = total(&view).await;
    let is_over = Cell::new(false);
    let built = async {
        view.rebuild().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        is_over.set(true);
    };
    let asked = async {
        while !is_over.get() {
            assert_eq!(total(&view).await, answer);
        }
    };
    tokio::join!(built, asked);
    assert_eq!(desk.sql::<String>(all).unwrap(), before);
    // The tables of the former build are gone.
    let tables = "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table' AND name LIKE 'sums\\_1%\\_accounts' ESCAPE '\\'";
    assert_eq!(desk.sql::<String>(tables).unwrap(), "sums_1b1_accounts");
    assert_eq!(
        view.status().rebuilt.as_deref(),
        Some("a person asked for it")
    );
}

#[tokio::test]
async fn tables_of_another_history_are_built_again() {
    let mut desk = Desk::new();
    let (manager, view) = desk.open().await;
    let mut last = Position::START;
    for _ in 0..5 {
        last = deposit(&desk.store, Id::new(), 1).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    manager.stop().await;

    desk.store = MemoryEventStore::new();
    let last = deposit(&desk.store, Id::new(), 7).await;
    let (_manager, view) = desk.open().await;
    until(|| view.status().rebuilt.is_some()).await;
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(total(&view).await, (7, 1));
}
