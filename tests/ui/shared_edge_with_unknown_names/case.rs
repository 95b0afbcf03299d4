//! The names of an edge that several states have do not exist; each is reported once.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[on(Ajar | Wide: Clos / Shutt => Closed)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Open / Opened => Wide)]
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
