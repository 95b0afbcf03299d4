//! A state has an edge of its own that it is also given on the enum, and another state is named twice.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[on(Ajar | Wide | Ajar: Close / Shut => Closed)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Open / Opened => Wide)]
    Ajar,
    #[on(Close / Shut => Ajar)]
    Wide,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    Opened { by: String },
    Shut,
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open { by: String },
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door")]
struct Door {
    state: DoorState,
    by: Option<String>,
}

fn main() {}
