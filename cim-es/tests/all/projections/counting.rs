//! Each event counts once, and a reader waits for what it wrote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{OpenError, ProjectionManager, ViewState, WaitError};
use cim_es::store::{EventStore, Position};

use super::{Balances, LIMIT, commit, deposit, on_each_store, open, transfer};
use crate::account::{Account, AccountEvent};

#[tokio::test]
async fn a_view_counts_what_was_there_and_what_comes_each_once() {
    on_each_store(|store| async move {
        let (ann, ben) = (Id::new(), Id::new());
        for _ in 0..50 {
            transfer(&*store, ann, ben).await;
        }
        let view = open::<Balances>(&store).await;
        let mut last = Position::START;
        for _ in 0..50 {
            last = transfer(&*store, ben, ann).await;
        }
        view.wait_for(last, LIMIT).await.unwrap();
        let seen = view
            .read(|balances| (balances.sum(), balances.events))
            .await
            .unwrap();
        assert_eq!(seen.value, (0, 200));
        assert_eq!(seen.position, last);
        assert_eq!(view.status().counted, 200);
    })
    .await;
}

#[tokio::test]
async fn a_position_of_which_the_view_takes_nothing_is_waited_for_no_longer_than_it_is_stored() {
    on_each_store(|store| async move {
        let ann = Id::new();
        let view = open::<Balances>(&store).await;
        let deposited = deposit(&*store, ann, 5).await;
        let opened = commit(&*store, [(Id::new(), vec![AccountEvent::Opened])]).await;
        view.wait_for(opened, LIMIT).await.unwrap();
        let seen = view.read(Balances::sum).await.unwrap();
        assert_eq!((seen.value, seen.position), (5, opened));
        assert_eq!(view.status().up_to.position, deposited);
        view.wait_for(Position::START, Duration::ZERO)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_waits_too_long_is_told_how_far_the_view_is() {
    on_each_store(|store| async move {
        let view = open::<Balances>(&store).await;
        let last = deposit(&*store, Id::new(), 5).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let ahead = Position(last.0 + 1);
        let refused = view.wait_for(ahead, Duration::from_millis(30)).await.unwrap_err();
        assert!(matches!(&refused, WaitError::TooSlow { .. }), "{refused}");
        assert_eq!(refused.up_to(), last);
        assert_eq!(
            refused.to_string(),
            format!(
                "view `balances v1` has not counted position {ahead} within 30ms: it is at {last} (live); wait longer, or answer with what it has"
            )
        );
    })
    .await;
}

#[tokio::test]
async fn a_position_that_is_not_stored_yet_is_waited_for_until_it_is() {
    on_each_store(|store| async move {
        let view = open::<Balances>(&store).await;
        let last = deposit(&*store, Id::new(), 5).await;
        let waiting = view.wait_for(Position(last.0 + 1), LIMIT);
        let (waited, opened) = tokio::join!(waiting, async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            commit(&*store, [(Id::new(), vec![AccountEvent::Opened])]).await
        });
        waited.unwrap();
        assert_eq!(opened, Position(last.0 + 1));
    })
    .await;
}

/// The accounts that somebody else closed, by the text of their ids.
#[derive(Projection, Debug, Default)]
#[projection(name = "closed", version = 1, events = [elsewhere::AccountEvent])]
struct ClosedElsewhere(BTreeSet<String>);

mod elsewhere {
    use cim_es::prelude::*;

    #[derive(DomainEvent, Debug, Serialize, Deserialize)]
    #[event(domain = "bank", name = "account")]
    pub enum AccountEvent {
        Opened,
        Imported { opening_balance: u64 },
        Deposited { amount: u64 },
        Withdrawn { amount: u64 },
        Closed,
    }
}

impl Project<elsewhere::AccountEvent> for ClosedElsewhere {
    fn project(&mut self, event: elsewhere::AccountEvent, at: &Source<cim_es::event::Elsewhere>) {
        if let elsewhere::AccountEvent::Closed = event {
            assert_eq!(at.id().as_str(), at.id_text());
            assert_eq!(at.actor(), Some("test"));
            assert!(at.is_new() && at.version() == 2);
            self.0.insert(at.id_text().to_owned());
        }
    }
}

#[tokio::test]
async fn events_whose_aggregate_is_declared_in_another_program_are_taken_by_the_text_of_its_id() {
    on_each_store(|store| async move {
        let id: Id<Account> = Id::new();
        let view = open::<ClosedElsewhere>(&store).await;
        let events = vec![AccountEvent::Opened, AccountEvent::Closed];
        let last = commit(&*store, [(id, events)]).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let seen = view
            .read(|view| view.0.contains(&id.to_string()))
            .await
            .unwrap();
        assert!(seen.value);
    })
    .await;
}

/// Another view of the same name.
#[derive(Projection, Debug, Default)]
#[projection(name = "balances", version = 2, events = [AccountEvent])]
struct OtherBalances;

impl Project<AccountEvent> for OtherBalances {
    fn project(&mut self, _: AccountEvent, _: &Source<Account>) {}
}

#[tokio::test]
async fn two_views_of_one_name_are_refused_until_the_first_is_stopped() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let manager = ProjectionManager::new(store);
    let first = manager.in_memory::<Balances>().await.unwrap();
    let refused = manager.in_memory::<OtherBalances>().await.unwrap_err();
    assert!(
        matches!(
            &refused,
            OpenError::NameTaken {
                name: "balances",
                ..
            }
        ),
        "{refused}"
    );
    first.stop().await;
    let second = manager.in_memory::<OtherBalances>().await.unwrap();
    manager.stop().await;
    assert_eq!(second.status().state, ViewState::Stopped { reason: None });
    let refused = manager.in_memory::<OtherBalances>().await.unwrap_err();
    assert!(
        matches!(refused, OpenError::ManagerStopped { .. }),
        "{refused}"
    );
}

#[test]
fn without_a_runtime_or_its_timer_a_view_is_refused() {
    let manager = ProjectionManager::new(MemoryEventStore::new());
    let opened =
        futures_util::FutureExt::now_or_never(async { manager.in_memory::<Balances>().await });
    let refused = opened.expect("it answers at once").unwrap_err();
    assert!(
        matches!(refused, OpenError::NoRuntime { name: "balances" }),
        "{refused}"
    );

    let manager = ProjectionManager::new(MemoryEventStore::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let refused = runtime
        .block_on(async { manager.in_memory::<Balances>().await })
        .unwrap_err();
    assert!(refused.to_string().contains("with a timer"), "{refused}");
}

#[tokio::test]
async fn a_view_that_nobody_can_read_any_more_ends() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let view = open::<Balances>(&store).await;
    let before = Arc::strong_count(&store);
    drop(view);
    let ended = async {
        while Arc::strong_count(&store) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(before > 1);
    tokio::time::timeout(LIMIT, ended)
        .await
        .expect("its task ends");
}
