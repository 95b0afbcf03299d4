//! The bank account: the rules of its domain, on a store.

use std::num::NonZeroU32;

use cim_es::prelude::*;
use cim_es::repository::ExecuteError;
use cim_es::testing::check_machine;
use cim_es::testing::proptest::prelude::*;
use cim_es::{MemoryEventStore, Repository};
use cim_es_examples::bank_account::{Account, AccountCommand, AccountCommand::*, AccountError};

fn amount(coins: u32) -> NonZeroU32 {
    NonZeroU32::new(coins).expect("positive")
}

/// Executes commands in order; gives the balance, and why the last one was refused if it was.
async fn after(
    commands: impl IntoIterator<Item = AccountCommand>,
) -> (i64, Option<ExecuteError<AccountError>>) {
    let accounts = Repository::<Account>::new(MemoryEventStore::new());
    let id = Id::new();
    let mut refusal = None;
    for command in commands {
        assert!(
            refusal.is_none(),
            "only the last command may be refused: {refusal:?}"
        );
        let identity = MessageIdentity::new_from_user("test");
        refusal = accounts.execute(&id, command, &identity).await.err();
    }
    let account = accounts.load(&id).await.expect("the account loads");
    (account.balance, refusal)
}

#[tokio::test]
async fn what_is_deposited_and_not_withdrawn_is_the_balance() {
    let (balance, refusal) = after([
        Open,
        Deposit {
            amount: amount(100),
        },
        Withdraw { amount: amount(30) },
        Withdraw { amount: amount(70) },
        Deposit {
            amount: amount(u32::MAX),
        },
        Deposit {
            amount: amount(u32::MAX),
        },
    ])
    .await;
    assert!(refusal.is_none(), "{refusal:?}");
    assert_eq!(balance, 2 * i64::from(u32::MAX));
}

#[tokio::test]
async fn an_account_that_is_not_open_is_not_used() {
    for command in [
        Deposit { amount: amount(1) },
        Withdraw { amount: amount(1) },
    ] {
        let (balance, refusal) = after([command]).await;
        let is_refused = matches!(
            refusal,
            Some(ExecuteError::NotAccepted {
                state: "Unopened",
                ..
            })
        );
        assert!(is_refused && balance == 0, "{refusal:?}");
    }
}

#[tokio::test]
async fn an_account_is_opened_once() {
    let (_, refusal) = after([Open, Open]).await;
    assert!(
        matches!(
            refusal,
            Some(ExecuteError::NotAccepted {
                state: "Active",
                command: "Open",
                ..
            })
        ),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn more_than_the_balance_is_not_withdrawn() {
    let (balance, refusal) = after([
        Open,
        Deposit {
            amount: amount(100),
        },
        Withdraw {
            amount: amount(101),
        },
    ])
    .await;
    let expected = AccountError::InsufficientFunds {
        balance: 100,
        amount: amount(101),
    };
    assert!(
        matches!(&refusal, Some(ExecuteError::Refused(error)) if *error == expected),
        "{refusal:?}"
    );
    assert_eq!(balance, 100);
}

#[test]
fn every_edge_of_the_lifecycle_can_be_taken() {
    let report = check_machine::<Account, _>(|account| {
        let present = u32::try_from(account.balance).unwrap_or(u32::MAX);
        prop_oneof![
            Just(Open),
            (1..1_000_000_u32).prop_map(|coins| Deposit {
                amount: amount(coins)
            }),
            (1..=present.saturating_add(1)).prop_map(|coins| Withdraw {
                amount: amount(coins)
            }),
        ]
    });
    assert_eq!(report.taken.len(), 3, "{report:?}");
}
