//! What a view cannot count stops that view, and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cim_es::prelude::*;
use cim_es::projection::{ProjectionManager, WaitError};
use cim_es::store::{CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};

use super::{Balances, LIMIT, commit, deposit, key, on_each_store, transfer};
use crate::account::{Account, AccountEvent};

/// Sums as `Balances` does, and panics at an amount of 13 while `IS_BROKEN`.
#[derive(Projection, Debug, Default, Clone, PartialEq)]
#[projection(name = "superstitious", version = 1, events = [AccountEvent])]
struct Superstitious {
    sum: i64,
    events: u64,
    once: u64,
}

static IS_BROKEN: AtomicBool = AtomicBool::new(true);

impl Project<AccountEvent> for Superstitious {
    fn project(&mut self, event: AccountEvent, at: &Source<Account>) {
        self.events += 1;
        self.once += u64::from(at.is_new());
        match event {
            AccountEvent::Deposited { amount: 13 } if IS_BROKEN.load(Ordering::Relaxed) => {
                panic!("an amount of {}\nis not counted", 13)
            }
            AccountEvent::Deposited { amount } => self.sum += amount as i64,
            AccountEvent::Withdrawn { amount } => self.sum -= amount as i64,
            _ => {}
        }
    }
}

async fn parked_at(view: &cim_es::projection::RunningView, wanted: Position) -> String {
    let refused = view.wait_for(wanted, LIMIT).await.unwrap_err();
    assert!(matches!(refused, WaitError::Parked { .. }), "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn a_panic_in_the_middle_of_a_commit_parks_its_view_before_the_commit_and_no_other() {
    on_each_store(|store| async move {
        IS_BROKEN.store(true, Ordering::Relaxed);
        let manager = ProjectionManager::new(Arc::clone(&store));
        let balances = manager.in_memory::<Balances>().await.unwrap();
        let view = manager.in_memory::<Superstitious>().await.unwrap();
        let (ann, ben) = (Id::new(), Id::new());
        transfer(&*store, ann, ben).await;
        let before = deposit(&*store, ann, 7).await;
        view.wait_for(before, LIMIT).await.unwrap();
        let whole = view.read(Superstitious::clone).await.unwrap();

        let parts = [
            (ann, vec![AccountEvent::Withdrawn { amount: 13 }]),
            (ben, vec![AccountEvent::Deposited { amount: 13 }]),
        ];
        commit(&*store, parts).await;
        let last = transfer(&*store, ben, ann).await;
        balances.wait_for(last, LIMIT).await.unwrap();
        let said = parked_at(&view, last).await;
        assert!(
            said.contains("the projection panicked: an amount of 13"),
            "{said}"
        );
        assert!(said.contains(&format!("at {before}")), "{said}");

        let shown = view.read(Superstitious::clone).await.unwrap();
        assert_eq!(
            (shown.value.sum, shown.value.events),
            (whole.value.sum, whole.value.events)
        );
        assert_eq!(shown.position, before);
        // What is done once was done before it was made again.
        assert_eq!(shown.value.once, 0);
        let line = view.status().to_string();
        assert!(
            line.starts_with("superstitious v1: parked at ") && !line.contains('\n'),
            "{line}"
        );
        view.wait_for(before, LIMIT).await.unwrap();

        IS_BROKEN.store(false, Ordering::Relaxed);
        view.resume().await.unwrap();
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(view.read(|view| view.sum).await.unwrap().value, 7);
        assert_eq!(view.status().parked(), None);
    })
    .await;
}

#[tokio::test]
async fn an_event_of_a_type_that_the_program_does_not_know_parks_the_view_and_can_be_skipped() {
    on_each_store(|store| async move {
        let manager = ProjectionManager::new(Arc::clone(&store));
        let view = manager.in_memory::<Everything>().await.unwrap();
        let id = Id::new();
        let before = deposit(&*store, id, 1).await;
        for unknown in [
            NewEvent::from_payload("bank.account.frozen", 1, vec![0xa0]),
            NewEvent::from_payload("bank.account.closed", 2, vec![0xa0]),
            NewEvent::from_payload("bank.account.deposited", 1, vec![0xa0]),
        ] {
            let identity = MessageIdentity::new_from_user("later");
            let now = cim_es::message::Clock::now(&cim_es::message::SystemClock);
            let request = CommitRequest::new(identity, now);
            let request = request.aggregate(key(&id), ExpectedVersion::Any, vec![unknown]);
            store.append(request).await.unwrap();
        }
        let last = deposit(&*store, id, 1).await;
        let reasons = [
            "event `bank.account.frozen` of schema version 1 is unknown to this program",
            "event `bank.account.closed` of schema version 2 is unknown to this program",
            "event `bank.account.deposited` of schema version 1 does not decode",
        ];
        for (at, reason) in reasons.iter().enumerate() {
            let said = parked_at(&view, last).await;
            assert!(said.contains(reason), "{said}");
            let parked = view.status().parked().cloned().unwrap();
            assert_eq!(parked.bookmark.position, Position(before.0 + 1 + at as u64));
            view.skip("written by a later release", "Eve")
                .await
                .unwrap();
        }
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(view.read(|view| view.0).await.unwrap().value, 2);
        // What was skipped stays so, and is kept with the view.
        view.pause().await.unwrap();
        view.resume().await.unwrap();
        view.rebuild().await.unwrap();
        let last = deposit(&*store, id, 1).await;
        view.wait_for(last, LIMIT).await.unwrap();
        assert_eq!(view.read(|view| view.0).await.unwrap().value, 3);
        let status = view.status();
        assert_eq!(status.skipped.len(), 3);
        assert_eq!(status.skipped[0].event_type, "bank.account.frozen");
        assert_eq!(
            (&*status.skipped[0].reason, &*status.skipped[0].by),
            ("written by a later release", "Eve")
        );
        assert!(status.to_string().contains("; 3 skipped"), "{status}");
    })
    .await;
}

#[derive(Projection, Debug, Default)]
#[projection(name = "everything", version = 1, events = [AccountEvent])]
struct Everything(u64);

impl Project<AccountEvent> for Everything {
    fn project(&mut self, _: AccountEvent, _: &Source<Account>) {
        self.0 += 1;
    }
}
