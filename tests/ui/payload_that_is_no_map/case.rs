//! A variant holds what is written as a number or as a list, also under another name.

use cim_es::prelude::*;

type Count = u8;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Open / Named => _)]
    #[on(Close / Shut => Closed)]
    Ajar,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    #[apply(_ = event)]
    Opened(Count),
    #[apply(_ = event)]
    Named(Vec<u8>),
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
