//! A machine is no enum.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DoorState {
    is_open: bool,
}

fn main() {}
