//! An id has a field with a name.

use cim_es::prelude::*;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
struct DoorId {
    house: u32,
}

fn main() {}
