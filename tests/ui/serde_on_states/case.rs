//! Serde would read states as other ones.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum DoorState {
    #[state(initial)]
    #[serde(skip)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Close / Shut => Closed)]
    #[serde(alias = "open", skip_deserializing)]
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
    #[serde(skip_serializing)]
    state: DoorState,
    by: Option<String>,
}

fn main() {}
