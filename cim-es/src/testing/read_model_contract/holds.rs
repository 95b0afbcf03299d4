//! Who may commit to a view.

use std::time::Duration;

use futures_util::future::join_all;
use uuid::Uuid;

use super::Provider;
use super::sample::*;
use crate::store::read_model::{DocumentChange, Hold, ReadModelError, ReadModelStorage};

/// A view that is held is nobody else's, and its holder prolongs that.
pub async fn a_view_has_one_holder_at_a_time(provider: impl Provider) {
    let (storage, other_handle) = (provider.open().await, provider.open().await);
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let until = record(&storage, &view)
        .await
        .held
        .expect("it is held")
        .until;
    for storage in [&storage, &other_handle] {
        let other = storage.hold(&view, Uuid::now_v7(), LONG).await;
        let other = other.expect("the view can be asked for");
        assert_eq!(other, Hold::HeldByAnother { holder, until });
        let recorded = record(storage, &view).await.held.expect("it is held");
        assert_eq!((recorded.holder, recorded.until), (holder, until));
    }
    let again = other_handle.hold(&view, holder, 2 * LONG).await;
    let Ok(Hold::Held { until: later }) = again else {
        panic!("its holder prolongs it: {again:?}");
    };
    assert!(later > until, "{until} is prolonged to {later}");
    let recorded = record(&storage, &view).await.held.expect("it is held");
    assert_eq!(recorded.until, later);
    // Another view is not concerned.
    held(&storage, &id("cards", 2)).await;
    held(&storage, &id("readers", 1)).await;
}

/// A hold is another's when its lease is over or its holder released it, and nobody else releases it.
pub async fn a_hold_ends_with_its_lease_or_when_it_is_released(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let (one, other) = (held(&storage, &view).await, Uuid::now_v7());
    storage
        .release(&view, other)
        .await
        .expect("it does nothing");
    let hold = storage.hold(&view, other, LONG).await.expect("it is asked");
    assert!(matches!(hold, Hold::HeldByAnother { .. }), "{hold:?}");
    storage.release(&view, one).await.expect("it is released");
    assert_eq!(record(&storage, &view).await.held, None);
    // A lease of no time is over at once.
    let hold = storage
        .hold(&view, other, Duration::ZERO)
        .await
        .expect("it is asked");
    assert!(matches!(hold, Hold::Held { .. }), "{hold:?}");
    // Nobody took it meanwhile.
    commit(&storage, &view, other, (0, 1), Vec::new())
        .await
        .expect("the last holder may commit");
    let hold = storage.hold(&view, one, LONG).await.expect("it is asked");
    assert!(matches!(hold, Hold::Held { .. }), "{hold:?}");
    storage
        .release(&view, other)
        .await
        .expect("it does nothing");
    let held = record(&storage, &view).await.held.expect("it is held");
    assert_eq!(held.holder, one);
}

/// Only the one who was given the view last commits: not who never asked, was overtaken, or released it.
pub async fn only_the_holder_commits(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    storage.open_view(&declared(&view)).await.expect("it opens");
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let card = |value: &'static str| vec![DocumentChange::put("card", value)];
    let refused = commit(&storage, &view, one, (0, 1), card("nobody's")).await;
    let Err(ReadModelError::NotHeld { by: None, .. }) = refused else {
        panic!("nobody holds it: {refused:?}");
    };
    let hold = storage
        .hold(&view, one, Duration::ZERO)
        .await
        .expect("it is asked");
    assert!(matches!(hold, Hold::Held { .. }), "{hold:?}");
    commit(&storage, &view, one, (0, 1), card("one"))
        .await
        .expect("the holder commits");
    let hold = storage.hold(&view, other, LONG).await.expect("it is asked");
    assert!(matches!(hold, Hold::Held { .. }), "{hold:?}");
    let refused = commit(&storage, &view, one, (1, 2), card("late")).await;
    let Err(ReadModelError::NotHeld {
        by: Some((by, _)), ..
    }) = refused
    else {
        panic!("another has taken it: {refused:?}");
    };
    assert_eq!(by, other);
    assert_eq!(
        get(&storage, &view, "card").await.expect("it is there"),
        "one"
    );
    commit(&storage, &view, other, (1, 2), card("other"))
        .await
        .expect("the new holder commits");
    storage.release(&view, other).await.expect("it is released");
    let refused = commit(&storage, &view, other, (2, 3), card("released")).await;
    let is_refused = matches!(refused, Err(ReadModelError::NotHeld { .. }));
    assert!(is_refused, "it was released: {refused:?}");
    assert_eq!(
        get(&storage, &view, "card").await.expect("it is there"),
        "other"
    );
    assert_eq!(record(&storage, &view).await.up_to, at(2));
}

/// Of several that ask at once, one is given the view.
pub async fn of_those_who_ask_for_a_view_at_once_one_holds_it(provider: impl Provider) {
    let view = id("cards", 1);
    let storage = provider.open().await;
    storage.open_view(&declared(&view)).await.expect("it opens");
    for round in 0..15 {
        let mut asks = Vec::new();
        for _ in 0..4 {
            let (storage, view) = (provider.open().await, view.clone());
            asks.push(async move {
                let holder = Uuid::now_v7();
                let hold = storage.hold(&view, holder, LONG).await;
                (holder, hold.expect("it is asked"))
            });
        }
        let mut holders = Vec::new();
        for (holder, hold) in join_all(asks).await {
            if let Hold::Held { .. } = hold {
                holders.push(holder);
            }
        }
        let [holder] = holders[..] else {
            panic!("round {round}: {} hold the view", holders.len());
        };
        let recorded = record(&storage, &view).await.held.expect("it is held");
        assert_eq!(recorded.holder, holder);
        storage
            .release(&view, holder)
            .await
            .expect("it is released");
    }
}
