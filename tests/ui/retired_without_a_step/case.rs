//! An event is retired, and what is stored of it is still read as itself.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Close / Shut => Closed)]
    Ajar,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    Opened {
        by: String,
    },
    #[event(version = 2, retired)]
    #[upcast(from = 1, with = keep)]
    Slammed,
    #[event(retired)]
    Kicked,
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

fn keep(payload: Ipld) -> Result<Ipld, UpcastError> {
    Ok(payload)
}

fn main() {}
