//! A public aggregate names private types.

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
    #[apply(_ = by)]
    Opened {
        by: String,
    },
    Shut,
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open { by: String },
    Close,
}

#[derive(Debug)]
struct Refused;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
struct DoorId(String);

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door", id = DoorId)]
pub struct Door {
    state: DoorState,
    by: Option<String>,
}

fn main() {}
