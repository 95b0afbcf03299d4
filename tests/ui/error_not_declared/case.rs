//! A decision refuses, and the aggregate declares no error.

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

#[derive(Debug)]
struct Jammed;

impl std::fmt::Display for Jammed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the door is jammed")
    }
}

impl std::error::Error for Jammed {}

impl Door {
    fn try_to_move(&self) -> Result<(), Jammed> {
        self.by.as_ref().map(|_| ()).ok_or(Jammed)
    }
}

impl Decide for Door {
    fn decide(&self, command: DoorCommand, _: &Context) -> Decision<Self> {
        match command {
            DoorCommand::Open { by } if by.is_empty() => Err(Jammed),
            DoorCommand::Open { by } => emit(DoorEvent::Opened { by }),
            DoorCommand::Close => {
                self.try_to_move()?;
                emit(DoorEvent::Shut)
            }
        }
    }
}

fn main() {}
