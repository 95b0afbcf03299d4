//! States of an edge that several states have do not exist; each is reported once.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[on(Ajra | Wide: Close / Shut => Closed)]
#[on(Ajar | Wide: Open / Opened => Wied)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    Ajar,
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
