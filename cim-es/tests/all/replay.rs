//! The same commands with the same identities at the same times give the same bytes, on any engine and any number of
//! times.

use crate::account::{Account, AccountCommand};
use cim_es::MemoryEventStore;
use cim_es::aggregate::Id;
use cim_es::message::{FixedClock, MessageIdentity, Timestamp};
use cim_es::repository::Repository;
use cim_es::store::{EventStoreExt, Position};
use futures_util::StreamExt;
use uuid::Uuid;

/// Runs a fixed list of commands on a new store and gives every body that it holds.
async fn bodies() -> Vec<Vec<u8>> {
    let store = MemoryEventStore::new();
    let id = Id::<Account>::from_uuid(Uuid::from_u128(7));
    let mut identity = MessageIdentity::root(Uuid::from_u128(1), Some("alice"));
    for number in 0..200_u64 {
        let now = Timestamp::from_micros(1_767_225_600_000_000 + number as i64 * 1_500);
        let accounts = Repository::<Account>::builder(store.clone())
            .clock(FixedClock(now))
            .build();
        let command = match number {
            0 => AccountCommand::Open,
            n if n % 7 == 0 => AccountCommand::Withdraw { amount: 3 },
            n => AccountCommand::Deposit { amount: n },
        };
        accounts.execute(&id, command, &identity).await.unwrap();
        let child = MessageIdentity::caused_by(&identity);
        identity = child.with_message_id(Uuid::from_u128(number as u128 + 2));
    }
    let events: Vec<_> = store.read_all(Position::START).collect().await;
    events
        .into_iter()
        .map(|event| event.unwrap().body().to_vec())
        .collect()
}

#[tokio::test]
async fn two_replays_of_the_same_commands_give_identical_bytes() {
    let (first, second) = (bodies().await, bodies().await);
    assert_eq!(first.len(), 200);
    assert_eq!(first, second);
}
