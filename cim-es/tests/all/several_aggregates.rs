//! Several aggregates in one command: what no store can get wrong. The rest is in the contract of the stores.

use crate::account::{Account, AccountCommand};
use cim_es::prelude::*;
use cim_es::repository::{Together, TogetherError};

fn desk() -> MessageIdentity {
    MessageIdentity::new_from_user("desk")
}

#[tokio::test]
async fn two_stores_are_refused() {
    let [here, elsewhere] = [(); 2].map(|()| Repository::<Account>::new(MemoryEventStore::new()));
    let mixed = Together::new(&desk())
        .execute(&here, &Id::new(), AccountCommand::Open)
        .execute(&elsewhere, &Id::new(), AccountCommand::Open);
    let refused = mixed.commit().await.unwrap_err();
    assert!(
        matches!(refused, TogetherError::AnotherStore { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn aggregates_named_in_any_order_never_wait_for_each_other() {
    let accounts = Repository::<Account>::new(MemoryEventStore::new());
    let ids = [Id::new(), Id::new(), Id::new()];
    for id in &ids {
        let opened = accounts.execute(id, AccountCommand::Open, &desk()).await;
        opened.unwrap();
    }
    let work = async |turn: usize| {
        for _ in 0..50 {
            let [a, b, c] = [turn, turn + 1, turn + 2].map(|at| &ids[at % 3]);
            let together = Together::new(&desk())
                .execute(&accounts, a, AccountCommand::Deposit { amount: 1 })
                .execute(&accounts, b, AccountCommand::Deposit { amount: 1 })
                .execute(&accounts, c, AccountCommand::Deposit { amount: 1 });
            together.commit().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::join3(work(0), work(1), work(2)).await;
}
