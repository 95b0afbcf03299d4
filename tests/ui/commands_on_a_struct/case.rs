//! Commands are no enum.

use cim_es::prelude::*;

#[derive(Command, Clone, Debug)]
struct DoorCommand {
    by: String,
}

fn main() {}
