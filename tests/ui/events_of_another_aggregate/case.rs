//! The machine takes the events of another aggregate.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(event = WindowEvent)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Washed => Ajar)]
    Closed,
    #[on(Close / Washed => Closed)]
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
#[aggregate(domain = "house", name = "window")]
struct Window {
    state: WindowState,
}

fn main() {}
