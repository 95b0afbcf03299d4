//! The kit for testing a domain: it accepts what holds, and says what does not.

use crate::account::{Account, AccountCommand, AccountError, AccountEvent};
use cim_es::MemoryEventStore;
use cim_es::prelude::*;
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::{Specification, check_machine, given, given_nothing};

use AccountCommand::{Close, Deposit, Open, Withdraw};
use AccountEvent::{Closed, Deposited, Imported, Opened, Withdrawn};

#[tokio::test]
async fn a_scenario_holds_on_the_pure_aggregate_and_unchanged_on_a_store() {
    let store = MemoryEventStore::new();
    let insufficient = AccountError::Insufficient {
        asked: 11,
        balance: 10,
    };
    given_nothing::<Account>()
        .when(Open)
        .then([Opened])
        .on(store.clone(), &Id::new())
        .await;
    given([Opened, Deposited { amount: 10 }])
        .when(Withdraw { amount: 11 })
        .then_error(insufficient)
        .on(store.clone(), &Id::new())
        .await;
    given([Imported { opening_balance: 5 }])
        .when(Close)
        .then([Withdrawn { amount: 5 }, Closed])
        .on(store.clone(), &Id::new())
        .await;
    given([Opened])
        .when(Deposit { amount: 0 })
        .then_nothing()
        .on(store.clone(), &Id::new())
        .await;
    given([Opened, Closed])
        .when(Open)
        .then_not_accepted()
        .on(store.clone(), &Id::new())
        .await;
    given_nothing::<Account>()
        .when_all([Open, Deposit { amount: 0 }, Deposit { amount: 7 }, Close])
        .then([
            Opened,
            Deposited { amount: 7 },
            Withdrawn { amount: 7 },
            Closed,
        ])
        .on(store.clone(), &Id::new())
        .await;
    given([Opened])
        .when_all([Deposit { amount: 10 }, Withdraw { amount: 11 }])
        .then_error(AccountError::Insufficient {
            asked: 11,
            balance: 10,
        })
        .on(store.clone(), &Id::new())
        .await;
    given([Opened])
        .when_all([Close, Deposit { amount: 1 }])
        .then_not_accepted()
        .on(store, &Id::new())
        .await;
}

#[test]
#[should_panic = "on the pure aggregate, after Open, then Deposit { amount: 1 }:
  expected: Opened
     found: Opened, Deposited { amount: 1 }"]
fn a_scenario_of_several_commands_names_them_when_it_fails() {
    given_nothing::<Account>()
        .when_all([Open, Deposit { amount: 1 }])
        .then([Opened]);
}

#[test]
#[should_panic = "on the pure aggregate, after Deposit { amount: 1 }:
  expected: Deposited { amount: 2 }
     found: Deposited { amount: 1 }"]
fn a_scenario_with_other_events_fails() {
    given([Opened])
        .when(Deposit { amount: 1 })
        .then([Deposited { amount: 2 }]);
}

#[test]
#[should_panic = "on the pure aggregate"]
fn a_scenario_with_another_error_fails() {
    given([Opened])
        .when(Withdraw { amount: 1 })
        .then_error(AccountError::Amount);
}

#[test]
#[should_panic = "given event 2 is not a possible history"]
fn a_history_that_the_machine_does_not_know_fails() {
    given([Opened, Opened]).when(Close).then_nothing();
}

#[tokio::test]
#[should_panic = "given event 1 could not be stored, under an id that must have no events yet"]
async fn a_scenario_needs_an_id_without_events() {
    let store = MemoryEventStore::new();
    let id = Id::new();
    let scenario = || given([Opened]).when(Close).then([Closed]);
    scenario().on(store.clone(), &id).await;
    scenario().on(store, &id).await;
}

fn commands(account: &Account) -> impl Strategy<Value = AccountCommand> + use<> {
    prop_oneof![
        Just(Open),
        Just(Close),
        (0..1_000_u64).prop_map(|amount| Deposit { amount }),
        (0..=account.balance.saturating_add(1)).prop_map(|amount| Withdraw { amount }),
    ]
}

#[test]
fn every_edge_of_the_declared_machine_is_taken() {
    let report = check_machine::<Account, _>(commands);
    assert_eq!(report.taken.len(), 5, "{:?}", report.taken);
    assert_eq!(
        report.only_in_history,
        ["`Unopened: / Imported`", "`Active: / Closed`"]
    );
}

#[test]
#[should_panic = "no generated sequence of commands takes `Active: Withdraw / Withdrawn`"]
fn an_edge_that_no_command_takes_is_named() {
    check_machine::<Account, _>(|_| {
        prop_oneof![Just(Open), Just(Close), Just(Deposit { amount: 4 })]
    });
}

#[test]
#[should_panic = "the case named `Active, empty` is one of state `Unopened`, not of `Active`: name it after `Unopened`, or correct it"]
fn a_case_that_is_named_after_another_state_is_refused() {
    let _ =
        Specification::new().aggregate(vec![("Active, empty", given_nothing::<Account>())], vec![]);
}

#[test]
#[should_panic = "the case named `Close` is one of command `Open`, not of `Close`: name it after `Open`, or correct it"]
fn a_case_that_is_named_after_another_command_is_refused() {
    let states = vec![("Unopened", given_nothing::<Account>())];
    let _ = Specification::new().aggregate(states, vec![("Close", Open)]);
}

/// The events of the cases are samples enough: those of the histories, and those with which commands are answered.
#[test]
#[should_panic = "no.lock: the file is missing"]
fn a_specification_samples_what_happened_and_what_commands_lead_to() {
    let states = vec![
        ("Unopened", given_nothing::<Account>()),
        (
            "Active",
            given([AccountEvent::Imported { opening_balance: 9 }]),
        ),
        ("Closed", given([Opened, Closed])),
    ];
    let commands = vec![
        ("Open", Open),
        ("Deposit", Deposit { amount: 1 }),
        ("Withdraw", Withdraw { amount: 1 }),
        ("Close", Close),
    ];
    Specification::new()
        .aggregate(states, commands)
        .check_lock("no.lock");
}

#[test]
#[should_panic = "`account` is in the specification already"]
fn a_specification_takes_an_aggregate_once() {
    let states = || {
        let closed = given([Opened, Closed]);
        vec![
            ("Unopened", given_nothing::<Account>()),
            ("Active", given([Opened])),
            ("Closed", closed),
        ]
    };
    let commands = || {
        let (deposit, withdraw) = (Deposit { amount: 1 }, Withdraw { amount: 1 });
        [Open, deposit, withdraw, Close]
            .map(|command| ("", command))
            .to_vec()
    };
    let once = Specification::new().aggregate(states(), commands());
    let _ = once.aggregate(states(), commands());
}

/// A door whose decision looks at the world.
mod door {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum DoorState {
        #[state(initial)]
        #[on(Push / Pushed => _)]
        #[on(Lock / Locked => Shut)]
        Open,
        #[state(terminal)]
        Shut,
    }

    #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
    pub enum DoorEvent {
        #[apply(pushes += by)]
        Pushed {
            by: u64,
        },
        Locked,
    }

    #[derive(Command, Clone, Debug)]
    pub enum DoorCommand {
        Push,
        Lock,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "door")]
    pub struct Door {
        state: DoorState,
        pushes: u64,
    }

    static PUSHES: AtomicU64 = AtomicU64::new(0);

    impl Decide for Door {
        fn decide(&self, command: DoorCommand, _: &Context) -> Decision<Self> {
            match command {
                DoorCommand::Push => emit(DoorEvent::Pushed {
                    by: PUSHES.fetch_add(1, Ordering::Relaxed),
                }),
                DoorCommand::Lock => emit(DoorEvent::Locked),
            }
        }
    }
}

#[test]
#[should_panic = "gave two different answers to the same question"]
fn a_decision_that_is_not_deterministic_is_found() {
    check_machine::<door::Door, _>(|_| {
        prop_oneof![Just(door::DoorCommand::Push), Just(door::DoorCommand::Lock)]
    });
}

/// A gate whose snapshot forgets how often it was pushed.
mod gate {
    use super::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum GateState {
        #[state(initial)]
        #[on(Push / Pushed => _)]
        #[on(Lock / Locked => Shut)]
        Open,
        #[state(terminal)]
        Shut,
    }

    #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
    pub enum GateEvent {
        #[apply(pushes += 1)]
        Pushed,
        Locked,
    }

    #[derive(Command, Clone, Debug)]
    pub enum GateCommand {
        Push,
        Lock,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "gate")]
    pub struct Gate {
        state: GateState,
        #[serde(skip_serializing_if = "is_two", default)]
        pushes: u64,
    }

    fn is_two(pushes: &u64) -> bool {
        *pushes == 2
    }

    impl Decide for Gate {
        fn decide(&self, command: GateCommand, _: &Context) -> Decision<Self> {
            match command {
                GateCommand::Push => emit(GateEvent::Pushed),
                GateCommand::Lock => emit(GateEvent::Locked),
            }
        }
    }
}

#[test]
#[should_panic = "a field is skipped or changed when the aggregate is stored"]
fn an_aggregate_that_a_snapshot_does_not_keep_whole_is_found() {
    check_machine::<gate::Gate, _>(
        |_| prop_oneof![9 => Just(gate::GateCommand::Push), 1 => Just(gate::GateCommand::Lock)],
    );
}

mod hatch {
    use super::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum HatchState {
        #[state(initial)]
        #[on(Turn / Turned => _)]
        Any,
    }

    #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
    pub enum HatchEvent {
        #[apply(turns += 1)]
        Turned,
    }

    #[derive(Command, Clone, Debug)]
    pub enum HatchCommand {
        Turn,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "hatch")]
    pub struct Hatch {
        state: HatchState,
        #[serde(skip)]
        turns: u64,
    }

    impl Decide for Hatch {
        fn decide(&self, _: HatchCommand, _: &Context) -> Decision<Self> {
            match self.turns {
                3 => nothing(),
                _ => emit(HatchEvent::Turned),
            }
        }
    }
}

#[test]
#[should_panic = "Turn in state `Any` is answered otherwise after a snapshot"]
fn a_field_that_decides_and_that_no_snapshot_keeps_is_found() {
    check_machine::<hatch::Hatch, _>(|_| Just(hatch::HatchCommand::Turn));
}

/// A note whose nickname is unknown, none, or a name; a snapshot would make the first of the second.
mod nickname {
    use super::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum NoteState {
        #[state(initial)]
        #[on(Rename / Renamed => _)]
        Any,
    }

    #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
    pub enum NoteEvent {
        Renamed { nickname: Option<String> },
    }

    #[derive(Command, Clone, Debug)]
    pub enum NoteCommand {
        Rename,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "note")]
    pub struct Note {
        state: NoteState,
        nickname: Option<Option<String>>,
    }

    impl Decide for Note {
        fn decide(&self, _: NoteCommand, _: &Context) -> Decision<Self> {
            emit(NoteEvent::Renamed { nickname: None })
        }
    }
}

#[test]
#[should_panic = "field `nickname`: an option that holds nothing would read back as none"]
fn a_value_that_a_snapshot_would_change_is_found_with_its_field() {
    check_machine::<nickname::Note, _>(|_| Just(nickname::NoteCommand::Rename));
}

/// Events that do not print as they are stored.
mod vault {
    use std::collections::HashMap;
    use std::fmt;

    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum VaultState {
        #[state(initial)]
        #[on(Lock / Locked => _)]
        #[on(Fill / Filled => _)]
        #[on(Weigh / Weighed => _)]
        Any,
    }

    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    pub struct Code(pub String);

    impl fmt::Debug for Code {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Code(***)")
        }
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Weight {
        #[serde(serialize_with = "rounded")]
        pub kilos: f64,
        #[serde(skip)]
        pub note: String,
    }

    fn rounded<S: serde::Serializer>(kilos: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(kilos.round())
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum VaultEvent {
        #[apply(_ = code)]
        Locked { code: Code },
        #[apply(_ = contents)]
        Filled { contents: HashMap<String, u32> },
        #[apply(_ = weight)]
        Weighed { weight: Weight },
    }

    #[derive(Command, Clone, Debug)]
    pub enum VaultCommand {
        Lock { code: Code },
        Fill { contents: HashMap<String, u32> },
        Weigh { weight: Weight },
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "kit", name = "vault")]
    pub struct Vault {
        state: VaultState,
    }

    impl Decide for Vault {
        fn decide(&self, command: VaultCommand, _: &Context) -> Decision<Self> {
            emit(match command {
                VaultCommand::Lock { code } => VaultEvent::Locked { code },
                VaultCommand::Fill { contents } => VaultEvent::Filled { contents },
                VaultCommand::Weigh { weight } => VaultEvent::Weighed { weight },
            })
        }
    }
}

use vault::{Code, Vault, VaultCommand, VaultEvent, Weight};

fn code(text: &str) -> Code {
    Code(text.to_owned())
}

#[test]
#[should_panic = "both print alike, but are stored otherwise: event 1, at `code`"]
fn an_event_that_hides_a_part_when_it_prints_is_compared_with_that_part() {
    given_nothing::<Vault>()
        .when(VaultCommand::Lock { code: code("1234") })
        .then([VaultEvent::Locked { code: code("4321") }]);
}

#[tokio::test]
async fn a_map_without_an_order_equals_itself() {
    let contents = || (0..6).map(|number| (number.to_string(), number)).collect();
    for _ in 0..20 {
        given([VaultEvent::Filled {
            contents: contents(),
        }])
        .when(VaultCommand::Fill {
            contents: contents(),
        })
        .then([VaultEvent::Filled {
            contents: contents(),
        }])
        .on(MemoryEventStore::new(), &Id::new())
        .await;
    }
}

fn weight(kilos: f64, note: &str) -> Weight {
    let note = note.to_owned();
    Weight { kilos, note }
}

#[test]
#[should_panic = "before: Weighed { weight: Weight { kilos: 7.5, note: \"\" } }
   after: Weighed { weight: Weight { kilos: 8.0, note: \"\" } }"]
fn a_field_that_is_rounded_on_the_way_is_found_in_what_a_command_emits() {
    given_nothing::<Vault>()
        .when(VaultCommand::Weigh {
            weight: weight(7.5, ""),
        })
        .then([VaultEvent::Weighed {
            weight: weight(8.0, ""),
        }]);
}

#[test]
#[should_panic = "the event is not what it was after it was stored"]
fn a_field_that_is_skipped_on_the_way_is_found_in_what_is_given() {
    let weight = weight(7.0, "of gold");
    let _ = given([VaultEvent::Weighed { weight }]);
}

#[test]
#[should_panic = "a sample does not come back from a store as it was"]
fn a_field_that_is_lost_on_the_way_is_found_by_the_schema_lock() {
    let samples = [
        VaultEvent::Locked { code: code("1") },
        VaultEvent::Filled {
            contents: [("gold".to_owned(), 1)].into(),
        },
        VaultEvent::Weighed {
            weight: weight(7.0, "of gold"),
        },
    ];
    cim_es::testing::SchemaLock::new()
        .aggregate::<Vault>(samples)
        .check("no.lock");
}
