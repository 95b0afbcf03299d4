//! A store that was opened, and the result not taken apart.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => _)]
    Standing,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    Opened,
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "home", name = "door")]
struct Door {
    state: DoorState,
}

fn doors() -> Repository<Door> {
    Repository::new(SqliteEventStore::open("doors.db"))
}

fn main() {}
