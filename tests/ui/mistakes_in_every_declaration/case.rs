//! Each declaration has a mistake, and each gives one error.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajr)]
    Closed,
    #[on(Close / Shut => Closed)]
    Ajar,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    #[event(operation = "opened wide")]
    Opened {
        by: String,
    },
    Shut,
}

#[derive(Command, Clone, Debug)]
#[command(agregate = Door)]
enum DoorCommand {
    Open { by: String },
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "my house", name = "door")]
struct Door {
    state: DoorState,
    by: Option<String>,
}

fn main() {}
