//! No reader sees a part of a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cim_es::prelude::*;
use cim_es::store::{EventStore, Position};

use super::{Balances, LIMIT, commit, on_each_store, open, transfer};
use crate::account::AccountEvent;

/// Reads as long as it is asked to; gives how many times it did, and a sum that it should not have seen.
async fn read_all_the_time(
    view: cim_es::projection::InMemoryView<Balances>,
    is_over: Arc<AtomicBool>,
) -> (u64, Option<i64>) {
    let mut times = 0;
    while !is_over.load(Ordering::Relaxed) {
        let seen = view
            .read(|balances| (balances.sum(), balances.events % 2))
            .await
            .unwrap();
        if seen.value != (0, 0) {
            return (times, Some(seen.value.0));
        }
        times += 1;
        tokio::task::yield_now().await;
    }
    (times, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_asks_all_the_time_never_sees_half_a_commit_even_where_the_last_event_is_left_out()
 {
    on_each_store(|store| async move {
        let (ann, ben) = (Id::new(), Id::new());
        let view = open::<Balances>(&store).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read_all_the_time(view.clone(), Arc::clone(&is_over)));
        let mut last = Position::START;
        for _ in 0..200 {
            last = transfer(&*store, ann, ben).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        is_over.store(true, Ordering::Relaxed);
        let (times, torn) = reader.await.unwrap();
        assert_eq!(torn, None, "after {times} looks");
        assert!(times > 0);
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_last_event_is_left_out_counts_without_another_behind_it() {
    on_each_store(|store| async move {
        let view = open::<Balances>(&store).await;
        let last = transfer(&*store, Id::new(), Id::new()).await;
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(
            view.read(|balances| balances.events).await.unwrap().value,
            2
        );
    })
    .await;
}

#[tokio::test]
async fn a_commit_over_the_end_of_a_batch_is_counted_in_one_step() {
    on_each_store(|store| async move {
        let (ann, ben) = (Id::new(), Id::new());
        let half = 350;
        let mut last = Position::START;
        for _ in 0..4 {
            let parts = [
                (ann, vec![AccountEvent::Withdrawn { amount: 1 }; half]),
                (ben, vec![AccountEvent::Deposited { amount: 1 }; half]),
            ];
            last = commit(&*store, parts).await;
        }
        let view = open::<Balances>(&store).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read_all_the_time(view.clone(), Arc::clone(&is_over)));
        view.wait_for(last, LIMIT).await.unwrap();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(reader.await.unwrap().1, None);
        let events = view.read(|balances| balances.events).await.unwrap();
        assert_eq!(events.value, 8 * half as u64);
    })
    .await;
}

#[tokio::test]
async fn an_earlier_store_is_another_history_for_no_view_that_began_with_it() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let view = open::<Balances>(&store).await;
    let last = transfer(&*store, Id::new(), Id::new()).await;
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(view.status().rebuilt, None);
}
