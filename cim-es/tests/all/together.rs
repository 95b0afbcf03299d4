//! Several commands together give what they give one by one.

use crate::account::{Account, AccountCommand, AccountEvent};
use cim_es::MemoryEventStore;
use cim_es::message::{FixedClock, Timestamp};
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, rehearse};
use cim_es::testing::proptest::collection::vec;
use cim_es::testing::proptest::prelude::*;

use AccountCommand::{Close, Deposit, Open, Withdraw};

const NOW: Timestamp = Timestamp::from_micros(1);

fn command() -> impl Strategy<Value = AccountCommand> {
    prop_oneof![
        2 => Just(Open),
        6 => (0..20_u64).prop_map(|amount| Deposit { amount }),
        6 => (0..20_u64).prop_map(|amount| Withdraw { amount }),
        1 => Just(Close),
    ]
}

fn accounts() -> Repository<Account> {
    Repository::builder(MemoryEventStore::new())
        .clock(FixedClock(NOW))
        .build()
}

proptest! {
    #[test]
    fn commands_together_give_what_they_give_one_by_one(commands in vec(command(), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let (one_by_one, together, id) = (accounts(), accounts(), Id::new());
            let mut rehearsed = Account::default();
            let mut refused = None;
            for (place, command) in commands.iter().enumerate() {
                let identity = MessageIdentity::new_from_user("test");
                let context = Context::new(identity.clone(), NOW);
                let executed = one_by_one.execute(&id, command.clone(), &identity).await;
                match (executed, rehearse(&mut rehearsed, command.clone(), &context)) {
                    (Ok(commit), Ok(events)) => {
                        let stored = commit.events().iter().map(|it| it.decode::<AccountEvent>().expect("it decodes"));
                        prop_assert_eq!(stored.collect::<Vec<_>>(), events);
                    }
                    (Err(executed), Err(rehearsed)) => {
                        prop_assert_eq!(executed.to_string(), rehearsed.to_string());
                        refused = Some((place, executed.to_string()));
                        break;
                    }
                    (executed, rehearsed) => prop_assert!(false, "{executed:?} and {rehearsed:?}"),
                }
            }
            let identity = MessageIdentity::new_from_user("test");
            let outcome = together.execute_all(&id, commands.clone(), &identity).await;
            match refused {
                None => {
                    let histories = [&one_by_one, &together].map(|it| it.history(&id));
                    let [expected, found] = histories.map(|it| async {
                        let recorded = it.await.expect("it loads");
                        recorded.into_iter().map(|it| it.event).collect::<Vec<_>>()
                    });
                    prop_assert_eq!(expected.await, found.await);
                    outcome.expect("each is accepted");
                }
                Some((place, reason)) => {
                    let found = match outcome.expect_err("one is refused") {
                        ExecuteError::OneOfSeveral { place, reason, .. } => (place, reason.to_string()),
                        error => (0, error.to_string()),
                    };
                    prop_assert_eq!((place, reason), found);
                    prop_assert_eq!(together.load(&id).await.expect("it loads").version(), 0);
                }
            }
            Ok(())
        })?;
    }
}
