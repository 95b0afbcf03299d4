//! Events have an aggregate here, and say its domain.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => _)]
    Closed,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(aggregate = Door, domain = "house", name = "door")]
enum DoorEvent {
    Opened { by: String },
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open { by: String },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door")]
struct Door {
    state: DoorState,
    by: Option<String>,
}

fn main() {}
