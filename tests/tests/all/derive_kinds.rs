//! Aggregates that were renamed: the types and kinds that they still read.

use cim_es::prelude::*;
use cim_es::subject::Subjects;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => _)]
    #[on(Open / Reported => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum DoorEvent {
    #[event(was = "ajar")]
    Opened,
    #[event(subject = "report.made", was_subject = "note.made")]
    Reported,
}

#[allow(dead_code)]
#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "house",
    name = "door",
    was = "house.gate",
    was = "yard.door",
    was = "yard.gate"
)]
struct Door {
    state: DoorState,
}

domain!(HOUSE = [DoorEvent]);

#[test]
fn every_name_is_read_under_every_kind_and_each_type_once() {
    let former: Vec<_> = DoorEvent::EVENTS.iter().map(|it| it.former_types).collect();
    assert_eq!(
        former[0],
        [
            "house.door.ajar",
            "house.gate.opened",
            "house.gate.ajar",
            "yard.door.opened",
            "yard.door.ajar",
            "yard.gate.opened",
            "yard.gate.ajar",
        ]
    );
    assert_eq!(
        former[1],
        ["house.note.made", "yard.report.made", "yard.note.made"]
    );
    let all = ["house.door.opened", "house.report.made"].into_iter();
    let all: Vec<_> = all.chain(former.concat()).collect();
    assert_eq!(DoorEvent::TYPES, all);
}

#[test]
fn an_aggregate_knows_its_kinds() {
    assert_eq!(Door::KIND, "house.door");
    for kind in ["house.door", "house.gate", "yard.door", "yard.gate"] {
        assert!(Door::is_kind(kind), "{kind}");
        assert_eq!(HOUSE.aggregate(kind).unwrap().kind, Door::KIND);
    }
    assert!(!Door::is_kind("house.window"));
}

#[test]
fn a_subscriber_hears_the_events_under_former_kinds_too() {
    let subjects = Subjects::of::<DoorEvent>();
    for event_type in DoorEvent::TYPES {
        assert!(subjects.matches(event_type), "{event_type}");
    }
    let former: Filter<DoorEvent> = filter!(DoorEvent, "yard.>");
    assert!(former.matches("yard.gate.ajar"));
}

macro_rules! release {
    ($release:ident, $($aggregate:tt)*) => {
        mod $release {
            use cim_es::prelude::*;

            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub enum LampState {
                #[state(initial)]
                #[on(Switch / Switched => _)]
                Any,
            }

            #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
            pub enum LampEvent {
                Switched,
            }

            #[allow(dead_code)]
            #[derive(Command, Clone, Debug)]
            pub enum LampCommand {
                Switch,
            }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate($($aggregate)*)]
            pub struct Lamp {
                state: LampState,
            }

            pub fn lock() -> cim_es::testing::SchemaLock {
                cim_es::testing::SchemaLock::new().aggregate::<Lamp>([LampEvent::Switched])
            }
        }
    };
}

release!(first, domain = "home", name = "lamp");
release!(renamed, domain = "home", name = "light");
release!(second, domain = "home", name = "light", was = "home.lamp");

/// What comparing a program with the lock of another says.
fn said(locked: &cim_es::testing::SchemaLock, program: &cim_es::testing::SchemaLock) -> String {
    let name = format!("{}.schema.lock", Uuid::now_v7());
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, locked.text()).unwrap();
    match std::panic::catch_unwind(|| program.check(&file)) {
        Ok(()) => "nothing".to_owned(),
        Err(panic) => panic.downcast_ref::<String>().unwrap().clone(),
    }
}

#[test]
fn the_lock_knows_a_renamed_aggregate_and_keeps_its_former_names() {
    let asked = said(&first::lock(), &second::lock());
    assert!(
        asked.contains("no sample of `home.lamp.switched`, version 1, which `#[aggregate(was = \"home.lamp\")]` says is stored"),
        "{asked}"
    );
    let stored = (
        EnvelopeView::new("home.lamp.switched", 1),
        Ipld::Map([].into()),
    );
    let second = second::lock().former::<second::Lamp>([stored]);
    let added = said(&first::lock(), &second);
    assert!(
        added.contains("the program has what the file lacks"),
        "{added}"
    );
    assert!(
        added.contains("aggregate `home.lamp` is `home.light` now"),
        "{added}"
    );
    assert_eq!(said(&second, &second), "nothing");

    let gone = said(&first::lock(), &renamed::lock());
    assert!(
        gone.contains("if it was renamed, add `#[aggregate(was = \"home.lamp\")]`"),
        "{gone}"
    );
    let dropped = said(&second, &renamed::lock());
    assert!(
        dropped.contains("restore its `#[aggregate(was = \"home.lamp\")]`"),
        "{dropped}"
    );
}
