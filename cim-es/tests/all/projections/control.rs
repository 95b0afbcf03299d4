//! A view does what it is told, and says what it does.

use std::sync::Arc;
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{ControlError, ViewState, WaitError};
use cim_es::store::EventStore;

use super::{Balances, LIMIT, deposit, open};

#[tokio::test]
async fn a_paused_view_is_read_and_counts_nothing_until_it_is_resumed() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let view = open::<Balances>(&store).await;
    let before = deposit(&*store, Id::new(), 1).await;
    view.wait_for(before, LIMIT).await.unwrap();
    view.pause().await.unwrap();
    assert_eq!(view.status().state, ViewState::Paused);
    let last = deposit(&*store, Id::new(), 1).await;
    let refused = view
        .wait_for(last, Duration::from_millis(30))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, WaitError::TooSlow { status, .. } if status == "paused"),
        "{refused}"
    );
    assert_eq!(view.read(Balances::sum).await.unwrap().value, 1);
    view.resume().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(view.read(Balances::sum).await.unwrap().value, 2);
}

#[tokio::test]
async fn a_stopped_view_is_still_read_and_says_that_it_stopped() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let view = open::<Balances>(&store).await;
    let before = deposit(&*store, Id::new(), 1).await;
    view.wait_for(before, LIMIT).await.unwrap();
    view.stop().await;
    let last = deposit(&*store, Id::new(), 1).await;
    let refused = view.wait_for(last, LIMIT).await.unwrap_err();
    assert!(matches!(refused, WaitError::Stopped { .. }), "{refused}");
    assert_eq!(view.read(Balances::sum).await.unwrap().value, 1);
    let refused = view.pause().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "view `balances v1` was stopped: open it again"
    );
    assert_eq!(
        view.status().to_string(),
        format!("balances v1: stopped at {before}, 1 events counted")
    );
}

#[tokio::test]
async fn only_a_parked_view_skips_and_only_for_a_reason() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let view = open::<Balances>(&store).await;
    view.wait_for(deposit(&*store, Id::new(), 1).await, LIMIT)
        .await
        .unwrap();
    let refused = view.skip("it is broken", "me").await.unwrap_err();
    assert!(
        matches!(refused, ControlError::NotParked { .. }),
        "{refused}"
    );
    let refused = view.skip(" ", "me").await.unwrap_err();
    assert_eq!(refused, ControlError::NoReason);
    let refused = view.skip("it is broken", " ").await.unwrap_err();
    assert_eq!(refused, ControlError::Nobody);
}

#[tokio::test]
async fn a_view_that_is_built_again_comes_out_the_same() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let view = open::<Balances>(&store).await;
    let id = Id::new();
    let mut last = deposit(&*store, id, 1).await;
    for amount in 2..50 {
        last = deposit(&*store, id, amount).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    let before = view.read(Balances::clone).await.unwrap();
    view.rebuild().await.unwrap();
    // It is shown as it was until the other is level with it.
    while view.status().counted < 2 * before.value.events {
        assert_eq!(
            view.read(Balances::clone).await.unwrap().value,
            before.value
        );
        tokio::task::yield_now().await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(view.read(Balances::clone).await.unwrap(), before);
    assert_eq!(
        view.status().rebuilt.as_deref(),
        Some("a person asked for it")
    );
}
