//! Two aggregates of a domain were the same one.

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

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum WindowState {
    #[state(initial)]
    #[on(Wash / Washed => _)]
    Whole,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum WindowEvent {
    Washed,
}

#[derive(Command, Clone, Debug)]
enum WindowCommand {
    Wash,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "window", was = "house.door")]
struct Window {
    state: WindowState,
}

domain!(HOUSE = [DoorEvent, WindowEvent]);

fn main() {}
