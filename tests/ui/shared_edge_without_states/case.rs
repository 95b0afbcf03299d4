//! An edge on the enum does not say which states have it.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[on(Close / Shut => Closed)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    Ajar,
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
