//! There is no event at all.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(aggregate = Door)]
enum DoorEvent {}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DoorState {
    #[state(initial, terminal)]
    Closed,
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door")]
struct Door {
    state: DoorState,
}

fn main() {}
