//! Two releases of a program side by side on one store: each folds as it declares, and neither takes the other's snapshots.

use cim_es::prelude::*;

/// A release of a program with a counter: what one `add(5)` counts for, and what differs in the declaration.
macro_rules! release {
    ($name:ident, $fold:literal, $apply:tt, $edge:tt, $helper:literal) => {
        mod $name {
            use cim_es::prelude::*;

            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub enum CounterState {
                #[state(initial)]
                #[on $edge]
                Open,
                #[on(Add / Added => _)]
                Counting,
            }

            #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub enum CounterEvent {
                #[apply $apply]
                Added { amount: u64 },
                #[event(operation = "started")]
                Started,
            }

            #[derive(Command, Clone, Debug)]
            pub enum CounterCommand {
                Add { amount: u64 },
            }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate(domain = "release", name = "counter", fold = $fold)]
            pub struct Counter {
                pub state: CounterState,
                pub total: u64,
            }

            impl Counter {
                #[allow(dead_code, reason = "not every release folds by it")]
                fn take(&mut self, amount: u64) {
                    self.total += $helper * amount;
                }
            }

            impl Decide for Counter {
                fn decide(&self, command: CounterCommand, _: &Context) -> Decision<Self> {
                    let CounterCommand::Add { amount } = command;
                    emit(CounterEvent::Added { amount })
                }
            }

            /// Loads the counter, adds 5, and gives state and total before and after.
            pub async fn add(store: &MemoryEventStore) -> [(CounterState, u64); 2] {
                let id = Id::from_uuid(Uuid::from_u128(1));
                let counters = Repository::<Counter>::builder(store.clone());
                let counters = counters.snapshot_threshold(1).build();
                let before = counters.load(&id).await.unwrap();
                let identity = MessageIdentity::new_from_user("release");
                let command = CounterCommand::Add { amount: 5 };
                counters.execute(&id, command, &identity).await.unwrap();
                let after = counters.load(&id).await.unwrap();
                [before, after].map(|counter| (counter.state, counter.total))
            }
        }
    };
}

release!(first, 1, (total += amount), (Add / Added => _, / Started => Counting), 1);
release!(other_apply, 1, (total += 2 * amount), (Add / Added => _, / Started => Counting), 1);
release!(other_edge, 1, (total += amount), (Add / Added => Counting, / Started => _), 1);
release!(by_function, 1, (with = Counter::take), (Add / Added => _, / Started => Counting), 1);
release!(other_function, 2, (with = Counter::take), (Add / Added => _, / Started => Counting), 3);

#[tokio::test]
async fn a_release_with_another_statement_folds_by_its_own() {
    let store = MemoryEventStore::new();
    first::add(&store).await;
    let [before, after] = other_apply::add(&store).await;
    assert_eq!((before.1, after.1), (10, 20));
    let [before, after] = first::add(&store).await;
    assert_eq!((before.1, after.1), (10, 15));
}

#[tokio::test]
async fn a_release_with_another_edge_is_in_its_own_state() {
    let store = MemoryEventStore::new();
    first::add(&store).await;
    let [before, after] = other_edge::add(&store).await;
    assert_eq!(before, (other_edge::CounterState::Counting, 5));
    assert_eq!(after, (other_edge::CounterState::Counting, 10));
    let [before, _] = first::add(&store).await;
    assert_eq!(before, (first::CounterState::Open, 10));
}

#[tokio::test]
async fn a_release_with_a_higher_fold_folds_by_its_own_function() {
    let store = MemoryEventStore::new();
    by_function::add(&store).await;
    let [before, after] = other_function::add(&store).await;
    assert_eq!((before.1, after.1), (15, 30));
    let [before, _] = by_function::add(&store).await;
    assert_eq!(before.1, 10);
}
